"""Recordings that did not fit into a work, fetched from the server that sent it.

An address is a secret: it is in no message of an error.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from typing import Any

from speech_engine.errors import EngineFailed, EngineUnavailable
from speech_engine.runner import RemoteSample

MOST_BYTES = 64 * 1024 * 1024
_TRIES = 3
_PAUSE_S = 2.0
_SOCKET_S = 20.0
_MOST_S = 120.0
"""For one recording: a thread cannot be broken off."""
_BLOCK_BYTES = 64 * 1024


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: it might lead anywhere."""


def direct_opener() -> urllib.request.OpenerDirector:
    """Return what asks a server itself: neither a proxy of the environment nor a redirect is taken."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())


async def fetched(
    sample: RemoteSample, schemes: tuple[str, ...] = ("https",), pause_s: float = _PAUSE_S
) -> bytes:
    """Return a recording. Raises EngineFailed if it is not what was said, and EngineUnavailable if nobody
    answers."""
    if sample.url.partition("://")[0] not in schemes:
        raise EngineFailed(f"A recording is fetched over {' or '.join(schemes)} alone.")
    if not 0 < sample.size <= MOST_BYTES:
        raise EngineFailed("A recording has an impossible size.")
    for tries_left in reversed(range(_TRIES)):
        try:
            pcm = await asyncio.to_thread(_read, sample)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                raise EngineFailed(f"A recording is not there: status {error.code}.") from None
        except (OSError, http.client.HTTPException):
            pass  # the next try may get it
        else:
            if len(pcm) != sample.size or hashlib.sha256(pcm).hexdigest() != sample.sha256:
                raise EngineFailed("A recording is not what was announced.")
            return pcm
        if tries_left:
            await asyncio.sleep(pause_s)
    raise EngineUnavailable("A recording could not be fetched.")


def _read(sample: RemoteSample) -> bytes:
    """Read one byte more than there should be, at most."""
    until = time.monotonic() + _MOST_S
    found = bytearray()
    with direct_opener().open(sample.url, timeout=_SOCKET_S) as answer:
        while len(found) <= sample.size and (block := answer.read1(_BLOCK_BYTES)):
            found += block
            if time.monotonic() > until:
                raise TimeoutError
    if len(found) < sample.size:
        raise http.client.IncompleteRead(b"")
    return bytes(found)
