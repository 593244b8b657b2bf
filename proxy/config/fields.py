"""Raw mappings (a parsed JSON body, a TOML table) → frozen structs, one field at a time.

msgspec would stop at the first fault and name it only in prose. Here each fault carries its field and
what would be right there, taken from the field's own description, so that a client's 400 and an
operator's config error are made by the same code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

_NOTHING = (NoneType, msgspec.UnsetType)


class FieldFault(NamedTuple):
    """One field that is wrong. `expected` completes the sentence "… must be …"."""

    field: str
    kind: Literal["missing", "unknown", "wrong"]
    expected: str
    value: object = None


class FieldFaults(Exception):
    """Everything that is wrong with one mapping."""

    def __init__(self, faults: list[FieldFault]) -> None:
        super().__init__(", ".join(fault.field for fault in faults))
        self.faults = faults


class Field(NamedTuple):
    name: str
    key: str
    type: Any
    required: bool
    expected: str


@lru_cache
def fields_of(type_: type[msgspec.Struct]) -> tuple[Field, ...]:
    return tuple(
        Field(info.name, info.encode_name, info.type, info.required, description(info.type))
        for info in msgspec.structs.fields(type_)
    )


def description(annotation: Any) -> str:
    """What the field's `Meta(description=…)` says, else the name of its type."""
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, msgspec.Meta) and extra.description:
                return extra.description
        return description(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        # An optional field is described by what it is where it is given.
        return " or ".join(description(arg) for arg in get_args(annotation) if arg not in _NOTHING)
    return f"of type {getattr(annotation, '__name__', annotation)}"


def read(type_: type[T], raw: Mapping[str, Any], *, null_is_absent: bool = False) -> T:
    """The struct; raises Faults. Keys that it does not know are not looked at: see `unknown`; but those of a
    struct inside it are, where that one forbids them."""
    values: dict[str, Any] = {}
    faults: list[FieldFault] = []
    for field in fields_of(type_):
        value = raw.get(field.key, msgspec.UNSET)
        if value is None and null_is_absent:
            value = msgspec.UNSET
        if value is msgspec.UNSET:
            if field.required:
                faults.append(FieldFault(field.key, "missing", field.expected))
            continue
        try:
            values[field.name] = _value(field, value)
        except msgspec.ValidationError:
            faults.append(FieldFault(field.key, "wrong", field.expected, value))
        except FieldFaults as inner:
            faults += [fault._replace(field=f"{field.key}.{fault.field}") for fault in inner.faults]
    if faults:
        raise FieldFaults(faults)
    return type_(**values)


def _value(field: Field, value: object) -> Any:
    inner = _closed(field.type)
    if inner is None or not isinstance(value, dict):
        return msgspec.convert(value, field.type)
    if strange := unknown(inner, value):
        known = ", ".join(each.key for each in fields_of(inner))
        raise FieldFaults([FieldFault(name, "unknown", f"one of {known}") for name in strange])
    return read(inner, value)


def _closed(annotation: Any) -> type[msgspec.Struct] | None:
    """The struct that a field holds, if it is one that takes no other keys: its faults are told by name."""
    if get_origin(annotation) is Annotated:
        return _closed(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        inside = [arg for arg in get_args(annotation) if arg not in _NOTHING]
        return _closed(inside[0]) if len(inside) == 1 else None
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation if annotation.__struct_config__.forbid_unknown_fields else None
    return None


def unknown(type_: type[msgspec.Struct], raw: Mapping[str, Any]) -> list[str]:
    known = {field.key for field in fields_of(type_)}
    return [key for key in raw if key not in known]


def too_wide(value: object, key: str) -> Iterator[str]:
    """The keys under `key` whose integers no message to a process can carry, however deep they lie."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from too_wide(inner, f"{key}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from too_wide(inner, key)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield key
