"""Calls from the far end to the server that sent the work, and the recordings that it fetches there.

An address is a secret: it is in no message of an error.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from speech_engine.errors import EngineFailed, EngineUnavailable
from speech_engine.runner import RemoteSample

T = TypeVar("T")

_NO_ANSWER = "The server does not answer now."


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: it might lead anywhere."""


def direct_opener() -> urllib.request.OpenerDirector:
    """Return an opener that takes neither a proxy of the environment nor a redirect."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())


@contextmanager
def http_errors(refusal: str) -> Iterator[None]:
    """Raise EngineUnavailable if no answer comes, and EngineFailed with `refusal` if the server says no."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if error.code < 500 and error.code not in (408, 429):
            raise EngineFailed(f"{refusal}: status {error.code}.") from None
        raise EngineUnavailable(_NO_ANSWER) from None
    except (OSError, http.client.HTTPException):
        raise EngineUnavailable(_NO_ANSWER) from None


def until_answered(
    call: Callable[[], T],
    tries: int,
    pause_s: float,
    is_over: threading.Event,
) -> T:
    """Repeat a call until it does not raise EngineUnavailable.

    Raises that after the last try, or once `is_over`.
    """
    for tries_left in reversed(range(tries)):
        try:
            return call()
        except EngineUnavailable:
            if not tries_left or is_over.wait(pause_s):
                raise
    raise AssertionError("there is a try")


MOST_BYTES = 64 * 1024 * 1024
_TRIES = 3
_PAUSE_S = 2.0
_SOCKET_S = 20.0
_MOST_S = 120.0
"""The longest time for one recording, since a thread cannot be cancelled."""
_BLOCK_BYTES = 64 * 1024


async def fetch_recording(
    sample: RemoteSample, schemes: tuple[str, ...] = ("https",), pause_s: float = _PAUSE_S
) -> bytes:
    """Return a recording. Raises EngineFailed if it differs from the announced one, and EngineUnavailable if
    the server does not answer."""
    if sample.url.partition("://")[0] not in schemes:
        raise EngineFailed(f"A recording is fetched over {' or '.join(schemes)} alone.")
    if not 0 < sample.size <= MOST_BYTES:
        raise EngineFailed("A recording has an impossible size.")
    is_over = threading.Event()
    try:
        pcm = await asyncio.to_thread(
            until_answered, partial(_read_recording, sample), _TRIES, pause_s, is_over
        )
    except EngineUnavailable:
        raise EngineUnavailable("A recording could not be fetched.") from None
    finally:
        is_over.set()
    if len(pcm) != sample.size or hashlib.sha256(pcm).hexdigest() != sample.sha256:
        raise EngineFailed("A recording is not what was announced.")
    return pcm


def _read_recording(sample: RemoteSample) -> bytes:
    """Read one byte more than there should be, at most."""
    until = time.monotonic() + _MOST_S
    found = bytearray()
    with http_errors("A recording is not there"):
        with direct_opener().open(sample.url, timeout=_SOCKET_S) as answer:
            while len(found) <= sample.size and (block := answer.read1(_BLOCK_BYTES)):
                found += block
                if time.monotonic() > until:
                    raise TimeoutError
    if len(found) < sample.size:
        raise EngineUnavailable(_NO_ANSWER)
    return bytes(found)
