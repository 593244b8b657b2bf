"""Marks, inaudible signs in sound, as the server has them: in the worker, or in processes (`hosted_mark`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from proxy.audio.formats import SoundFailed
from proxy.config.sections import PluginSection
from proxy.engines.environments import environments
from proxy.engines.environments.environments import EnvironmentRefused
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.registry import EngineConfigError, Registry
from proxy.engines.stored_models import MODEL_PATH, hold
from proxy.features.marks.hosted_mark import HostedMark, HostedMarkStream, MarkUnusable
from proxy.helpers.child import HOST_NICENESS
from proxy.helpers.helper import Helper, HelperSpec
from speech_engine import EngineUnavailable, Hosted
from speech_engine.host.plugin_messages import BeginPlugin, unpack
from speech_engine.mark import Mark, MarkKey, MarkStream

HOST_MODULE = "speech_engine.host.marking"
IDLE_S = 900.0

_log = structlog.get_logger()


class MarkRequest(NamedTuple):
    """A mark to open. Its process inherits only `environ`; `data` has the imported models."""

    name: str
    section: PluginSection
    environ: Mapping[str, str]
    data: str


UsableMark = HostedMark | Mark
"""A mark in a process of its own, or in the worker itself: that takes 0.2 ms for 100 ms of sound."""


class AnswerMark:
    """The mark of one answer. After `flush`, its output is as long as its input. Raises EngineUnavailable."""

    def __init__(self, name: str, stream: HostedMarkStream | MarkStream) -> None:
        self._name, self._stream = name, stream
        self.goes_on: bool = getattr(stream, "goes_on", False)

    async def feed(self, pcm: bytes) -> bytes:
        return await self._step(self._stream.feed, pcm)

    async def flush(self) -> bytes:
        return await self._step(self._stream.flush)

    async def close(self) -> None:
        if isinstance(self._stream, HostedMarkStream):
            await self._stream.close()

    async def _step(self, step: Callable[..., bytes | Awaitable[bytes]], *pcm: bytes) -> bytes:
        try:
            sound = step(*pcm)  # a hosted mark gives an awaitable, any other mark gives bytes
            return sound if isinstance(sound, bytes) else await sound
        except SoundFailed as failure:
            reason = str(failure)
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only
            reason = f"the mark {self._name} failed: {type(error).__name__}"
        raise EngineUnavailable(f"The sound could not be marked: {reason}", retry_after_s=2.0)


async def open_answer_mark(
    name: str, mark: UsableMark, sample_rate_hz: int, key: MarkKey, payload: int
) -> AnswerMark:
    """Open the mark of an answer. Raise MarkUnusable."""
    if isinstance(mark, HostedMark):
        return AnswerMark(name, await mark.open(sample_rate_hz, key, payload))
    try:
        return AnswerMark(name, mark.open(sample_rate_hz, key, payload))
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only
        raise MarkUnusable(f"the mark {name} failed: {type(error).__name__}") from None


async def open_mark(stack: AsyncExitStack, registry: Registry, request: MarkRequest) -> UsableMark | None:
    """Open a mark until the stack ends. If it is unusable, log the reason, and return None."""
    plugin = registry.plugins("mark").get(request.name)
    if plugin is not None and isinstance(plugin.create, Hosted):
        hosted = _hosted(stack, registry, request, plugin.create)
        if hosted is not None:
            stack.push_async_callback(hosted.close)
        return hosted
    configured = PluginRequest("mark", request.name, request.section, is_required=True)
    mark: Mark | None = await open_plugin(stack, registry, configured)
    return mark


def hosted_parts(
    registry: Registry, request: MarkRequest, hosted: Hosted
) -> tuple[msgspec.Struct, str, Path | None]:
    """Return the settings of a mark, the interpreter of its process, and the folder of its imported model.
    Raise EngineConfigError and EnvironmentRefused."""
    name = request.name
    plugin = registry.plugins("mark")[name]
    settings = registry.settings("mark", name, request.section, request.data)
    interpreter = environments.interpreter(name, hosted)
    if lacking := plugin.missing(settings):
        raise EngineConfigError("; ".join(f"{name}: {each.what}: {each.do}" for each in lacking))
    model = Path(getattr(settings, MODEL_PATH)) if plugin.model_format is not None else None
    return settings, interpreter, model


def _hosted(
    stack: ExitStack | AsyncExitStack, registry: Registry, request: MarkRequest, hosted: Hosted
) -> HostedMark | None:
    name = request.name
    try:
        settings, interpreter, model = hosted_parts(registry, request, hosted)
        if model is not None:
            # `voxgate models remove` must not take it from the next process.
            stack.enter_context(hold(model))
    except (EngineConfigError, EnvironmentRefused, OSError) as error:
        _log.warning("plugin.start.refused", kind="mark", plugin=name, reason=str(error))
        return None
    encoded = msgspec.json.encode(settings)
    begin = BeginPlugin(name, hosted.module, encoded, needs=hosted.needs, memory_mb=hosted.memory_mb)
    return HostedMark(
        Helper(
            HelperSpec(
                module=HOST_MODULE,
                name=name,
                begin=begin,
                unpack=unpack,
                interpreter=interpreter,
                environ=request.environ,
                niceness=HOST_NICENESS,
                idle_s=IDLE_S,
                rest_s=10.0,
                is_numbered=True,
            )
        )
    )
