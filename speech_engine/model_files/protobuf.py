"""The fields of a protobuf message, read with bounds, and written. No object is built from them here.

A table says which fields a message has. Others are refused, and so is a second value where there can be only
one: other readers would merge the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from speech_engine.model_declarations import UnusableModel

Kind = Literal["one", "many"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_MOST_VARINT_BYTES = 10
_MOST_FIELDS = 4_000_000
_SIGN = 1 << 63

Fields = Mapping[int, tuple[str, Kind]]
"""The fields that a message may have, by number: their names, and how often each may come."""

Value = int | memoryview
"""A number, or bytes: a text, a message, packed numbers, or a number of fixed width."""


def message_fields(one: Mapping[int, str], many: Mapping[int, str] = MappingProxyType({})) -> Fields:
    """Return the table of a message: the fields that it has once, and those that it may repeat."""
    return {
        **{number: (name, "one") for number, name in one.items()},
        **{number: (name, "many") for number, name in many.items()},
    }


class MessageReader:
    """Reads the messages of one file. It counts their fields, as a small file may have very many."""

    def __init__(self) -> None:
        self._left = _MOST_FIELDS

    def fields(self, message: memoryview, known: Fields, of: str) -> Iterator[tuple[str, Value]]:
        """Yield the name and value of each field of a message, in their order.

        Raise UnusableModel; `of` names the message there.
        """
        at, seen = 0, set()
        while at < len(message):
            self._left -= 1
            if self._left < 0:
                raise UnusableModel(f"it has more than {_MOST_FIELDS:,} fields")
            tag, at = _varint(message, at)
            number, wire = tag >> 3, tag & 7
            if number not in known:
                raise UnusableModel(f"{of} has the field {number}, which voxgate does not know")
            name, kind = known[number]
            if kind == "one" and number in seen:
                raise UnusableModel(f"{of} has its {name} twice")
            seen.add(number)
            value, at = _value(message, at, wire)
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
    at = 0
    while at < len(value):
        if len(found) == most:
            raise UnusableModel(f"it has a list of more than {most:,} numbers")
        number, at = _varint(value, at)
        found.append(number_of(number))
    return tuple(found)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    for place in range(at, min(at + _MOST_VARINT_BYTES, len(data))):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >= 1 << 64:
                break
            return number, place + 1
        shift += 7
    raise UnusableModel("it is cut off, or no protobuf")


def _value(message: memoryview, at: int, wire: int) -> tuple[Value, int]:
    if wire == _VARINT:
        return _varint(message, at)
    if wire == _BYTES:
        length, at = _varint(message, at)
    elif wire in _FIXED:
        length = _FIXED[wire]
    else:
        raise UnusableModel("it is no protobuf of today: it has groups")
    if length > len(message) - at:
        raise UnusableModel("it is cut off: a field is longer than the file")
    return message[at : at + length], at + length


def field(number: int, value: Value | bytes) -> tuple[bytes | memoryview, ...]:
    """Return a field as it is written, in pieces that follow one another: bytes are not copied."""
    if isinstance(value, int):
        return (_written(number << 3 | _VARINT) + _written(value),)
    return (length_of(number, len(value)), value)


def length_of(number: int, length: int) -> bytes:
    """Return the beginning of a field of so many bytes."""
    return _written(number << 3 | _BYTES) + _written(length)


def _written(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
