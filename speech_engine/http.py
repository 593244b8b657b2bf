"""The HTTP client of cloud engines: the server lends one client to all of them, in `Context`.

This module imports no HTTP library. A request fails with the classes of `speech_engine.errors`, so that
an engine judges only the answers of its provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from speech_engine.errors import EngineUnavailable
from speech_engine.redacted import Redacted

MOST_BYTES = 10 * 1024 * 1024
"""The limit of one event or line of an answer."""
MOST_READ_BYTES = 4 * 1024 * 1024


class HttpFile(Redacted, msgspec.Struct, frozen=True):
    """One file of a form."""

    field: str
    name: str
    data: bytes
    media_type: str = "application/octet-stream"


class HttpForm(Redacted, msgspec.Struct, frozen=True):
    """A multipart body."""

    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[HttpFile, ...] = ()


class HttpRequest(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A request. `within_s` limits the wait for the status. After that, a stream must bring 64 bytes or more
    in each `silence_s`: single bytes do not keep it open."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | HttpForm = b""
    within_s: float = 30.0
    silence_s: float = 20.0


class HttpAnswer(Protocol):
    """An answer whose status has come. Names of headers are in lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def next_piece(self) -> bytes:
        """Return the next bytes of the body, or b"" at its end. Raises EngineTimeout at a silence,
        EngineFailed at a cut or for a compressed body: send `accept-encoding: identity`."""
        ...

    async def read(self, most_bytes: int = MOST_READ_BYTES) -> bytes:
        """Returns the whole body. Raises EngineFailed if the body is longer."""
        ...


class HttpClient(Protocol):
    """A client for many jobs at once. The exchange ends when the block is left or cancelled."""

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpAnswer]:
        """Sends a request. Raises EngineUnavailable if the provider cannot be reached: a second try is safe.
        Raises EngineTimeout or EngineFailed if the provider may have taken the request. Never raises for
        a status. Never follows a redirect: a key must not go to another address."""
        ...


class _NoNetwork:
    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpAnswer]:
        raise EngineUnavailable("An engine that is hosted is lent no HTTP client.")


NO_NETWORK: HttpClient = _NoNetwork()
