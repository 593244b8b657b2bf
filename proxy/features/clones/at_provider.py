"""The clones of one account at a provider.

Each request waits for its key's rate limit. It takes no slot of speech, and its outcome does not count for
the breaker.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from proxy.engines.engine_list import LiveEngine
from speech_engine import (
    Clone,
    CloneList,
    CloneRequest,
    ClonesListed,
    DeleteVoice,
    EngineFailed,
    Event,
    FindClone,
    ListClones,
    VoiceMade,
    VoiceNotFound,
    Work,
)

_QUEUE_S = 30.0
"""The longest wait for the pace. The engine has its own limits for what its provider does."""


class ProviderClones:
    """The clones of one engine under one credential. Its methods raise EngineError."""

    def __init__(self, engine: LiveEngine, credential: str, tenant: str) -> None:
        self._engine = engine
        self._credential = credential
        self._tenant = tenant

    async def make(self, request: CloneRequest) -> str:
        found = _voice_in(await self._events(Clone, request=request))
        if found is None:
            raise EngineFailed("The engine made a voice without saying which one.")
        return found

    async def find(self, name: str) -> str | None:
        """Return the id of the voice of this name, or None if there surely is none."""
        return _voice_in(await self._events(FindClone, name=name))

    async def list_(self, prefix: str) -> CloneList:
        """List the voices whose names begin like this, and the room that is left."""
        for event in await self._events(ListClones, prefix=prefix):
            if isinstance(event, ClonesListed):
                return event.listed
        raise EngineFailed("The engine listed its voices without an answer.")

    async def delete(self, voice: str) -> None:
        """Delete a voice. One that is gone already is as good."""
        try:
            await self._events(DeleteVoice, voice=voice)
        except VoiceNotFound:
            return

    async def _events(self, kind: Callable[..., Work], **more: object) -> list[Event]:
        stream = self._engine.open(
            kind(
                id=f"clone_{secrets.token_hex(8)}",
                tenant=self._tenant,
                deadline_s=_QUEUE_S,
                credential=self._credential,
                **more,
            )
        )
        events: list[Event] = []
        try:
            while (event := await stream.next_event()) is not None:
                events.append(event)
        finally:
            await stream.close()
        return events


def _voice_in(events: list[Event]) -> str | None:
    return next((event.id for event in events if isinstance(event, VoiceMade)), None)
