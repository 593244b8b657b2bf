"""The configuration file and the environment, merged before the sections are read."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy.config.defaults import parse_toml
from proxy.config.reader import ConfigError, Reader
from proxy.config.secrets_file import read_secrets
from proxy.config.sections import Server

_UNQUOTED = re.compile(r"^\s*([\w.-]+)\s*=\s*(?![Tt]rue\b|[Ff]alse\b)([A-Za-z/:]|\d+\.\d+\.\d).*$")
"""A line with a text that lacks its quotes, such as `host = localhost`."""


def find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return `path`, else the file of VOXGATE_CONFIG, else ./config.toml if it exists, else None."""
    default_file = Path("config.toml")
    explicit = path or (Path(environ["VOXGATE_CONFIG"]) if environ.get("VOXGATE_CONFIG") else None)
    return explicit or (default_file if default_file.exists() else None)


def parse_file(file: Path) -> dict[str, Any]:
    text = ""
    try:
        text = file.read_text()
        return parse_toml(text)
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        # ValueError is raised for wrong TOML, for bytes that are not text, and for endless numbers.
        raise ConfigError(f"{file}: not valid TOML: {error}{_advice_on_quotes(text, str(error))}") from None


def _advice_on_quotes(text: str, error: str) -> str:
    """Return what to add to tomllib's message if a text lacks its quotes, the usual fault. Else return ""."""
    found = re.search(r"at line (\d+)", error)
    lines = text.split("\n")
    if found is None or int(found[1]) > len(lines):
        return ""
    unquoted = _UNQUOTED.match(lines[int(found[1]) - 1])
    return f"; put quotes around the value of {unquoted[1]}" if unquoted else ""


def merge_environment(raw: dict[str, Any], environ: Mapping[str, str], sections: Sequence[str]) -> None:
    """Merge variables such as VOXGATE_SERVER__PORT=8001. A value is a TOML scalar or a text."""
    for name, text in environ.items():
        path = name.lower().removeprefix("voxgate_").split("__")
        if not name.startswith("VOXGATE_") or path[0] not in sections or len(path) < 2:
            continue
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            value = text
        put_at_path(raw, path, value)


def put_at_path(raw: dict[str, Any], path: list[str], value: object) -> None:
    """Put a value at a path. If the file has no table on the way, its reader reports that fault instead."""
    table: object = raw
    for step in path[:-1]:
        if not isinstance(table, dict):
            return
        table = table.setdefault(step, {})
    if isinstance(table, dict):
        table[path[-1]] = value


def early_server_text(raw: Mapping[str, Any], environ: Mapping[str, str], key: str, default: str) -> str:
    """Return a text of [server] that is needed before its section is read and checked."""
    section = raw.get("server")
    raw_server: dict[str, Any] = {"server": dict(section) if isinstance(section, dict) else {}}
    merge_environment(raw_server, environ, ("server",))
    text = raw_server["server"].get(key)
    return text if isinstance(text, str) and text else default


def with_secrets(
    reader: Reader, raw: Mapping[str, Any], environ: Mapping[str, str], folder: Path
) -> Mapping[str, str]:
    """Return the environment with the variables of [server] secrets_file. The file's variables win: those
    that systemd read from the same file are as old as the start, and a reload reads new ones."""
    secrets_file = early_server_text(raw, environ, "secrets_file", "")
    if not secrets_file:
        return environ
    try:
        return {**environ, **read_secrets(folder / secrets_file)}
    except ConfigError as error:
        reader.fault("server.secrets_file", str(error))
        return environ


def read_server(reader: Reader, value: object) -> Server:
    server = reader.section(Server, value, "server") or Server()
    for entry in server.trusted_proxies:
        try:
            ipaddress.ip_network(entry)
        except ValueError as error:
            right = 'must be IP addresses or networks, such as "10.0.0.0/8"'
            reader.fault("server.trusted_proxies", f"{right}; {entry!r} is none: {error}")
    return server
