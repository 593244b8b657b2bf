"""The front-ends: each turns a user's text into segments for its candidates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypeVar

import structlog

from policies.lexicon import Words
from policies.routing import FrontEndNames
from proxy.config.sections import Config, PluginSection
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.registry import Registry
from speech_engine import EngineError, EngineFailed, EngineTimeout, FrontEnd, Segment

_log = structlog.get_logger()

_NO_SECTIONS: Mapping[str, PluginSection] = {}
_THREADS = 8
"""Front-ends have their own threads, so that a front-end that hangs blocks no other work."""


T = TypeVar("T")

Prepare = Callable[[str, str, Words], tuple[Segment, ...]]
"""A front-end's `prepare`, for a text, its language, and a lexicon's words. Raises only EngineError."""


class FrontEnds:
    def __init__(self, by_name: Mapping[str, FrontEnd], threads: ThreadPoolExecutor) -> None:
        self._by_name = by_name
        self._threads = threads

    @property
    def names(self) -> FrontEndNames:
        of_languages = {
            tag: name
            for name in sorted(self._by_name, reverse=True)
            for tag in getattr(self._by_name[name], "languages", ())
        }
        return FrontEndNames(frozenset(self._by_name), of_languages)

    def revision(self, name: str) -> str:
        return str(getattr(self._by_name.get(name), "revision", ""))

    async def read(self, work: Callable[[], T], within_s: float) -> T:
        """Read a text without its marks, in a thread. Raises EngineTimeout."""
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            raise EngineTimeout("The text could not be read in time.", retry_after_s=2.0) from None

    async def use(
        self, front_end: str, work: Callable[[Prepare], T], *, is_short: bool, within_s: float | None = None
    ) -> T:
        """Do work with a front-end in a thread: large dictionaries and lexicons take time. Short work with a
        quick front-end is done at once. Raises EngineError, and the errors of `work`.
        """
        prepare = partial(self._prepare, front_end)
        if is_short and getattr(self._by_name[front_end], "is_quick", False):
            return work(prepare)
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work, prepare)
        except TimeoutError:
            raise EngineTimeout(f"The front-end {front_end} took too long.", retry_after_s=2.0) from None

    def _prepare(self, front_end: str, text: str, language: str, words: Words) -> tuple[Segment, ...]:
        try:
            return self._by_name[front_end].prepare(text, language, words)
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001 - of a plugin: its message may quote the text
            _log.warning("front_end.prepare.failed", front_end=front_end, error=type(error).__name__)
            raise EngineFailed(f"The front-end {front_end} broke.") from None


@asynccontextmanager
async def open_front_ends(
    registry: Registry, sections: Mapping[str, PluginSection] = _NO_SECTIONS, routed: Collection[str] = ()
) -> AsyncIterator[FrontEnds]:
    """Open every installed front-end with its section's settings. If one fails, log that and leave it out.

    Only `routed` front-ends are warmed before the server is ready: others may never be used, and their
    dictionaries are large.
    """
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="front-end")
    async with AsyncExitStack() as stack:
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        opened: dict[str, FrontEnd] = {}
        for name in registry.plugins("front_end"):
            section = sections.get(name, PluginSection())
            plugin_request = PluginRequest("front_end", name, section, name in routed or name in sections)
            front_end = await open_plugin(stack, registry, plugin_request)
            if front_end is None:
                continue
            opened[name] = front_end
            if name in routed:
                await _warm(name, front_end, threads)
        yield FrontEnds(opened, threads)


def routed_front_ends(config: Config) -> frozenset[str]:
    usable_routes = (
        route
        for route in config.routes
        if not route.candidates or any(name.partition("/")[0] in config.engines for name in route.candidates)
    )
    return frozenset(route.front_end for route in usable_routes if route.front_end)


async def _warm(name: str, front_end: FrontEnd, threads: ThreadPoolExecutor) -> None:
    warm = getattr(front_end, "warm", None)
    if warm is None:
        return
    try:
        await asyncio.get_running_loop().run_in_executor(threads, warm)
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: its first text will tell more
        _log.warning("front_end.warm.failed", front_end=name, exc_info=error)
