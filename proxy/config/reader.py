"""The reader of all sections. It collects faults with their file and key, and guesses misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from proxy.config import fields
from proxy.config.sections import Remark

_MOST_SHOWN = 12
_MOST_COMPARED = 500
_LONGEST_COMPARED = 80
_LISTS = {
    "accounts": "voxgate accounts list",
    "lexicons": "GET /v1/lexicons",
    "models": "voxgate models search",
    "saved voices": "voxgate voices list",
    "voices": "GET /v1/audio/voices",
}
"""What lists all names of a kind. Other kinds have few."""


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

    def unknown(self, key: str, name: str, known: Iterable[str]) -> None:
        self.fault(key, f"no such key; {hint(name, known)}")

    def table(self, value: object, key: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.fault(key, f"must be a table, [{key}]")
        return {}

    def struct(self, type_: type[fields.T], raw: Mapping[str, Any], key: str) -> fields.T | None:
        """Return the struct, or None after a fault for each wrong field. Other keys are ignored."""
        try:
            return fields.read(type_, raw)
        except fields.FieldFaults as error:
            for fault in error.faults:
                got = "it is missing" if fault.kind == "missing" else f"got {_shown(fault.value)}"
                self.fault(f"{key}.{fault.field}", f"must be {fault.expected}; {got}")
            return None

    def section(self, type_: type[fields.T], value: object, key: str) -> fields.T | None:
        """Return the struct as `struct` does. Here, other keys are faults."""
        if not isinstance(value, dict):
            self.table(value, key)
            return None
        for name in fields.unknown(type_, value):
            self.unknown(f"{key}.{name}", name, [field.key for field in fields.fields_of(type_)])
        return self.struct(type_, value, key)


def _shown(value: object) -> str:
    text = repr(value)
    # The address of a database may hold its password.
    return "an address" if "://" in text else text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like this one, if any is."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)


def possible(name: str, known: Iterable[str], kind: str) -> str:
    """Return the sentences that follow an unknown name: all names if they are few, else those that are most
    like it, and where the list is."""
    # A provider may have thousands of voices, and a comparison with each takes time.
    names = [each for each, _ in zip(known, range(_MOST_COMPARED), strict=False)]
    is_short = len(names) <= _MOST_SHOWN or kind not in _LISTS
    most, likeness = (1, 0.6) if is_short else (5, 0.35)
    near = difflib.get_close_matches(name[:_LONGEST_COMPARED], names, most, likeness)
    guess = f"Did you mean {' or '.join(near)}? " if near else ""
    if is_short:
        return f"{guess}The {kind} are: {', '.join(names) or 'none'}."
    return f"{guess}{_LISTS[kind]} has all {kind}."


def hint(name: str, known: Iterable[str]) -> str:
    """Return a hint: the name that is most like this one, or all names."""
    names = list(known)
    near = nearest(name, names)
    return f"did you mean {near}?" if near else f"known: {', '.join(names) or 'none'}"
