"""Calls from the far end to the server that sent it the work. A thread makes them.

An address is a secret: it is in no message of an error.
"""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from speech_engine.errors import EngineFailed

T = TypeVar("T")


class LineLost(Exception):
    """The server does not answer now. Another try may succeed."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: it might lead anywhere."""


def direct_opener() -> urllib.request.OpenerDirector:
    """Return what asks a server itself: neither a proxy of the environment nor a redirect is taken."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())


@contextmanager
def answered(refusal: str) -> Iterator[None]:
    """Raise LineLost if the server does not answer, and EngineFailed with `refusal` if it says no."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if error.code < 500 and error.code not in (408, 429):
            raise EngineFailed(f"{refusal}: status {error.code}.") from None
        raise LineLost from None
    except (OSError, http.client.HTTPException):
        raise LineLost from None


def until_answered(
    call: Callable[[], T],
    tries: int,
    pause_s: float,
    is_over: threading.Event,
    lost: type[Exception] = LineLost,
) -> T:
    """Repeat a call until it does not raise `lost`. It is raised after the last try, or once `is_over`."""
    for tries_left in reversed(range(tries)):
        try:
            return call()
        except lost:
            if not tries_left or is_over.wait(pause_s):
                raise
    raise AssertionError("there is a try")
