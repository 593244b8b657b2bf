"""Read mappings (a JSON body, a TOML table) into frozen structs, one field at a time.

msgspec stops at the first fault. Here, each fault has its field and that field's description. The same code
makes a client's 400 and an operator's configuration error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from proxy.errors import InvalidRequest

T = TypeVar("T", bound=msgspec.Struct)

_ABSENT_TYPES = (NoneType, msgspec.UnsetType)


class FieldFault(NamedTuple):
    """One wrong field. `expected` completes the sentence "… must be …"."""

    field: str
    kind: Literal["missing", "unknown", "wrong"]
    expected: str
    value: object = None


class FieldFaults(Exception):
    def __init__(self, faults: list[FieldFault]) -> None:
        super().__init__(", ".join(fault.field for fault in faults))
        self.faults = faults


class Field(NamedTuple):
    """A field of a struct. If it `takes_null`, null and absence are different values. It `has_choices` if its
    value is one of a few texts."""

    name: str
    key: str
    type: Any
    required: bool
    expected: str
    takes_null: bool
    has_choices: bool


@lru_cache
def fields_of(type_: type[msgspec.Struct]) -> tuple[Field, ...]:
    return tuple(
        Field(
            info.name,
            info.encode_name,
            info.type,
            info.required,
            description(info.type),
            info.default is msgspec.UNSET and NoneType in get_args(info.type),
            _has_choices(info.type),
        )
        for info in msgspec.structs.fields(type_)
    )


def _has_choices(annotation: Any) -> bool:
    return get_origin(annotation) is Literal or any(map(_has_choices, get_args(annotation)))


def description(annotation: Any) -> str:
    """Return the text of the field's `Meta(description=…)`, else the name of its type."""
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, msgspec.Meta) and extra.description:
                return extra.description
        return description(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        # The description of an optional field leaves out that it may be absent.
        return " or ".join(description(arg) for arg in get_args(annotation) if arg not in _ABSENT_TYPES)
    return f"of type {getattr(annotation, '__name__', annotation)}"


def read_struct(type_: type[T], raw: Mapping[str, Any], *, null_is_absent: bool = False) -> T:
    """Return the struct. Raises FieldFaults.

    Unknown keys are ignored (see `find_unknown_keys`), but a struct inside this one may forbid them.
    With `null_is_absent`, a null counts only for a field that `takes_null`.
    """
    values: dict[str, Any] = {}
    faults: list[FieldFault] = []
    for field in fields_of(type_):
        value = raw.get(field.key, msgspec.UNSET)
        if value is None and null_is_absent and not field.takes_null:
            value = msgspec.UNSET
        if value is msgspec.UNSET:
            if field.required:
                faults.append(FieldFault(field.key, "missing", field.expected))
            continue
        try:
            values[field.name] = _read_value(field, value)
        except msgspec.ValidationError:
            faults.append(FieldFault(field.key, "wrong", field.expected, value))
        except FieldFaults as inner:
            faults += [fault._replace(field=f"{field.key}.{fault.field}") for fault in inner.faults]
    if faults:
        raise FieldFaults(faults)
    try:
        return type_(**values)
    except ValueError as error:
        # A struct refuses a wrong combination of values by `ValueError("FIELD: right form")`.
        field_name, _, expected = str(error).partition(": ")
        raise FieldFaults([FieldFault(field_name, "wrong", expected)]) from None


def _read_value(field: Field, value: object) -> Any:
    inner = _strict_struct(field.type)
    if inner is None or not isinstance(value, dict):
        return msgspec.convert(value, field.type)
    if unknown_keys := find_unknown_keys(inner, value):
        known = ", ".join(each.key for each in fields_of(inner))
        raise FieldFaults([FieldFault(name, "unknown", f"one of {known}") for name in unknown_keys])
    return read_struct(inner, value)


def _strict_struct(annotation: Any) -> type[msgspec.Struct] | None:
    """Return the struct that a field has inside, if it forbids other keys. Its faults then have their own
    names."""
    if get_origin(annotation) is Annotated:
        return _strict_struct(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        inside = [arg for arg in get_args(annotation) if arg not in _ABSENT_TYPES]
        return _strict_struct(inside[0]) if len(inside) == 1 else None
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation if annotation.__struct_config__.forbid_unknown_fields else None
    return None


def find_unknown_keys(type_: type[msgspec.Struct], raw: Mapping[str, Any]) -> list[str]:
    known = {field.key for field in fields_of(type_)}
    return [key for key in raw if key not in known]


def find_too_large(value: object, key: str) -> Iterator[str]:
    """Yield the keys under `key`, at any depth, whose integers are too large for a message to a process."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from find_too_large(inner, f"{key}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from find_too_large(inner, key)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield key


def missing_parameter(param: str, rest: str = ".") -> InvalidRequest:
    """Return the failure of a request that lacks a field. The `rest` of the message follows its name."""
    message = f"Missing required parameter: '{param}'{rest}"
    return InvalidRequest(message, param=param, code="missing_required_parameter")
