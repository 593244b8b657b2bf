"""Writes tensors as an archive of torch (.pth), without torch: `torch.load(weights_only=True)` reads it.

The pickle is put together from its instructions, each with a code of one byte: `pickletools.dis` names them.
Each tensor has a storage of its own.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, Final

from speech_engine.model_declarations import TensorInfo, UnusableModel

STORAGES: Final = {
    "F64": "DoubleStorage",
    "F32": "FloatStorage",
    "F16": "HalfStorage",
    "BF16": "BFloat16Storage",
    "I64": "LongStorage",
    "I32": "IntStorage",
    "I16": "ShortStorage",
    "I8": "CharStorage",
    "U8": "ByteStorage",
    "BOOL": "BoolStorage",
}
"""The types of tensors' numbers, and torch's names of their storages."""

_FOLDER: Final = "archive"
_ALIGNMENT: Final = 64
_LOCAL_HEADER_BYTES: Final = 30
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # always the same, so that the same tensors give the same bytes
_REBUILD: Final = b"ctorch._utils\n_rebuild_tensor_v2\n"
_NO_HOOKS: Final = b"ccollections\nOrderedDict\n)R"

Pieces = Callable[[TensorInfo], Iterable[bytes]]


def write_archive(
    target: BinaryIO, root: str, tensors: Mapping[str, TensorInfo], pieces: Pieces, values: Mapping[str, Any]
) -> None:
    """Write a dictionary with the tensors under `root`, and plain values beside them.

    `pieces` gives the bytes of a tensor, little-endian. Raise UnusableModel for a type that torch lacks.
    """
    with zipfile.ZipFile(target, "w") as archive:
        _write_member(archive, "data.pkl", [_pickled(root, tensors, values)])
        _write_member(archive, "byteorder", [b"little"])
        for number, info in enumerate(tensors.values()):
            _write_member(archive, f"data/{number}", pieces(info))
        _write_member(archive, "version", [b"3\n"])


def _write_member(archive: zipfile.ZipFile, name: str, pieces: Iterable[bytes]) -> None:
    info = zipfile.ZipInfo(f"{_FOLDER}/{name}", _DATE)
    # The bytes begin at a multiple of 64, as torch maps them. Its name for a gap is FB.
    offset = archive.fp.tell() if archive.fp is not None else 0
    gap = -(offset + _LOCAL_HEADER_BYTES + len(info.filename) + 4) % _ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", gap) + b"Z" * gap
    with archive.open(info, "w") as file:
        for piece in pieces:
            file.write(piece)


def _pickled(root: str, tensors: Mapping[str, TensorInfo], values: Mapping[str, Any]) -> bytes:
    made = [b"\x80\x02}(", _pickled_text(root), b"}("]
    for number, (name, info) in enumerate(tensors.items()):
        made += [_pickled_text(name), _pickled_tensor(number, info)]
    made.append(b"u")
    for name, value in values.items():
        made += [_pickled_text(name), _pickled_value(value)]
    return b"".join((*made, b"u."))


def _pickled_tensor(number: int, info: TensorInfo) -> bytes:
    storage = STORAGES.get(info.dtype)
    if storage is None:
        raise UnusableModel(f"torch has no tensors of the type {info.dtype}")
    strides: list[int] = []
    step = 1
    for size in reversed(info.shape):
        strides.insert(0, step)
        step *= size
    storages = b"".join(
        (
            _pickled_text("storage"),
            b"ctorch\n%s\n" % storage.encode(),
            _pickled_text(str(number)),
            _pickled_text("cpu"),
            _pickled_int(step),
        )
    )
    return b"".join(
        (
            *(_REBUILD, b"((", storages, b"tQ", _pickled_int(0)),
            *(_pickled_tuple(info.shape), _pickled_tuple(strides), b"\x89", _NO_HOOKS, b"tR"),
        )
    )


def _pickled_tuple(numbers: Iterable[int]) -> bytes:
    return b"(" + b"".join(map(_pickled_int, numbers)) + b"t"


def _pickled_value(value: Any) -> bytes:
    if isinstance(value, list):
        return b"](" + b"".join(map(_pickled_value, value)) + b"e"
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    return _pickled_text(value) if isinstance(value, str) else _pickled_int(int(value))


def _pickled_text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _pickled_int(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(8, "little", signed=True)
    return b"\x8a\x08" + data
