"""The arrays in an .npz file of NumPy: names, types, shapes and places. No array is built.

Such a file is a ZIP archive with one .npy file for each array. NumPy's own reader would unpack it, and could
run pickles. Here everything but plain numbers, stored as they are, is refused.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping

from speech_engine.model_declarations import TensorInfo, UnusableModel

MOST_ARRAYS = 1_000
_MOST_DIMENSIONS = 8
_MOST_NUMBERS = 1 << 40

_END_RECORD = struct.Struct("<4s4H2IH")
_ENTRY_RECORD = struct.Struct("<4s6H3I5H2I")
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_END_SIGN, _ENTRY_SIGN, _LOCAL_SIGN = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_STORED, _ENCRYPTED = 0, 1

_NPY_SIGN = b"\x93NUMPY"
_MOST_HEADER_BYTES = 1_024
_NPY_HEADER = re.compile(
    r"\{'descr': '<(?P<type>[fi][248])', 'fortran_order': False, 'shape': \((?P<shape>[0-9, ]*)\),? ?\} *\n"
)
_TYPES = {"f2": "F16", "f4": "F32", "f8": "F64", "i2": "I16", "i4": "I32", "i8": "I64"}
_ARRAY_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")


def read_arrays(data: memoryview) -> Mapping[str, TensorInfo]:
    """Return all arrays by name. Raise UnusableModel with the fault."""
    if len(data) < _END_RECORD.size:
        raise UnusableModel("it is no .npz file, or is cut off")
    record = _END_RECORD.unpack_from(data, len(data) - _END_RECORD.size)
    sign, disk, start_disk, disk_count, count, size, begin, comment = record
    if sign != _END_SIGN or comment or disk or start_disk or disk_count != count:
        raise UnusableModel("it is no .npz file, or is cut off")
    if count > MOST_ARRAYS:
        raise UnusableModel(f"it has {count:,} arrays; {MOST_ARRAYS:,} are allowed")
    if begin + size != len(data) - _END_RECORD.size:
        raise UnusableModel("its table of contents is not at its end")
    found: dict[str, TensorInfo] = {}
    offset = begin
    for _ in range(count):
        name, info, offset = _read_entry(data, offset, begin)
        if name in found:
            raise UnusableModel(f"it has the array {name} twice")
        found[name] = info
    return found


def _read_entry(data: memoryview, offset: int, end: int) -> tuple[str, TensorInfo, int]:
    """Return an array's name and info, and the offset of the next entry. All arrays lie before `end`."""
    if offset + _ENTRY_RECORD.size > len(data):
        raise UnusableModel("its table of contents is cut off")
    fields = _ENTRY_RECORD.unpack_from(data, offset)
    sign, flags, method, packed, size = fields[0], fields[3], fields[4], fields[8], fields[9]
    name_size, extra_size, comment_size, local_offset = *fields[10:13], fields[16]
    if sign != _ENTRY_SIGN:
        raise UnusableModel("its table of contents is broken")
    raw = bytes(data[offset + _ENTRY_RECORD.size : offset + _ENTRY_RECORD.size + name_size])
    name = raw.decode("ascii", "replace").removesuffix(".npy")
    if not _ARRAY_NAME.fullmatch(name) or not raw.endswith(b".npy"):
        raise UnusableModel("it has an array whose name is too long, or no plain word")
    if method != _STORED or flags & _ENCRYPTED or packed != size:
        raise UnusableModel(f"its array {name} is packed; save the file with numpy.savez")
    if local_offset + _LOCAL_HEADER.size > end:
        raise UnusableModel(f"its array {name} is cut off")
    head = _LOCAL_HEADER.unpack_from(data, local_offset)
    begin = local_offset + _LOCAL_HEADER.size + head[9] + head[10]
    if head[0] != _LOCAL_SIGN or begin + size > end:
        raise UnusableModel(f"its array {name} is cut off")
    info = _read_info(data, name, begin, size)
    return name, info, offset + _ENTRY_RECORD.size + name_size + extra_size + comment_size


def _read_info(data: memoryview, name: str, begin: int, size: int) -> TensorInfo:
    head = bytes(data[begin : begin + min(size, 10)])
    if len(head) < 10 or not head.startswith(_NPY_SIGN) or head[6:8] != b"\x01\x00":
        raise UnusableModel(f"its array {name} is no .npy file of version 1")
    length = int.from_bytes(head[8:10], "little")
    if length > _MOST_HEADER_BYTES or 10 + length > size:
        raise UnusableModel(f"its array {name} has a header that is too long")
    header = bytes(data[begin + 10 : begin + 10 + length]).decode("ascii", "replace")
    found = _NPY_HEADER.fullmatch(header)
    if found is None:
        raise UnusableModel(f"its array {name} is not made of plain numbers in their usual order")
    sizes = [each.strip() for each in found["shape"].split(",") if each.strip()]
    if len(sizes) > _MOST_DIMENSIONS or not all(each.isdigit() and len(each) < 13 for each in sizes):
        raise UnusableModel(f"its array {name} has an absurd shape")
    shape = tuple(map(int, sizes))
    info = TensorInfo(_TYPES[found["type"]], shape, begin + 10 + length)
    if math.prod(shape) > _MOST_NUMBERS or info.bytes != size - 10 - length:
        raise UnusableModel(f"its array {name} has not as many bytes as its shape says")
    return info
