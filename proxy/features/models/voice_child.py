"""The child process that reads or writes one trained voice: `python -m …models.voice_child PIPE SOURCE…
TARGET`.

It inherits the files as open descriptors, and reads its order from its pipe. Before it reads the first byte
of a file, it drops its access to all other files, to programs and to the network. It answers once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from io import BytesIO
from typing import BinaryIO

import msgspec

from proxy.helpers.job_confinement import confine_job
from speech_engine.host.child_pipe import pipe_of_one_thread
from speech_engine.model_files import UnusableModel
from speech_engine.trained_files import TrainedFiles, UnusableSource


class VoiceOrder(msgspec.Struct, frozen=True):
    """The order: import a voice from files with these `roles`, or if there is a `form`, write the stored file
    in this form. `module` is the module of the format's code."""

    module: str
    roles: tuple[str, ...]
    most_bytes: int
    form: str = ""


class VoiceResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result. `refused` is the reason why a file was refused, and `role` is that of the file. `lacks` are
    the restrictions that this machine does not have."""

    refused: str = ""
    role: str = ""
    lacks: tuple[str, ...] = ()


_MEMORY_MB = 1024
"""The memory that the process may take after its start. An index is in memory twice."""
_LEAST_CPU_S = 60
_BYTES_PER_S = 10 * 1024 * 1024


def main() -> None:
    pipe = pipe_of_one_thread()
    descriptors = [int(each) for each in sys.argv[2:]]
    order = msgspec.json.decode(pipe.read() or b"", type=VoiceOrder)
    sources = {role: os.fdopen(each, "rb") for role, each in zip(order.roles, descriptors[:-1], strict=True)}
    target = os.fdopen(descriptors[-1], "wb")
    format_code: TrainedFiles = import_module(order.module).FILES
    _warm_up(format_code, order)
    size = sum(os.fstat(each.fileno()).st_size for each in sources.values())
    lacks = confine_job(
        _LEAST_CPU_S + size // _BYTES_PER_S, _MEMORY_MB, most_file_bytes=order.most_bytes, is_alone=False
    )
    result = _carry_out(format_code, order, sources, target)
    pipe.write(msgspec.json.encode(msgspec.structs.replace(result, lacks=lacks)))


def _carry_out(
    format_code: TrainedFiles, order: VoiceOrder, sources: Mapping[str, BinaryIO], target: BinaryIO
) -> VoiceResult:
    first = order.roles[0]
    try:
        _import_or_export(format_code, order, sources, target)
        target.flush()
    except UnusableSource as fault:
        return VoiceResult(str(fault), fault.role)
    except UnusableModel as fault:
        return VoiceResult(str(fault), first)
    except MemoryError:
        return VoiceResult("to read it takes more memory than any such voice needs", first)
    except OSError as error:
        return VoiceResult(f"the copy failed: {error.strerror}", first)
    return VoiceResult()


def _import_or_export(
    format_code: TrainedFiles, order: VoiceOrder, sources: Mapping[str, BinaryIO], target: BinaryIO
) -> None:
    if not order.form:
        format_code.bring(sources, target)
        return
    source = sources[order.roles[0]]
    format_code.export(source, source.seek(0, os.SEEK_END), order.form, target)


def _warm_up(format_code: TrainedFiles, order: VoiceOrder) -> None:
    """Load all modules that the order needs, by a try with wrong files. Python loads some modules at the
    first use or the first error, and a confined process can load none."""
    # Imported here, because the server imports this module for its message types, and needs no numpy.
    import numpy as np

    np.frombuffer(bytes(8), "<f4").astype("<f2").tobytes()
    "".encode("cp437")  # the encoding of names in a zip
    _carry_out(format_code, order, {role: BytesIO(b"neither") for role in order.roles}, BytesIO())


if __name__ == "__main__":
    main()
