"""The user's text → segments, by the front-end that a candidate names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from proxy.engines.registry import Registry
from speech_engine import Context, FrontEnd, Hosted, Segment

_log = structlog.get_logger()


class FrontEnds:
    def __init__(self, by_name: Mapping[str, FrontEnd]) -> None:
        self._by_name = by_name

    def __repr__(self) -> str:
        return f"<FrontEnds {', '.join(self._by_name)}>"

    async def prepare(self, front_end: str, text: str, language: str) -> tuple[Segment, ...]:
        """In a thread: a front-end may look things up in large dictionaries."""
        return await asyncio.to_thread(self._by_name[front_end].prepare, text, language, {})


@asynccontextmanager
async def open_front_ends(registry: Registry) -> AsyncIterator[FrontEnds]:
    """A default instance of every front-end that is installed; one that fails is left out, and logged."""
    async with AsyncExitStack() as stack:
        opened: dict[str, FrontEnd] = {}
        for name, plugin in registry.plugins("front_end").items():
            if isinstance(plugin.create, Hosted):
                _log.warning("front_end.start.refused", front_end=name, reason="only engines can be hosted")
                continue
            created = plugin.create(name, plugin.settings(), Context(_log.bind(front_end=name)))
            try:
                opened[name] = await stack.enter_async_context(created)
            except Exception as error:  # noqa: BLE001 - the seam around a plugin: logged, the others serve
                _log.warning("front_end.start.failed", front_end=name, exc_info=error)
        yield FrontEnds(opened)
