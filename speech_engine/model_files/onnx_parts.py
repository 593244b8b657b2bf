"""The parts of an ONNX file, before they are judged: graphs, with their operators and stored tensors, whose
numbers are counted as they really lie there, and read if they are few.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from speech_engine.model_declarations import WIDTHS, OnnxValue, TensorInfo, UnusableModel
from speech_engine.model_files.protobuf import Value, bytes_of, numbers_of
from speech_engine.redacted import Redacted


class OnnxTensor(NamedTuple):
    """A tensor whose numbers lie in the file. They are known if they are few."""

    info: TensorInfo
    numbers: tuple[float, ...]


class NodePart(Redacted, msgspec.Struct, frozen=True):
    """An operator. Its domain is empty if it is one of ONNX's own."""

    domain: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue]


class GraphPart(Redacted, msgspec.Struct, frozen=True):
    inputs: Mapping[str, OnnxValue]
    outputs: Mapping[str, OnnxValue]
    tensors: Mapping[str, OnnxTensor]
    nodes: tuple[NodePart, ...]


AttributeValue = int | str | tuple[float, ...] | OnnxTensor | GraphPart | None
"""A float is a list of one. None stands for a list of texts, which no check here needs."""


TYPES_OF_FIELD = {
    "floats": ("F32",),
    "int32s": ("I32", "I16", "I8", "U16", "U8", "BOOL", "F16", "BF16"),
    "int64s": ("I64",),
    "doubles": ("F64",),
    "uint64s": ("U32", "U64"),
}
"""The fields of a tensor that may have its numbers, and the types that each may have."""

MOST_DIMENSIONS = 8
_MOST_VARINTS_BYTES = 1 << 20
_SIZE_TYPES = {"F32": "f", "F64": "d", "I64": "q", "I32": "i", "I16": "h"}
"""The types whose numbers can say how much an operator makes, and how they lie in bytes."""


def judge_tensor(shown: str, info: TensorInfo, stored: Mapping[str, list[Value]]) -> None:
    """Refuse a tensor that has not as many numbers as it says. `shown` is its name in the message."""
    if info.dtype not in WIDTHS:
        raise UnusableModel(f"its tensor {shown} has a type that voxgate does not know")
    if len(info.shape) > MOST_DIMENSIONS or not all(0 <= size < 1 << 31 for size in info.shape):
        raise UnusableModel(f"its tensor {shown} has an absurd shape")
    if _count_stored_numbers(stored, info.dtype) != info.numbers:
        raise UnusableModel(f"its tensor {shown} has not as many numbers as its shape says")


def _count_stored_numbers(stored: Mapping[str, list[Value]], dtype: str) -> int:
    """Count the numbers that a tensor really has. Raise UnusableModel if they lie in two places."""
    if not stored:
        return 0
    if len(stored) > 1:
        raise UnusableModel("it has a tensor with its numbers in two places")
    ((name, values),) = stored.items()
    if name == "raw":
        count, rest = divmod(len(bytes_of(values[0])), WIDTHS[dtype])
        return -1 if rest else count
    if dtype not in TYPES_OF_FIELD[name]:
        raise UnusableModel("it has a tensor with numbers of another type")
    width = {"floats": 4, "doubles": 8}.get(name)
    count = 0
    for value in values:
        if isinstance(value, int):
            count += 1
        elif width:
            count += len(value) // width
        elif len(value) > _MOST_VARINTS_BYTES:
            raise UnusableModel("it has a large tensor in a form that takes long to read")
        else:
            count += sum(byte < 0x80 for byte in value)
    return count


def few_numbers(stored: Mapping[str, list[Value]], info: TensorInfo) -> tuple[float, ...]:
    """Return the numbers of a judged tensor if a shape can have so many, and their type can say a size."""
    if info.dtype not in _SIZE_TYPES or not 0 < info.numbers <= MOST_DIMENSIONS:
        return ()
    ((name, values),) = stored.items()
    if name in ("raw", "floats", "doubles"):
        return fixed_numbers(info.dtype, b"".join(bytes_of(value) for value in values))
    return tuple(number for value in values for number in numbers_of(value, MOST_DIMENSIONS))


def fixed_numbers(dtype: str, data: bytes | memoryview) -> tuple[float, ...]:
    """Return the numbers that lie one after the other, each in its type's width. A rest is left out."""
    count = len(data) // WIDTHS[dtype]
    return struct.unpack_from(f"<{count}{_SIZE_TYPES[dtype]}", data)
