"""Reads the archive of `torch.save`: a zip with one pickle, and the raw bytes of each storage. Nothing is
unpacked: storages are read at their position in the file. So an archive cannot grow, and no name in it is
used as a path."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Collection, Iterator, Sequence
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

from proxy.features.models.torch_pickle import MOST_PICKLE_BYTES, TensorRef, read_pickle
from speech_engine.model_declarations import WIDTHS
from speech_engine.model_files import TensorInfo, UnusableModel
from speech_engine.model_files.safetensors import MOST_TENSORS

_MAGIC = b"PK\x03\x04"
_LOCAL = struct.Struct("<4s22xHH")
"""The head of a member: a signature, and the lengths of its name and of its extra field."""
_ENCRYPTED = 1
_MOST_DEPTH = 50
_MOST_VALUES, _MOST_NESTED, _MOST_TEXT = 1000, 4, 1000


class StoredTensor(NamedTuple):
    """A tensor in a file: its type, shape and position. If its numbers do not lie in order, it has `strides`,
    which count numbers."""

    info: TensorInfo
    strides: tuple[int, ...] | None = None


def is_archive(head: bytes) -> bool:
    return head.startswith(_MAGIC)


def read_archive(
    file: BinaryIO,
    size: int,
    roots: Sequence[str],
    stand_ins: Collection[str] = (),
    value_keys: Sequence[str] = (),
) -> tuple[dict[str, StoredTensor], dict[str, Any]]:
    """Return the tensors of an archive below the first key of `roots` that it has, and the values of the keys
    `value_keys` that are plain. Raise UnusableModel."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError):
        raise UnusableModel("it is cut off or damaged: its list of contents cannot be read") from None
    with archive:
        members = _Members(file, size, archive.infolist())
        saved = read_pickle(BytesIO(members.read_pickle()), stand_ins)
        found = dict(_find_tensors(_find_root(saved, roots), "", set()))
        assert isinstance(saved, dict), "a root was found in it"
        if not found:
            raise UnusableModel("there are no tensors in it where this engine's have to be")
        if len(found) > MOST_TENSORS:
            raise UnusableModel(f"it has {len(found):,} tensors; {MOST_TENSORS:,} are allowed")
        values = {key: saved[key] for key in value_keys if key in saved and is_plain(saved[key])}
        return {name: members.locate_tensor(ref) for name, ref in found.items()}, values


def is_plain(value: Any) -> bool:
    """Tell whether a value consists of a few numbers, short texts and lists, and is not nested deeply."""
    values_left, waiting = _MOST_VALUES, [(value, 0)]
    while waiting:
        each, depth = waiting.pop()
        values_left -= 1
        if isinstance(each, (list, tuple)) and not isinstance(each, TensorRef):
            if depth == _MOST_NESTED or len(each) > values_left:
                return False
            waiting += [(inner, depth + 1) for inner in each]
        elif not _is_plain_value(each):
            return False
    return True


def _is_plain_value(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _MOST_TEXT
    if type(value) is float:
        return math.isfinite(value)
    return value is None or (type(value) in (int, bool) and abs(value) < 2**63)


class _Members:
    def __init__(self, file: BinaryIO, size: int, entries: list[zipfile.ZipInfo]) -> None:
        self._file = file
        # The first byte of each member, and its length.
        self._positions: dict[str, tuple[int, int]] = {}
        tops = set()
        for entry in entries:
            top, _, name = entry.filename.partition("/")
            tops.add(top)
            if (
                not name
                or ".." in entry.filename.split("/")
                or "\\" in entry.filename
                or name in self._positions
            ):
                raise UnusableModel("a name in its archive is a path that leads elsewhere, or is there twice")
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & _ENCRYPTED:
                raise UnusableModel("its archive is compressed or encrypted, which no file of torch is")
            self._positions[name] = self._find_bytes(entry, size)
        if len(tops) != 1:
            raise UnusableModel("its archive has several folders, so it is not one of torch")
        self._refuse_overlaps()
        if "byteorder" in self._positions and self._read("byteorder", 16) != b"little":
            raise UnusableModel("its numbers are big-endian")

    def read_pickle(self) -> bytes:
        if "data.pkl" not in self._positions:
            raise UnusableModel("its archive has no data.pkl, so it is not one of torch")
        return self._read("data.pkl", MOST_PICKLE_BYTES)

    def locate_tensor(self, ref: TensorRef) -> StoredTensor:
        storage = ref.storage
        # The length -1 stands for a missing storage: it is too short for any tensor.
        begin, length = self._positions.get(f"data/{storage.key}", (0, -1))
        width = WIDTHS[storage.dtype]
        if length < storage.length * width:
            raise UnusableModel("a storage is missing in its archive, or too short")
        info = TensorInfo(storage.dtype, ref.shape, begin + ref.offset * width)
        return StoredTensor(info, None if _is_contiguous(ref) else ref.strides)

    def _find_bytes(self, entry: zipfile.ZipInfo, size: int) -> tuple[int, int]:
        if not 0 <= entry.header_offset < size:
            raise UnusableModel("its archive is damaged")
        self._file.seek(entry.header_offset)
        head = self._file.read(_LOCAL.size)
        if len(head) < _LOCAL.size or not is_archive(head):
            raise UnusableModel("its archive is damaged")
        _, name_bytes, extra_bytes = _LOCAL.unpack(head)
        begin = entry.header_offset + _LOCAL.size + name_bytes + extra_bytes
        if begin + entry.file_size > size:
            raise UnusableModel("its archive is cut off")
        return begin, entry.file_size

    def _refuse_overlaps(self) -> None:
        end = 0
        for begin, length in sorted(self._positions.values()):
            if begin < end:
                raise UnusableModel("members of its archive overlap")
            end = begin + length

    def _read(self, name: str, most: int) -> bytes:
        begin, length = self._positions[name]
        if length > most:
            raise UnusableModel(f"its {name} has {length:,} bytes; {most:,} are allowed")
        self._file.seek(begin)
        return self._file.read(length)


def _is_contiguous(ref: TensorRef) -> bool:
    expected = 1
    for size, stride in zip(reversed(ref.shape), reversed(ref.strides), strict=True):
        if size == 0:
            return True
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _find_root(saved: Any, roots: Sequence[str]) -> Any:
    for root in roots:
        inner = saved if not root else saved.get(root) if isinstance(saved, dict) else None
        if isinstance(inner, dict):
            return inner
    raise UnusableModel("its pickle is not a dictionary with the tensors of this engine")


def _find_tensors(value: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, TensorRef]]:
    """Yield the tensors of nested dicts by their keys, joined by dots. A dict that occurs twice is refused:
    it could occur a million times."""
    if id(value) in seen or len(seen) > MOST_TENSORS or prefix.count(".") > _MOST_DEPTH:
        raise UnusableModel("its pickle is nested in a way that no model needs")
    seen.add(id(value))
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, TensorRef):
            yield name, inner
        elif isinstance(inner, dict):
            yield from _find_tensors(inner, f"{name}.", seen)
