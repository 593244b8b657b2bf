"""The fields of a protobuf message, read with bounds, and written. No object is built from them here.

A table says which fields a message has. Others are refused, and so is a second value where there can be only
one: other readers would merge the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from speech_engine.model_declarations import UnusableModel

Kind = Literal["single", "repeated"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_MOST_VARINT_BYTES = 10
_MOST_FIELDS = 4_000_000
_SIGN = 1 << 63

Fields = Mapping[int, tuple[str, Kind]]
"""The fields that a message may have, by number: their names, and how often each may come."""

Value = int | memoryview
"""A number, or bytes: a text, a message, packed numbers, or a number of fixed width."""


def message_fields(single: Mapping[int, str], repeated: Mapping[int, str] = MappingProxyType({})) -> Fields:
    """Return the table of a message: the fields that it has once, and those that it may repeat."""
    return {
        **{number: (name, "single") for number, name in single.items()},
        **{number: (name, "repeated") for number, name in repeated.items()},
    }


class MessageReader:
    """Reads the messages of one file. It counts their fields, as a small file may have very many."""

    def __init__(self) -> None:
        self._fields_left = _MOST_FIELDS

    def fields(self, message: memoryview, known: Fields, message_name: str) -> Iterator[tuple[str, Value]]:
        """Yield the name and value of each field of a message, in their order. Raise UnusableModel with a
        text in which `message_name` stands."""
        offset, seen = 0, set()
        while offset < len(message):
            self._fields_left -= 1
            if self._fields_left < 0:
                raise UnusableModel(f"it has more than {_MOST_FIELDS:,} fields")
            tag, offset = _read_varint(message, offset)
            number, wire = tag >> 3, tag & 7
            if number not in known:
                raise UnusableModel(f"{message_name} has the field {number}, which voxgate does not know")
            name, kind = known[number]
            if kind == "single" and number in seen:
                raise UnusableModel(f"{message_name} has its {name} twice")
            seen.add(number)
            value, offset = _read_value(message, offset, wire)
            yield name, value


def text_of(value: Value, most: int = 512) -> str:
    """Return a short text. Raise UnusableModel."""
    data = bytes_of(value)
    if len(data) > most:
        raise UnusableModel(f"it has a name of {len(data):,} bytes; {most} are allowed")
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise UnusableModel("it has a name that is no UTF-8") from None


def bytes_of(value: Value) -> memoryview:
    if isinstance(value, int):
        raise UnusableModel("it has a number where bytes belong")
    return value


def number_of(value: Value) -> int:
    """Return a signed number of 64 bits."""
    if not isinstance(value, int):
        raise UnusableModel("it has bytes where a number belongs")
    return value - (1 << 64) if value & _SIGN else value


def numbers_of(value: Value, most: int) -> tuple[int, ...]:
    """Return packed numbers, or the single one of a list that is not packed."""
    if isinstance(value, int):
        return (number_of(value),)
    found: list[int] = []
    offset = 0
    while offset < len(value):
        if len(found) == most:
            raise UnusableModel(f"it has a list of more than {most:,} numbers")
        number, offset = _read_varint(value, offset)
        found.append(number_of(number))
    return tuple(found)


def _read_varint(data: memoryview, offset: int) -> tuple[int, int]:
    """Return a number below 2**64 without a sign, and the offset of the byte after it."""
    number = shift = 0
    for at in range(offset, min(offset + _MOST_VARINT_BYTES, len(data))):
        byte = data[at]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >= 1 << 64:
                break
            return number, at + 1
        shift += 7
    raise UnusableModel("it is cut off, or no protobuf")


def _read_value(message: memoryview, offset: int, wire: int) -> tuple[Value, int]:
    """Return a value of this wire type, and the offset of the byte after it."""
    if wire == _VARINT:
        return _read_varint(message, offset)
    if wire == _BYTES:
        length, offset = _read_varint(message, offset)
    elif wire in _FIXED:
        length = _FIXED[wire]
    else:
        raise UnusableModel("it is no protobuf of today: it has groups")
    if length > len(message) - offset:
        raise UnusableModel("it is cut off: a field is longer than the file")
    return message[offset : offset + length], offset + length


def field_pieces(number: int, value: Value | bytes) -> tuple[bytes | memoryview, ...]:
    """Return a field as it is written, in pieces that follow one another: bytes are not copied."""
    if isinstance(value, int):
        return (_varint_bytes(number << 3 | _VARINT) + _varint_bytes(value),)
    return (field_head(number, len(value)), value)


def field_head(number: int, length: int) -> bytes:
    """Return the beginning of a field of so many bytes."""
    return _varint_bytes(number << 3 | _BYTES) + _varint_bytes(length)


def _varint_bytes(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
