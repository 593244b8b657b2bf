"""The process that reads one file of tensors: `python -m proxy.engines.model_store.conversion_child RULES`.

It gets the file as its standard input and the new file as its standard output, both open. Before it reads
the first byte it gives up all other files, programs and the network. Its lines on standard error are `Said`.
"""

from __future__ import annotations

import os
import resource
import sys
import time
import zipfile
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np

from proxy.engines.model_store.tensor_copy import convert
from speech_engine.host.confinement import confine
from speech_engine.host.landlock import forbid_files
from speech_engine.model_files import ModelFile, UnusableModel
from speech_engine.model_files.safetensors import header_of

_MEMORY_MB = 1024
"""Beyond what the process has when it is ready. Tensors are copied in pieces of 4 MiB."""
_LEAST_CPU_S = 60
_BYTES_A_S = 10 * 1024 * 1024
_SAY_EVERY_S = 0.2


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: how far it is, or how it ended. `lacks` is what this machine could not take away."""

    done: int = 0
    of: int = 0
    is_over: bool = False
    refused: str = ""
    lacks: tuple[str, ...] = ()


def main() -> None:
    file = msgspec.json.decode(sys.argv[1], type=ModelFile)
    source, target = sys.stdin.buffer, os.fdopen(1, "wb", buffering=0)
    size = os.fstat(0).st_size
    _warm_up(file)
    lacks = _confine(size, file.most_bytes)
    try:
        written = convert(source, size, target, file, _Progress())
        _say(Said(done=written, of=written, is_over=True, lacks=lacks))
    except UnusableModel as fault:
        _say(Said(is_over=True, refused=str(fault)))
    except MemoryError:
        _say(Said(is_over=True, refused="to read it takes more memory than any such model needs"))
    except OSError as error:
        _say(Said(is_over=True, refused=f"the copy failed: {error.strerror}"))


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
    """Says how far the copy is, now and then. It also ends this process when nobody listens any more."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SAY_EVERY_S
            _say(Said(done=done, of=of))


def _say(said: Said) -> None:
    os.write(2, msgspec.json.encode(said) + b"\n")


def _confine(size: int, most_bytes: int) -> tuple[str, ...]:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    used_mb = pages * resource.getpagesize() // 2**20
    files = ("landlock",) if not forbid_files() else ()
    cpu_s = _LEAST_CPU_S + size // _BYTES_A_S
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return (*files, *confine((), used_mb + _MEMORY_MB))


if __name__ == "__main__":
    main()
