"""The reader of all sections: collects faults, each with its file and key, and guesses at misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from proxy.config import fields
from proxy.config.sections import Remark


class ConfigError(Exception):
    """The configuration cannot be used; the message has one line for each fault."""


class Reader:
    """Collects every fault, so that an operator mends a file once and not ten times."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._faults: list[str] = []
        self._warnings: list[Remark] = []

    def warn(self, key: str, text: str) -> None:
        """What is well written and has no effect: the rest serves."""
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
        """None, with a fault for each field that is wrong. Other keys are left to whoever collects them."""
        try:
            return fields.read(type_, raw)
        except fields.FieldFaults as error:
            for fault in error.faults:
                got = "it is missing" if fault.kind == "missing" else f"got {_shown(fault.value)}"
                self.fault(f"{key}.{fault.field}", f"must be {fault.expected}; {got}")
            return None

    def section(self, type_: type[fields.T], value: object, key: str) -> fields.T | None:
        """As `struct`, for a table that has no keys but the struct's."""
        if not isinstance(value, dict):
            self.table(value, key)
            return None
        for name in fields.unknown(type_, value):
            self.unknown(f"{key}.{name}", name, [field.key for field in fields.fields_of(type_)])
        return self.struct(type_, value, key)


def _shown(value: object) -> str:
    text = repr(value)
    # A database's address may hold its password.
    return "an address" if "://" in text else text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name that was probably meant, if any is like it."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)


def hint(name: str, known: Iterable[str]) -> str:
    """Say which name was meant, or which names there are."""
    names = list(known)
    near = nearest(name, names)
    return f"did you mean {near}?" if near else f"known: {', '.join(names) or 'none'}"
