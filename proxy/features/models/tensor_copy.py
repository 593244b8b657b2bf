"""One canonical safetensors file of the tensors of any file: the same tensors give the same bytes.

It runs in the process of `conversion_child`. Tensors are copied piece by piece, so memory does not grow with
the file; only a scattered view is put together in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

import numpy as np

from proxy.features.models.torch_archive import SavedArchive, StoredTensor, is_archive, read_archive
from speech_engine.model_files import ModelFile, UnusableModel
from speech_engine.model_files.declarations import WIDTHS
from speech_engine.model_files.safetensors import VALUES, header_of, read_header

_PIECE = 4 * 1024 * 1024
_MOST_GROWTH = 4
"""Tensors may share a storage, and each gets bytes of its own. No model shares nearly as much."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are written, and how many there will be."""


def convert(source: BinaryIO, size: int, target: BinaryIO, file: ModelFile, progress: Progress) -> int:
    """Write the tensors of `source` to `target`, and return how many bytes. Raise UnusableModel."""
    saved = _saved(source, size, file)
    tensors = dict(_renamed(saved.tensors, file))
    if not tensors:
        raise UnusableModel("it has no tensors that this engine needs")
    # Wide numbers first: so each tensor begins at a multiple of its width.
    ordered = sorted(tensors.items(), key=lambda item: (-WIDTHS[item[1].info.dtype], item[0]))
    about = {VALUES: json.dumps(saved.values)} if saved.values else None
    head = header_of(((name, stored.info.dtype, stored.info.shape) for name, stored in ordered), about)
    total = len(head) + sum(stored.info.bytes for _, stored in ordered)
    if total > file.most_bytes or total > _MOST_GROWTH * size + _PIECE:
        raise UnusableModel(f"its tensors would need {total:,} bytes, which is absurd for this file")
    target.write(head)
    written = len(head)
    for _, stored in ordered:
        for piece in _pieces(source, stored):
            target.write(piece)
            written += len(piece)
            progress(written, total)
    return written


def _saved(source: BinaryIO, size: int, file: ModelFile) -> SavedArchive:
    source.seek(0)
    if is_archive(source.read(8)):
        return read_archive(source, size, file.roots, file.stand_ins, file.values)
    source.seek(0)
    if source.read(9)[8:] != b"{":
        raise UnusableModel(
            "it is neither safetensors nor an archive of torch. Very old .pth files are bare pickles: "
            "load such a file where you trust it, and save it again with a torch of today"
        )
    found = read_header(source, size).items()
    return SavedArchive({name: StoredTensor(info) for name, info in found}, {})


def _renamed(tensors: Mapping[str, StoredTensor], file: ModelFile) -> Iterator[tuple[str, StoredTensor]]:
    names = set()
    for full, stored in tensors.items():
        name = full
        for prefix in file.strip:
            name = name.removeprefix(prefix)
        if name.startswith(file.ignore):
            continue
        for pattern, new in file.renames:
            name = re.sub(pattern, new, name)
        if name in names:
            raise UnusableModel(f"it has two tensors that would both be called {name[:80]}")
        names.add(name)
        yield name, stored


def _pieces(source: BinaryIO, stored: StoredTensor) -> Iterator[bytes]:
    info = stored.info
    if stored.strides is not None and info.numbers:
        yield _gathered(source, stored, stored.strides)
        return
    source.seek(info.begin)
    left = info.bytes
    while left:
        piece = source.read(min(left, _PIECE))
        if not piece:
            raise UnusableModel("it is cut off")
        left -= len(piece)
        yield piece


def _gathered(source: BinaryIO, stored: StoredTensor, strides: tuple[int, ...]) -> bytes:
    """Return the bytes of a scattered view in order. `read_archive` saw that it is in its storage."""
    info, width = stored.info, WIDTHS[stored.info.dtype]
    reach = sum((size - 1) * stride for size, stride in zip(info.shape, strides, strict=True)) + 1
    source.seek(info.begin)
    flat = np.frombuffer(source.read(reach * width), dtype=f"u{width}")
    if len(flat) < reach:
        raise UnusableModel("it is cut off")
    view = np.lib.stride_tricks.as_strided(flat, info.shape, tuple(stride * width for stride in strides))
    return np.ascontiguousarray(view).tobytes()
