"""The reader of all sections, and how a feature declares its own section."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from proxy.config import fields
from proxy.config.sections import Config, Remark

T = TypeVar("T")

_MOST_SHOWN = 12
_MOST_COMPARED = 500
_LONGEST_COMPARED = 80
_WHERE_LISTED = {
    "accounts": "voxgate accounts list",
    "lexicons": "GET /v1/lexicons",
    "models": "voxgate models search",
    "saved voices": "voxgate voices list",
    "voices": "GET /v1/audio/voices",
}
"""By kind of name. Kinds that are not here have few names."""


class ConfigError(Exception):
    """The configuration cannot be used. The message has one line for each fault."""


class Reader:
    """A reader of one file. It collects every fault, so that an operator corrects the file once."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._faults: list[str] = []
        self._warnings: list[Remark] = []

    def warn(self, key: str, text: str) -> None:
        """Note a key that is right but has no effect. The rest of the file counts."""
        self._warnings.append(Remark(key, text))

    @property
    def warnings(self) -> tuple[Remark, ...]:
        return tuple(self._warnings)

    def fault(self, key: str, text: str) -> None:
        self._faults.append(f"{self._source}: {key}: {text}")

    def raise_if_wrong(self) -> None:
        if self._faults:
            raise ConfigError("\n".join(self._faults))

    def fault_unknown_key(self, key: str, name: str, known: Iterable[str]) -> None:
        self.fault(key, f"no such key; {did_you_mean(name, known)}")

    def table(self, value: object, key: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.fault(key, f"must be a table, [{key}]")
        return {}

    def struct(self, type_: type[fields.T], raw: Mapping[str, Any], key: str) -> fields.T | None:
        """Return the struct, or None after a fault for each wrong field. Other keys are ignored."""
        try:
            return fields.read_struct(type_, raw)
        except fields.FieldFaults as error:
            for fault in error.faults:
                got = "it is missing" if fault.kind == "missing" else f"got {_show_value(fault.value)}"
                self.fault(f"{key}.{fault.field}", f"must be {fault.expected}; {got}")
            return None

    def section(self, type_: type[fields.T], value: object, key: str) -> fields.T | None:
        """Return the struct as `struct` does, but note a fault for each key that it does not have."""
        if not isinstance(value, dict):
            self.table(value, key)
            return None
        for name in fields.find_unknown_keys(type_, value):
            self.fault_unknown_key(f"{key}.{name}", name, [field.key for field in fields.fields_of(type_)])
        return self.struct(type_, value, key)


class Section(NamedTuple, Generic[T]):
    """A feature's own section of config.toml: `Section("toy", ToySection)` in the feature's `section.py`.

    Its keys are the fields of that struct, which all have a default. A section with more rules has its own
    `read`, which notes faults, and may return any type. Without the section in the file, `read` gets {}.
    VOXGATE_NAME__KEY sets a key if the section may come `from_environment`. A reload applies a change unless
    the section `needs_restart`. The section is read and checked even where its feature does not open.
    """

    name: str
    type_: type[T]
    read: Callable[[Reader, object, Mapping[str, str], Path], T] | None = None
    from_environment: bool = True
    needs_restart: bool = False

    def of(self, config: Config) -> T:
        """Return the section of a configuration. A worker receives it as plain data, which is typed here."""
        return msgspec.convert(config.features.get(self.name, {}), self.type_)

    def read_from(self, reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> T:
        """Return the section from its value in the file. env: names are in `environ`, file: in `folder`."""
        if self.read is not None:
            return self.read(reader, value, environ, folder)
        struct: Any = self.type_
        found: T | None = reader.section(struct, value, self.name)
        return self.type_() if found is None else found


Sections = tuple[Section[Any], ...]


def _show_value(value: object) -> str:
    text = repr(value)
    # The address of a database may hold its password.
    return "an address" if "://" in text else text


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)


def names_hint(name: str, known: Iterable[str], kind: str) -> str:
    """Return the sentences that follow an unknown name: all names if they are few, else the most similar
    names, and the command or endpoint that lists all."""
    # A provider may have thousands of voices, and a comparison with each takes time.
    names = [each for each, _ in zip(known, range(_MOST_COMPARED), strict=False)]
    is_short = len(names) <= _MOST_SHOWN or kind not in _WHERE_LISTED
    most_similar, likeness = (1, 0.6) if is_short else (3, 0.35)
    similar = difflib.get_close_matches(name[:_LONGEST_COMPARED], names, most_similar, likeness)
    guess = f"Did you mean {' or '.join(similar)}? " if similar else ""
    if is_short:
        return f"{guess}The {kind} are: {', '.join(names) or 'none'}."
    return f"{guess}{_WHERE_LISTED[kind]} has all {kind}."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint: the most similar name, or all names."""
    names = list(known)
    similar = nearest_name(name, names)
    return f"did you mean {similar}?" if similar else f"known: {', '.join(names) or 'none'}"
