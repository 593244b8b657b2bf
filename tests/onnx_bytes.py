"""ONNX files written byte by byte: small networks for tests, and files that no library would write."""

import math
import struct
from collections.abc import Sequence

FLOAT, UINT8, INT8, INT32, INT64, BOOL, DOUBLE = 1, 2, 3, 6, 7, 9, 11
WIDTHS = {FLOAT: 4, UINT8: 1, INT8: 1, BOOL: 1, INT32: 4, INT64: 8, DOUBLE: 8}
_BYTES, _VARINT, _FIXED32 = 2, 0, 5


def number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value & (1 << 64) - 1)


def part(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | _BYTES) + _varint(len(data)) + data


def floats(name: str, values: Sequence[float], *shape: int) -> bytes:
    """A tensor of numbers, as an initializer or an attribute has it."""
    return tensor(name, FLOAT, shape or (len(values),), struct.pack(f"<{len(values)}f", *values))


def ints(name: str, values: Sequence[int], *shape: int) -> bytes:
    """Whole numbers: a list, if no shape is given."""
    return tensor(name, INT64, shape or (len(values),), struct.pack(f"<{len(values)}q", *values))


def scalar(name: str, value: float) -> bytes:
    return tensor(name, FLOAT, (), struct.pack("<f", value))


def int_scalar(name: str, value: int) -> bytes:
    return tensor(name, INT64, (), struct.pack("<q", value))


def tensor(name: str, type_: int, shape: Sequence[int], raw: bytes) -> bytes:
    dims = b"".join(number(1, size) for size in shape)
    return dims + number(2, type_) + part(8, name) + part(9, raw)


def zeros(name: str, type_: int, *shape: int) -> bytes:
    return tensor(name, type_, shape, bytes(math.prod(shape) * WIDTHS[type_]))


def attribute(name: str, value: int | float | str | bytes | Sequence[int]) -> bytes:
    """A whole number, a float, a text, a list of whole numbers, or the bytes of a tensor."""
    if isinstance(value, str):
        return part(1, name) + part(4, value) + number(20, 3)
    if not isinstance(value, int | float | bytes):
        return part(1, name) + b"".join(number(8, each) for each in value) + number(20, 7)
    if isinstance(value, bytes):
        return part(1, name) + part(5, value) + number(20, 4)
    if isinstance(value, float):
        return part(1, name) + _varint(2 << 3 | _FIXED32) + struct.pack("<f", value) + number(20, 1)
    return part(1, name) + number(3, value) + number(20, 2)


def branch(name: str, graph_: bytes) -> bytes:
    """An attribute that is a graph."""
    return part(1, name) + part(6, graph_) + number(20, 5)


def node(
    operator: str, inputs: str | Sequence[str], output: str, *attributes: bytes, domain: str = ""
) -> bytes:
    """`inputs` are names with blanks between them, or a list with empty names for what is left out."""
    return b"".join(
        (
            *(part(1, each) for each in (inputs.split() if isinstance(inputs, str) else inputs)),
            part(2, output),
            part(3, f"{operator}_{output}"),
            part(4, operator),
            *(part(5, each) for each in attributes),
            part(7, domain) if domain else b"",
        )
    )


def value(name: str, type_: int, *shape: int | str) -> bytes:
    """An input or an output."""
    dims = b"".join(part(1, part(2, size) if isinstance(size, str) else number(1, size)) for size in shape)
    return part(1, name) + part(2, part(1, number(1, type_) + part(2, dims)))


def graph(
    nodes: Sequence[bytes], tensors: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]
) -> bytes:
    return b"".join(
        (
            *(part(1, each) for each in nodes),
            part(2, "tiny"),
            *(part(5, each) for each in tensors),
            *(part(11, each) for each in inputs),
            *(part(12, each) for each in outputs),
        )
    )


def model(graph_: bytes, *more: bytes, version: int = 15) -> bytes:
    return number(1, 8) + part(7, graph_) + operators("", version) + b"".join(more)


def operators(domain: str, version: int) -> bytes:
    """A set of operators that a model needs."""
    return part(8, part(1, domain) + number(2, version))


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
