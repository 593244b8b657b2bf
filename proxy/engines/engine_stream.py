"""The interface of an engine's stream: one piece of work on one engine, event by event."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from speech_engine import Event


class EngineStream(Protocol):
    async def next_event(self) -> Event | None: ...

    async def close(self) -> None: ...


class GeneratorStream:
    def __init__(self, events: AsyncGenerator[Event, None]) -> None:
        self._events = events

    async def next_event(self) -> Event | None:
        return await anext(self._events, None)

    async def close(self) -> None:
        await self._events.aclose()
