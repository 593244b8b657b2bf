"""Secrets in a config file are named, not written: `env:NAME` or `file:PATH`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path


class SecretMissing(Exception):
    """What was named is not there; the message says what to do, and never holds a secret."""


def resolve(text: str, environ: Mapping[str, str], folder: Path) -> str:
    """The secret that `text` names, else `text` itself. A file's path is relative to `folder`.

    Blank space around it, such as the line's end that every editor adds, is no part of a secret.
    """
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("env", "file"):
        return text
    secret = _variable(name, environ) if kind == "env" else _content(folder / name)
    if not secret.strip():
        raise SecretMissing(f"{text} is empty")
    return secret.strip()


def variables(value: object) -> Iterator[str]:
    """The names of all variables that `env:NAME` names anywhere in a configuration."""
    if isinstance(value, str) and value.startswith("env:"):
        yield value.removeprefix("env:")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from variables(each)


def environ_for_hosts(environ: Mapping[str, str], secrets: tuple[str, ...]) -> dict[str, str]:
    """What a host inherits: it runs other people's code, and is told its own settings over its pipe.

    Without the variables that hold secrets, and without VOXGATE_SECTION__KEY, which may hold any.
    """
    hidden = {*secrets, "PGPASSWORD"}
    return {
        name: value
        for name, value in environ.items()
        if name not in hidden and not (name.startswith("VOXGATE_") and "__" in name)
    }


def _variable(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise SecretMissing(f"env:{name} is not set; export {name}, or use file:PATH")
    return environ[name]


def _content(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise SecretMissing(f"file:{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretMissing(f"file:{file} is not text") from None
