"""The process that reads one file of tensors: `python -m …models.conversion_child PIPE SOURCE TARGET`.

It gets the file and the new file as the numbers of open files, and the rules over its pipe. Before it reads
the first byte it gives up all other files, programs and the network. It answers with `Said` until it is over.
"""

from __future__ import annotations

import os
import sys
import time
import zipfile
from io import BytesIO

import msgspec
import numpy as np

from proxy.features.models.tensor_copy import convert
from proxy.helpers.job_confinement import confine_job
from speech_engine.host.pipe import ParentPipe, pipe_of_one_thread
from speech_engine.model_files import ModelFile, UnusableModel
from speech_engine.model_files.safetensors import header_of

_MEMORY_MB = 1024
"""Beyond what the process has when it is ready. Tensors are copied in pieces of 4 MiB."""
_LEAST_CPU_S = 60
_BYTES_A_S = 10 * 1024 * 1024
_SAY_EVERY_S = 0.2


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far it is, or how it ended. `lacks` is what this machine could not take away."""

    done: int = 0
    of: int = 0
    is_over: bool = False
    refused: str = ""
    lacks: tuple[str, ...] = ()


def main() -> None:
    pipe = pipe_of_one_thread()
    source, target = os.fdopen(int(sys.argv[2]), "rb"), os.fdopen(int(sys.argv[3]), "wb", buffering=0)
    file = msgspec.json.decode(pipe.read() or b"", type=ModelFile)
    size = os.fstat(source.fileno()).st_size
    _warm_up(file)
    lacks = _confine(size, file.most_bytes)
    try:
        written = convert(source, size, target, file, _Progress(pipe))
        said = Said(done=written, of=written, is_over=True, lacks=lacks)
    except UnusableModel as fault:
        said = Said(is_over=True, refused=str(fault))
    except MemoryError:
        said = Said(is_over=True, refused="to read it takes more memory than any such model needs")
    except OSError as error:
        said = Said(is_over=True, refused=f"the copy failed: {error.strerror}")
    pipe.write(msgspec.json.encode(said))


def _warm_up(file: ModelFile) -> None:
    """Load all that a conversion needs. Python loads parts of itself at the first use, and at the first
    error; once the process is confined, it cannot."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    "".encode("cp437")  # what names in a zip are written in
    np.lib.stride_tricks.as_strided(np.zeros(2, "u1"), (1,), (1,)).tobytes()
    for data in (made.getvalue(), header_of([]), b"neither"):
        try:
            convert(BytesIO(data), len(data), BytesIO(), file, lambda _done, _of: None)
        except UnusableModel:
            continue


class _Progress:
    """Says how far the copy is, now and then."""

    def __init__(self, pipe: ParentPipe) -> None:
        self._pipe = pipe
        self._next = 0.0

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SAY_EVERY_S
            self._pipe.write(msgspec.json.encode(Said(done=done, of=of)))


def _confine(size: int, most_bytes: int) -> tuple[str, ...]:
    cpu_s = _LEAST_CPU_S + size // _BYTES_A_S
    return confine_job(cpu_s, _MEMORY_MB, most_file_bytes=most_bytes, is_alone=False)


if __name__ == "__main__":
    main()
