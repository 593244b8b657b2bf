"""Hundreds of files that are hostile, broken or merely odd, and what a decoder makes of them."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import IO, Literal

import msgspec
import numpy as np

from tests.proxy.audio.recordings.bombs import bombs
from tests.proxy.audio.recordings.clips import KINDS, encoded, sine

_CUTS = (1, 4, 12, 40, 100, 1000)
_MUTATIONS = 14


class Outcome(msgspec.Struct, frozen=True):
    """What became of one file, and what it took: seconds of the processor, and memory at its highest."""

    made: Literal["decoded", "undecoded", "out of memory"]
    seconds: float
    peak_mb: int
    kept_s: float = 0.0


def corpus() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Names, and what makes each file. The same files in every run."""
    yield from bombs()
    yield from broken()


def broken() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Files of every format that were cut, joined or changed."""
    for name, kind in KINDS.items():
        whole = encoded(kind, sine(440, 0.5, kind.rate_hz))
        for cut in _CUTS:
            yield f"{name} cut at {cut}", partial(bytes, whole[:cut])
        yield f"{name} cut in the middle", partial(bytes, whole[: len(whole) // 2])
        yield f"{name} without its end", partial(bytes, whole[:-7])
        yield f"{name} without its head", partial(bytes, whole[37:])
        yield f"{name} twice", partial(bytes, whole * 2)
        yield f"{name} with something behind it", partial(bytes, whole + b"\0\xff" * 5000)
        rng = np.random.default_rng(len(name))
        for number in range(_MUTATIONS):
            yield f"{name} changed {number}", partial(_mutated, whole, number, int(rng.integers(2**31)))


def _mutated(whole: bytes, number: int, seed: int) -> bytes:
    """Numbers in the head made as large or as small as can be, or bytes changed all over the file."""
    rng, changed = np.random.default_rng(seed), bytearray(whole)
    if number % 2:
        at = int(rng.integers(0, min(600, len(whole) - 4)))
        changed[at : at + 4] = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff")[number % 3]
    else:
        for at in rng.integers(0, len(whole), max(1, len(whole) // (20 * (number + 1)))):
            changed[at] = int(rng.integers(256))
    return bytes(changed)


def outcomes(files: Iterable[tuple[str, Callable[[], bytes]]]) -> dict[str, Outcome]:
    """Decode them one after the other in one confined process. A crash of it is an error here."""
    command = [sys.executable, "-m", "tests.proxy.audio.recordings.corpus_child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        found = {name: _outcome(process.stdin, process.stdout, make(), name) for name, make in files}
        process.stdin.close()
        assert process.wait() == 0
    return found


def _outcome(stdin: IO[bytes], stdout: IO[bytes], data: bytes, name: str) -> Outcome:
    try:
        stdin.write(len(data).to_bytes(4, "big") + data)
        stdin.flush()
        line = stdout.readline()
    except BrokenPipeError:
        line = b""
    assert line, f"the decoder did not survive: {name}"
    return msgspec.json.decode(line, type=Outcome)
