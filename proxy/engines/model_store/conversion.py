"""The server's side of a conversion: one confined process for one file of tensors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, BinaryIO

import msgspec

from proxy.engines.model_store.conversion_child import Said
from speech_engine.model_files import ModelFile, UnusableModel

_CHILD = "proxy.engines.model_store.conversion_child"
_INHERITED = ("LD_LIBRARY_PATH", "PYTHONPATH")
_LONGEST_LINE = 4096
_LONGEST_REASON = 300

Progress = Callable[[int, int], None]
_decode = msgspec.json.Decoder(Said).decode


def convert_apart(source: BinaryIO, target: BinaryIO, file: ModelFile, progress: Progress) -> tuple[str, ...]:
    """Write the tensors of `source` to `target` as safetensors, in a process that sees nothing else.

    Return what this machine could not take from that process. Raise UnusableModel with what is wrong.
    """
    environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with subprocess.Popen(
        (sys.executable, "-P", "-m", _CHILD, msgspec.json.encode(file).decode()),
        stdin=source,
        stdout=target,
        stderr=subprocess.PIPE,
        env={**environ, "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    ) as child:
        try:
            assert child.stderr is not None
            said = _last_said(child.stderr, progress)
        finally:
            # It leads a group of its own. Whatever a hostile file started there goes too.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    if said is None:
        raise UnusableModel("the process that read it ended before its time: it is damaged, or made to harm")
    if said.refused:
        raise UnusableModel(_printable(said.refused))
    return said.lacks


def _last_said(lines: IO[bytes], progress: Progress) -> Said | None:
    """Return the line that ends the conversion, or None if the process went without one."""
    while line := lines.readline(_LONGEST_LINE):
        try:
            said = _decode(line)
        except msgspec.MsgspecError:
            continue  # a library's warning
        if said.is_over:
            return said
        progress(said.done, said.of)
    return None


def _printable(reason: str) -> str:
    """Return a reason as it may be shown: the process may be in the hands of the file that it read."""
    return "".join(letter if letter.isprintable() else "?" for letter in reason[:_LONGEST_REASON])
