"""The child process that converts one file of tensors, or cuts a graph into two.

`python -m …models.conversion_child PIPE SOURCE TARGET…`: it inherits the files as open descriptors, and reads
the rules of the file from its pipe. Before it reads the first byte of a file, it drops its access to all
other files, to programs and to the network. It answers with `ChildProgress`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, BinaryIO

import msgspec
import numpy as np

from proxy.features.models.torch_archive import StoredTensor, is_archive, read_archive
from proxy.helpers.job_confinement import confine_job
from speech_engine.host.child_pipe import pipe_of_one_thread
from speech_engine.host.pipe import ParentPipe
from speech_engine.model_declarations import WIDTHS
from speech_engine.model_files import ModelFile, UnusableModel
from speech_engine.model_files.onnx_halves import cut_graph
from speech_engine.model_files.safetensors import VALUES_KEY, header_of, read_header

_PIECE = 4 * 1024 * 1024
_MOST_GROWTH = 4
"""The most that a copy may be larger than its file, as a factor: tensors that share a storage are written one
by one. Real models share far less."""

Progress = Callable[[int, int], None]
"""Called with the written bytes, and their total."""


def convert(source: BinaryIO, size: int, target: BinaryIO, file: ModelFile, progress: Progress) -> int:
    """Write the tensors of `source` to `target`, and return how many bytes. Raise UnusableModel."""
    saved, values = _read_tensors(source, size, file)
    tensors = dict(_rename_tensors(saved, file))
    if not tensors:
        raise UnusableModel("it has no tensors that this engine needs")
    # The widest numbers come first, so that each tensor begins at a multiple of its width.
    ordered = sorted(tensors.items(), key=lambda item: (-WIDTHS[item[1].info.dtype], item[0]))
    metadata = {VALUES_KEY: json.dumps(values)} if values else None
    head = header_of(((name, tensor.info.dtype, tensor.info.shape) for name, tensor in ordered), metadata)
    total = len(head) + sum(tensor.info.bytes for _, tensor in ordered)
    if total > file.most_bytes or total > _MOST_GROWTH * size + _PIECE:
        raise UnusableModel(f"its tensors would need {total:,} bytes, which is absurd for this file")
    target.write(head)
    written = len(head)
    for _, tensor in ordered:
        for piece in _pieces(source, tensor):
            target.write(piece)
            written += len(piece)
            progress(written, total)
    return written


def cut(source: BinaryIO, size: int, targets: Sequence[BinaryIO], file: ModelFile) -> int:
    """Write both halves of a graph, and return the number of bytes. 0: the graph has no place for a cut.
    Raise UnusableModel."""
    # The file is not mapped: this process may not open another descriptor.
    halves = cut_graph(memoryview(source.read(size)), *file.cut_at)
    for target, pieces in zip(targets, halves or (), strict=False):
        for piece in pieces:
            target.write(piece)
    return sum(len(piece) for pieces in halves or () for piece in pieces)


def _read_tensors(
    source: BinaryIO, size: int, file: ModelFile
) -> tuple[dict[str, StoredTensor], dict[str, Any]]:
    """Return the tensors of a file, and the plain values beside them."""
    source.seek(0)
    if is_archive(source.read(8)):
        return read_archive(source, size, file.roots, file.stand_ins, file.values)
    source.seek(0)
    # A safetensors file begins with a length of eight bytes, and then has JSON.
    if source.read(9)[8:] != b"{":
        raise UnusableModel(
            "it is neither safetensors nor an archive of torch. Very old .pth files are bare pickles: "
            "load such a file where you trust it, and save it again with a torch of today"
        )
    found = read_header(source, size).items()
    return {name: StoredTensor(info) for name, info in found}, {}


def _rename_tensors(
    tensors: Mapping[str, StoredTensor], file: ModelFile
) -> Iterator[tuple[str, StoredTensor]]:
    names = set()
    for full, tensor in tensors.items():
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
        yield name, tensor


def _pieces(source: BinaryIO, tensor: StoredTensor) -> Iterator[bytes]:
    info = tensor.info
    if tensor.strides is not None and info.numbers:
        yield _gather_view(source, tensor, tensor.strides)
        return
    source.seek(info.begin)
    bytes_left = info.bytes
    while bytes_left:
        piece = source.read(min(bytes_left, _PIECE))
        if not piece:
            raise UnusableModel("it is cut off")
        bytes_left -= len(piece)
        yield piece


def _gather_view(source: BinaryIO, tensor: StoredTensor, strides: tuple[int, ...]) -> bytes:
    """Return the bytes of a tensor whose numbers do not lie in order. `read_archive` has checked that they
    are inside its storage."""
    info, width = tensor.info, WIDTHS[tensor.info.dtype]
    reach = sum((size - 1) * stride for size, stride in zip(info.shape, strides, strict=True)) + 1
    source.seek(info.begin)
    flat = np.frombuffer(source.read(reach * width), dtype=f"u{width}")
    if len(flat) < reach:
        raise UnusableModel("it is cut off")
    view = np.lib.stride_tricks.as_strided(flat, info.shape, tuple(stride * width for stride in strides))
    return np.ascontiguousarray(view).tobytes()


_MEMORY_MB = 1024
"""The memory that the process may take after its start. Tensors are copied in pieces of 4 MiB."""
_LEAST_CPU_S = 60
_BYTES_PER_S = 10 * 1024 * 1024
_REPORT_EVERY_S = 0.2


class ChildProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """The progress, or with `is_over` the result. `done` and `total` are bytes. `refused` is the reason why
    the file was refused. `lacks` are the restrictions that this machine does not have."""

    done: int = 0
    total: int = 0
    is_over: bool = False
    refused: str = ""
    lacks: tuple[str, ...] = ()


def main() -> None:
    pipe = pipe_of_one_thread()
    source = os.fdopen(int(sys.argv[2]), "rb")
    targets = [os.fdopen(int(each), "wb", buffering=0) for each in sys.argv[3:]]
    file = msgspec.json.decode(pipe.read() or b"", type=ModelFile)
    size = os.fstat(source.fileno()).st_size
    _warm_up(file)
    lacks = _confine(size, file)
    try:
        if file.cut_at:
            written = cut(source, size, targets, file)
        else:
            written = convert(source, size, targets[0], file, _Progress(pipe))
        last_progress = ChildProgress(done=written, total=written, is_over=True, lacks=lacks)
    except UnusableModel as fault:
        last_progress = ChildProgress(is_over=True, refused=str(fault))
    except MemoryError:
        last_progress = ChildProgress(
            is_over=True, refused="to read it takes more memory than any such model needs"
        )
    except OSError as error:
        last_progress = ChildProgress(is_over=True, refused=f"the copy failed: {error.strerror}")
    pipe.write(msgspec.json.encode(last_progress))


def _warm_up(file: ModelFile) -> None:
    """Load all modules that a conversion needs, by conversions of small files. Python loads some modules at
    the first use or the first error, and a confined process can load none."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")  # the pickle of an empty dict
    "".encode("cp437")  # the encoding of names in a zip
    np.lib.stride_tricks.as_strided(np.zeros(2, "u1"), (1,), (1,)).tobytes()
    for data in (made.getvalue(), header_of([]), b"neither"):
        try:
            convert(BytesIO(data), len(data), BytesIO(), file, lambda _done, _of: None)
        except UnusableModel:
            continue


class _Progress:
    def __init__(self, pipe: ParentPipe) -> None:
        self._pipe = pipe
        self._next = 0.0

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _REPORT_EVERY_S
            self._pipe.write(msgspec.json.encode(ChildProgress(done=done, total=total)))


def _confine(size: int, file: ModelFile) -> tuple[str, ...]:
    cpu_s = _LEAST_CPU_S + size // _BYTES_PER_S
    # A graph that is being cut is in memory twice.
    memory_mb = _MEMORY_MB + (2 * size // 2**20 if file.cut_at else 0)
    return confine_job(cpu_s, memory_mb, most_file_bytes=file.most_bytes, is_alone=False)


if __name__ == "__main__":
    main()
