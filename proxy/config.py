"""config.toml → one frozen `Config`. An error names the file, the key, and what would be right.

Precedence: shipped defaults < the file < VOXGATE_SECTION__KEY < the command line. The result is plain
data, so that the supervisor can parse once and hand it to every worker.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from proxy import fields
from proxy.secret import SecretMissing, resolve
from proxy.sections import Config, EngineSection, Server, Storage, VoiceSection
from proxy.storage.address import check_url

__all__ = [
    "Config",
    "ConfigError",
    "EngineSection",
    "Server",
    "Storage",
    "VoiceSection",
    "load",
]


class ConfigError(Exception):
    """The configuration cannot be used; the message has one line for each fault."""


_LATER = ("limits", "plans", "routes", "lexicons", "front_ends", "detectors", "marks", "runners")


def load(
    path: Path | None = None, environ: Mapping[str, str] = os.environ, server: Mapping[str, Any] | None = None
) -> Config:
    """Reads the file (or VOXGATE_CONFIG, or ./config.toml, or nothing); raises ConfigError.

    `server` holds what the command line says of [server].
    """
    file = path or (Path(environ["VOXGATE_CONFIG"]) if environ.get("VOXGATE_CONFIG") else None)
    if file is None and Path("config.toml").exists():
        file = Path("config.toml")
    raw = {} if file is None else _parse(file)
    reader = _Reader(str(file) if file else "defaults")
    reader.refuse_later_sections(raw)
    _merge_environment(raw, environ)
    for key, value in (server or {}).items():
        _put(raw, ["server", key], value)
    shipped = tomllib.loads((Path(__file__).parent / "defaults.toml").read_text())
    config = _read_config(reader, raw, shipped)
    folder = file.parent if file else Path()
    storage = _storage(reader, config.storage, environ, folder)
    reader.raise_if_wrong()
    data = str((folder / config.server.data).absolute())
    return msgspec.structs.replace(config, storage=storage, data=data, source=str(file or config.source))


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        # tomllib's own error is a ValueError too, as are bytes that are no text and endless numbers.
        raise ConfigError(f"{file}: not valid TOML: {error}") from None


def _merge_environment(raw: dict[str, Any], environ: Mapping[str, str]) -> None:
    """VOXGATE_SERVER__PORT=8001, VOXGATE_ENGINES__ESPEAK__PROCESSES=2; values are TOML scalars or text."""
    for name, text in environ.items():
        path = name.lower().removeprefix("voxgate_").split("__")
        if (
            not name.startswith("VOXGATE_")
            or path[0] not in ("server", "storage", "engines")
            or len(path) < 2
        ):
            continue
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            value = text
        _put(raw, path, value)


def _put(raw: dict[str, Any], path: list[str], value: object) -> None:
    """Where the file has no table on the way, its own fault there is the one to tell."""
    table: object = raw
    for step in path[:-1]:
        if not isinstance(table, dict):
            return
        table = table.setdefault(step, {})
    if isinstance(table, dict):
        table[path[-1]] = value


class _Reader:
    """Collects every fault, so that an operator mends a file once and not ten times."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._faults: list[str] = []

    def fault(self, key: str, text: str) -> None:
        self._faults.append(f"{self._source}: {key}: {text}")

    def raise_if_wrong(self) -> None:
        if self._faults:
            raise ConfigError("\n".join(self._faults))

    def refuse_later_sections(self, raw: Mapping[str, Any]) -> None:
        known = [field.key for field in fields.fields_of(Config)][:7]
        for section in list(raw):
            if section in _LATER:
                self.fault(section, "this version does not enforce this section yet; remove it")
            elif section not in known:
                self.unknown(section, section, known)

    def unknown(self, key: str, name: str, known: list[str]) -> None:
        near = difflib.get_close_matches(name, known, 1)
        self.fault(
            key, f"no such key; {f'did you mean {near[0]}?' if near else 'known: ' + ', '.join(known)}"
        )

    def table(self, value: object, key: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.fault(key, f"must be a table, [{key}]")
        return {}

    def struct(self, type_: type[fields.T], raw: Mapping[str, Any], key: str, default: fields.T) -> fields.T:
        try:
            return fields.read(type_, raw)
        except fields.Faults as error:
            for fault in error.faults:
                got = "it is missing" if fault.kind == "missing" else f"got {_shown(fault.value)}"
                self.fault(f"{key}.{fault.field}", f"must be {fault.expected}; {got}")
            return default


def _shown(value: object) -> str:
    text = repr(value)
    # A database's address may hold its password.
    return "an address" if "://" in text else text


def _read_config(reader: _Reader, raw: Mapping[str, Any], shipped: Mapping[str, Any]) -> Config:
    sections: dict[str, Any] = {}
    for name, type_, default in (("server", Server, Server()), ("storage", Storage, Storage())):
        table = reader.table(raw.get(name, {}), name)
        for key in fields.unknown(type_, table):
            reader.unknown(f"{name}.{key}", key, [field.key for field in fields.fields_of(type_)])
        sections[name] = reader.struct(type_, table, name, default)
    engines = _engines(reader, reader.table(raw.get("engines", shipped["engines"]), "engines"))
    voices = _voices(reader, reader.table(raw.get("voices", {}), "voices"), engines)
    models = _models(reader, reader.table(raw.get("models", {}), "models"), engines)
    for name, section in _voices(_Reader(""), shipped["voices"], engines, strict=False).items():
        voices.setdefault(name, section)
    for name, names in _models(_Reader(""), shipped["models"], engines).items():
        models.setdefault(name, names)
    return Config(engines=engines, voices=voices, models=models, **sections)


def _storage(reader: _Reader, named: Storage, environ: Mapping[str, str], folder: Path) -> Storage:
    try:
        url = resolve(named.url, environ, folder)
        check_url(url)
    except (SecretMissing, ValueError) as error:
        reader.fault("storage.url", str(error))
        return Storage()
    return Storage(url)


def _engines(reader: _Reader, raw: Mapping[str, Any]) -> dict[str, EngineSection]:
    own = {field.key for field in fields.fields_of(EngineSection)} - {"settings"}
    engines: dict[str, EngineSection] = {}
    for name, value in raw.items():
        key = f"engines.{name}"
        table = reader.table(value, key)
        if "/" in name or name != name.lower():
            reader.fault(key, "an engine's name must be lower case, without a slash")
        common = {"plugin": name, **{k: v for k, v in table.items() if k in own}}
        section = reader.struct(EngineSection, common, key, EngineSection(plugin=name))
        settings = {k: v for k, v in table.items() if k not in own}
        for where in fields.too_wide(settings, key):
            reader.fault(where, "must be a number that fits 64 bits")
        engines[name] = msgspec.structs.replace(section, settings=settings)
    return engines


def _voices(
    reader: _Reader, raw: Mapping[str, Any], engines: Mapping[str, EngineSection], *, strict: bool = True
) -> dict[str, VoiceSection]:
    voices: dict[str, VoiceSection] = {}
    for name, value in raw.items():
        table = reader.table(value, f"voices.{name}")
        section = reader.struct(VoiceSection, _without_bindings(table), f"voices.{name}", VoiceSection())
        bindings: dict[str, str] = {}
        for engine, voice in table.items():
            if engine in ("language", "gender"):
                continue
            if not isinstance(voice, str) or not voice:
                reader.fault(
                    f"voices.{name}.{engine}", "must be the voice's id on that engine, a text in quotes"
                )
            elif engine in engines:
                bindings[engine] = voice
            elif strict:
                reader.unknown(f"voices.{name}.{engine}", engine, ["language", "gender", *engines])
        if bindings:
            voices[name] = msgspec.structs.replace(section, bindings=bindings)
        elif strict:
            reader.fault(f"voices.{name}", 'binds no engine; add a line such as espeak = "f3"')
    return voices


def _without_bindings(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: table[key] for key in ("language", "gender") if key in table}


def _models(
    reader: _Reader, raw: Mapping[str, Any], engines: Mapping[str, EngineSection]
) -> dict[str, tuple[str, ...]]:
    models: dict[str, tuple[str, ...]] = {}
    for alias, value in raw.items():
        key = f"models.{alias}"
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            reader.fault(key, 'must be a list of models, ["engine/model"]')
            continue
        for name in names:
            engine, slash, model = name.partition("/")
            if not slash or not model:
                reader.fault(key, f'{name!r} must be written "engine/model"')
            elif engine not in engines:
                reader.fault(
                    key, f"{name!r}: no [engines.{engine}] here; known: {', '.join(engines) or 'none'}"
                )
        models[alias] = tuple(name for name in names if name.partition("/")[0] in engines)
    return {alias: names for alias, names in models.items() if names}
