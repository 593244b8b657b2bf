"""Requests for speech that nobody waits for: a protocol of the feature jobs, with a stand-in."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec
from starlette.responses import Response

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.errors import InvalidRequest
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

    accepted: type[msgspec.Struct] | None

    async def begin(self, request: BackgroundRequest) -> Response:
        """Have a request spoken, and answer at once. Raises what a request for speech raises."""
        ...


class NoBackground:
    """Speaks nothing later."""

    accepted: type[msgspec.Struct] | None = None

    async def begin(self, request: BackgroundRequest) -> Response:
        del request
        raise InvalidRequest("'background' can only be false: this server has no jobs.", param="background")


NO_BACKGROUND: Background = NoBackground()
