"""Interfaces of features that take other requests for speech: a form with its own voice, or a background
job."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec
from starlette.responses import Response

from policies.plans import Terms
from policies.routing import Voice
from proxy.access.admission import Admission
from proxy.access.callers import Caller
from proxy.http.connection import Connection
from proxy.speech.speech_request import Defaults, SpeechRequest
from proxy.speech.usage_tag import read_tag
from speech_engine.redacted import Redacted


class SpeechForms(Protocol):
    """Reads requests that are forms. `form` has their texts, and `files` has the names of their files."""

    form: type[msgspec.Struct]
    files: tuple[str, ...]

    def open_form(
        self,
        connection: Connection,
        caller: Caller,
        terms: Terms,
        defaults: Defaults,
        client_fields: frozenset[str],
    ) -> AbstractAsyncContextManager[tuple[SpeechRequest, Voice]]:
        """Read a form. Yields the request and its voice, which exists until the block is left.

        Raises InvalidRequest, NotFound, NotAllowed if the plan allows no such requests, and QuotaExceeded.
        """
        ...


class BackgroundRequest(Redacted, msgspec.Struct, frozen=True):
    """A request for speech as it was sent. It was counted already, as one. `key` is its Idempotency-Key, and
    `tags` are the values of its header `x-voxgate-tag`."""

    id: str
    admission: Admission
    caller: Caller
    terms: Terms
    body: bytes
    defaults: Defaults
    key: str | None
    tags: Sequence[str] = ()

    def tag(self, body_tag: str | None) -> str:
        """Return the tag, which the header or the body has. Raises InvalidRequest."""
        return read_tag(self.tags, body_tag)


class Background(Protocol):
    """Speaks requests later. `accepted` is the body of their 202."""

    accepted: type[msgspec.Struct]

    async def make_job(self, request: BackgroundRequest) -> Response:
        """Answer at once, and speak the request later. Raises the errors of a request for speech."""
        ...
