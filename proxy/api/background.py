"""Requests for speech that nobody waits for: a protocol of the feature jobs."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec
from starlette.responses import Response

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.speech.speech_request import Defaults


class BackgroundRequest(NamedTuple):
    """A request for speech as it was sent, which was counted already. `key` is its Idempotency-Key."""

    id: str
    caller: Caller
    terms: Terms
    body: bytes
    defaults: Defaults
    key: str | None

    def __repr__(self) -> str:
        return f"<BackgroundRequest {self.id}>"


class Background(Protocol):
    """Speaks requests later. `accepted` is what their 202 has."""

    accepted: type[msgspec.Struct]

    async def begin(self, request: BackgroundRequest) -> Response:
        """Have a request spoken, and answer at once. Raises what a request for speech raises."""
        ...
