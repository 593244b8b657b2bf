"""Comparers as the server asks them: in a thread, or in a process of their own that runs while it is needed.

Such a process may take half a gigabyte, and voices are made now and then. So it is started by the first
question, and ends when nobody has asked for some minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple, Protocol

import msgspec
import structlog

from proxy.config.sections import PluginSection
from proxy.engines import environments
from proxy.engines.environments import EnvironmentRefused
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.plugin_process import PluginLauncher, PluginProcess, PluginProcessFailed
from proxy.engines.registry import EngineConfigError, Registry
from speech_engine import Comparer, Hosted, SpeakerScale
from speech_engine.host.comparer_messages import ComparerReady, ComparisonQuestion, ComparisonScore
from speech_engine.host.pipe_messages import BeginPlugin

HOST_MODULE = "speech_engine.host.comparing"
WITHIN_S = 60.0
"""The time for one answer, the wait for its turn and the start of the process included."""
IDLE_S = 300.0
MOST_WAITING = 16

_log = structlog.get_logger()


class ComparerFailed(Exception):
    """There is no score. The message is for the operator."""


class SpeakerScore(NamedTuple):
    """A score, and the scale to read it by."""

    score: float
    scale: SpeakerScale


class SpeakerComparer(Protocol):
    """A comparer, wherever it runs."""

    name: str

    async def score(self, one: bytes, other: bytes) -> SpeakerScore:
        """Compare two recordings, PCM at `COMPARED_RATE_HZ`. Raises ComparerFailed."""
        ...


class _LocalComparer:
    """A comparer in the worker itself."""

    def __init__(self, name: str, comparer: Comparer, thread: ThreadPoolExecutor) -> None:
        self.name = name
        self._comparer = comparer
        self._thread = thread

    async def score(self, one: bytes, other: bytes) -> SpeakerScore:
        loop = asyncio.get_running_loop()
        try:
            score = await loop.run_in_executor(self._thread, self._comparer.compare, one, other)
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only
            raise ComparerFailed(f"{self.name} failed: {type(error).__name__}") from None
        return SpeakerScore(score, self._comparer.scale)


class HostedComparer:
    """A comparer in a process of its own. Close it."""

    def __init__(
        self, name: str, launcher: PluginLauncher, *, within_s: float = WITHIN_S, idle_s: float = IDLE_S
    ) -> None:
        self.name = name
        self._launcher = launcher
        self._within_s = within_s
        self._idle_s = idle_s
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._running: PluginProcess | None = None
        self._idle: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<HostedComparer {self.name}, {'started' if self._running else 'not started'}>"

    async def score(self, one: bytes, other: bytes) -> SpeakerScore:
        if self._waiting >= MOST_WAITING:
            raise ComparerFailed(f"{self.name} is busy")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._within_s), self._turn:
                return await self._scored(one, other)
        except TimeoutError:
            raise ComparerFailed(f"{self.name} gave no answer within {self._within_s:g} s") from None
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        self._drop()
        await self._launcher.close()

    async def _scored(self, one: bytes, other: bytes) -> SpeakerScore:
        if self._idle is not None:
            self._idle.cancel()
        is_whole = False
        try:
            if self._running is None:
                self._running = await self._launcher.start()
            scale = _scale_of(self._running)
            self._running.child.send(ComparisonQuestion(one, other))
            answer = await anext(self._running.messages, None)
            is_whole = True
        except PluginProcessFailed as failed:
            raise ComparerFailed(str(failed)) from None
        finally:
            if not is_whole:
                self._drop()  # whatever it says later would be the answer to another question
        if not isinstance(answer, ComparisonScore):
            self._drop()
            raise ComparerFailed(f"{self.name} ended while it compared")
        self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._drop)
        if answer.failure:
            raise ComparerFailed(f"{self.name} failed: {answer.failure}")
        return SpeakerScore(answer.score, scale)

    def _drop(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._running is not None:
            running, self._running = self._running, None
            self._launcher.end(running.child, running.messages)


def _scale_of(process: PluginProcess) -> SpeakerScale:
    match process.ready:
        case ComparerReady(same, other):
            return SpeakerScale(same, other)
    raise PluginProcessFailed("its process is no comparer's")


@asynccontextmanager
async def open_comparer(
    registry: Registry, name: str, section: PluginSection, environ: Mapping[str, str]
) -> AsyncIterator[SpeakerComparer | None]:
    """Open the comparer of this name. If it cannot be used, log why, and yield None.

    `environ` is all that its process inherits.
    """
    async with AsyncExitStack() as stack:
        plugin = registry.plugins("comparer").get(name)
        if plugin is not None and isinstance(plugin.create, Hosted):
            hosted = _hosted(registry, name, section, environ, plugin.create)
            if hosted is not None:
                stack.push_async_callback(hosted.close)
            yield hosted
            return
        request = PluginRequest("comparer", name, section, is_asked_for=True)
        comparer: Comparer | None = await open_plugin(stack, registry, request)
        if comparer is None:
            yield None
            return
        thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix=name))
        yield _LocalComparer(name, comparer, thread)


def _hosted(
    registry: Registry, name: str, section: PluginSection, environ: Mapping[str, str], hosted: Hosted
) -> HostedComparer | None:
    try:
        settings = registry.settings("comparer", name, section)
        interpreter = environments.interpreter(name, hosted)
    except (EngineConfigError, EnvironmentRefused) as error:
        _log.warning("plugin.start.refused", kind="comparer", plugin=name, reason=str(error))
        return None
    begin = BeginPlugin(
        name, hosted.module, msgspec.json.encode(settings), needs=hosted.needs, memory_mb=hosted.memory_mb
    )
    return HostedComparer(name, PluginLauncher(HOST_MODULE, begin, interpreter, environ))
