"""The header of a safetensors file: names, types, shapes and places. The tensors themselves are not read.

The format is a length, a header of JSON, and the bytes of all tensors without gaps. Libraries that load
the file trust the header, so each of its numbers is checked here first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from speech_engine.model_declarations import WIDTHS, TensorInfo, UnusableModel

MOST_TENSORS = 100_000
_MOST_HEADER_BYTES = 16 * 1024 * 1024
_MOST_DIMENSIONS = 8
_MOST_NAME_LENGTH = 512
_LENGTH_BYTES = 8
_METADATA = "__metadata__"
VALUES_KEY = "values"
"""The key of a text in the metadata. The text is JSON with the plain values of the pickle that was
converted."""
_KEYS = {"dtype", "shape", "data_offsets"}


def read_header(file: BinaryIO, size: int) -> dict[str, TensorInfo]:
    """Return all tensors of a file of this size, by name. Raise UnusableModel with the fault."""
    return read_tensors_and_texts(file, size)[0]


def read_tensors_and_texts(file: BinaryIO, size: int) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Return all tensors of a file, and the texts of its metadata. Raise UnusableModel."""
    file.seek(0)
    head = file.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "little")
    if len(head) < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
        raise UnusableModel("it is cut off, or no safetensors file")
    if length > _MOST_HEADER_BYTES:
        raise UnusableModel(f"its header has {length:,} bytes; {_MOST_HEADER_BYTES:,} are allowed")
    header = _parse_header(file.read(length))
    metadata = _text_entries(header.pop(_METADATA, {}))
    if len(header) > MOST_TENSORS:
        raise UnusableModel(f"it has {len(header):,} tensors; {MOST_TENSORS:,} are allowed")
    start = _LENGTH_BYTES + length
    found = {name: _tensor_info(name, entry, start) for name, entry in header.items()}
    _refuse_gaps(found, start, size)
    return found, metadata


def header_of(
    tensors: Iterable[tuple[str, str, tuple[int, ...]]], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Return the beginning of a file with these tensors (name, type, shape), in this order."""
    entries: dict[str, Any] = {_METADATA: dict(sorted(metadata.items()))} if metadata else {}
    offset = 0
    for name, dtype, shape in tensors:
        end = offset + TensorInfo(dtype, shape).bytes
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    body = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    # The tensors then begin at a multiple of 8, as the format asks.
    body += b" " * (-len(body) % 8)
    return len(body).to_bytes(_LENGTH_BYTES, "little") + body


def _parse_header(body: bytes) -> dict[str, Any]:
    try:
        header = json.loads(body, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise UnusableModel("its header is no JSON, or has a name twice") from None
    if not isinstance(header, dict):
        raise UnusableModel("its header is not a JSON object")
    return header


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a key twice")
    return unique


def _refuse_constant(text: str) -> Any:
    raise ValueError(text)


def _text_entries(metadata: Any) -> dict[str, str]:
    # Some writers put numbers here, which are not used.
    if not isinstance(metadata, Mapping):
        return {}
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def _tensor_info(name: str, entry: Any, start: int) -> TensorInfo:
    shown = name[:80]
    if not name or len(name) > _MOST_NAME_LENGTH or not name.isprintable():
        raise UnusableModel("it has a tensor whose name is empty, too long or not printable")
    if not isinstance(entry, Mapping) or set(entry) != _KEYS:
        raise UnusableModel(f"its tensor {shown} has not exactly a dtype, a shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in WIDTHS:
        raise UnusableModel(
            f"its tensor {shown} has the type {str(dtype)[:20]!r}; known are {', '.join(WIDTHS)}"
        )
    if not _are_counts(shape) or len(shape) > _MOST_DIMENSIONS:
        raise UnusableModel(f"its tensor {shown} has an absurd shape")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise UnusableModel(f"its tensor {shown} has absurd data_offsets")
    info = TensorInfo(dtype, tuple(shape), start + offsets[0])
    if info.bytes != offsets[1] - offsets[0]:
        raise UnusableModel(f"its tensor {shown} has not as many bytes as its shape says")
    return info


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is int and 0 <= each < 2**48 for each in value)


def _refuse_gaps(tensors: Mapping[str, TensorInfo], start: int, size: int) -> None:
    """Refuse tensors that overlap or leave bytes between them. Their end must be the end of the file."""
    offset = start
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].bytes)):
        if info.begin != offset:
            raise UnusableModel(f"its tensor {name[:80]} overlaps another one, or leaves a gap before it")
        offset += info.bytes
    if offset > size:
        raise UnusableModel("it is cut off: its tensors need more bytes than it has")
    if offset < size:
        raise UnusableModel("it has bytes that belong to no tensor")
