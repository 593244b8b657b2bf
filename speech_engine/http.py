"""What a cloud engine asks the network with: one client for all of them, lent by the server in `Context`.

It imports no library. A request's failures are the classes of `speech_engine.errors` already, so that an
engine has only its provider's own answers to judge.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from speech_engine.errors import EngineUnavailable

MOST_BYTES = 16 * 1024 * 1024


class HttpFile(msgspec.Struct, frozen=True):
    """One file of a form."""

    field: str
    name: str
    data: bytes
    media_type: str = "application/octet-stream"

    def __repr__(self) -> str:
        return f"<HttpFile {self.field}, {len(self.data)} bytes>"


class HttpForm(msgspec.Struct, frozen=True):
    """A multipart body."""

    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[HttpFile, ...] = ()

    def __repr__(self) -> str:
        return f"<HttpForm {len(self.fields)} fields, {len(self.files)} files>"


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`within_s` is the time until the answer's status is there, `silence_s` the longest pause after that."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | HttpForm = b""
    within_s: float = 30.0
    silence_s: float = 20.0

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method}>"  # an address may hold a key, and a body what is to be spoken


class HttpAnswer(Protocol):
    """An answer whose status is there. Names of headers are lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes. Raises EngineTimeout at a silence, EngineFailed where it is cut off."""
        ...

    async def read(self, most_bytes: int = MOST_BYTES) -> bytes:
        """The whole body; EngineFailed where it is longer."""
        ...


class HttpClient(Protocol):
    """May be used by many jobs at once. Leaving the block, or being cancelled in it, ends the exchange."""

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpAnswer]:
        """Raises EngineUnavailable where nobody could be reached, which is safe to try again; EngineTimeout
        and EngineFailed where the request may have been taken. Never raises for a status, and never follows
        a redirect: a key must not go where nobody sent it."""
        ...


class _NoNetwork:
    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpAnswer]:
        raise EngineUnavailable("An engine that is hosted is lent no HTTP client.")


NO_NETWORK: HttpClient = _NoNetwork()
