"""Recordings that did not fit into a work, fetched from the server that sent it.

An address is a secret: it is in no message of an error.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from functools import partial

from speech_engine.errors import EngineFailed, EngineUnavailable
from speech_engine.host.far_calls import LineLost, answered, direct_opener, until_answered
from speech_engine.runner import RemoteSample

MOST_BYTES = 64 * 1024 * 1024
_TRIES = 3
_PAUSE_S = 2.0
_SOCKET_S = 20.0
_MOST_S = 120.0
"""For one recording: a thread cannot be broken off."""
_BLOCK_BYTES = 64 * 1024


async def fetched(
    sample: RemoteSample, schemes: tuple[str, ...] = ("https",), pause_s: float = _PAUSE_S
) -> bytes:
    """Return a recording. Raises EngineFailed if it is not what was said, and EngineUnavailable if nobody
    answers."""
    if sample.url.partition("://")[0] not in schemes:
        raise EngineFailed(f"A recording is fetched over {' or '.join(schemes)} alone.")
    if not 0 < sample.size <= MOST_BYTES:
        raise EngineFailed("A recording has an impossible size.")
    is_over = threading.Event()
    try:
        pcm = await asyncio.to_thread(until_answered, partial(_read, sample), _TRIES, pause_s, is_over)
    except LineLost:
        raise EngineUnavailable("A recording could not be fetched.") from None
    finally:
        is_over.set()
    if len(pcm) != sample.size or hashlib.sha256(pcm).hexdigest() != sample.sha256:
        raise EngineFailed("A recording is not what was announced.")
    return pcm


def _read(sample: RemoteSample) -> bytes:
    """Read one byte more than there should be, at most."""
    until = time.monotonic() + _MOST_S
    found = bytearray()
    with answered("A recording is not there"):
        with direct_opener().open(sample.url, timeout=_SOCKET_S) as answer:
            while len(found) <= sample.size and (block := answer.read1(_BLOCK_BYTES)):
                found += block
                if time.monotonic() > until:
                    raise TimeoutError
    if len(found) < sample.size:
        raise LineLost
    return bytes(found)
