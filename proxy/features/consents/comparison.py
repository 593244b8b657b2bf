"""Compares the speaker of a consent with the speaker of a sample, by the configured comparer.

The answer is stored. By itself it refuses no voice: a comparer is wrong about similar voices, and cannot tell
a played recording from a person. An operator may decide that the answer `other` refuses a voice.

A comparer works in a thread, or in a process of its own. The process may take half a gigabyte and is rarely
needed. So it starts with the first request, and ends after `IDLE_S`. Its callers hold a turn of the uploads,
so only a few compare at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple, Protocol

import msgspec
import structlog

from policies.sample_quality import SampleQuality
from proxy.audio.recordings.recording import UnusableRecording
from proxy.catalogue.voice_records import ComparisonResult
from proxy.config.secret import environ_for_hosts
from proxy.config.sections import Config, ConsentSection, PluginSection
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.registry import EngineConfigError, Registry
from proxy.features.consents.rules import judge_speakers
from proxy.helpers.child import HOST_NICENESS
from proxy.helpers.helper import Helper, HelperFailed, HelperSpec
from proxy.hosts.environments import environments
from proxy.hosts.environments.environments import EnvironmentRefused
from speech_engine import Comparer, Hosted, SpeakerScale
from speech_engine.comparer import COMPARED_RATE_HZ
from speech_engine.host import pipe, plugin_messages
from speech_engine.host.plugin_messages import BeginPlugin, ComparerReady, ComparisonQuestion, ComparisonScore

HOST_MODULE = "speech_engine.host.comparing"
WITHIN_S = 60.0
"""The time limit of an answer, including the wait for its turn and the start of the process."""
IDLE_S = 300.0

_log = structlog.get_logger()


class ComparerFailed(Exception):
    """There is no score. The message is for the operator."""


class SpeakerComparer(Protocol):
    name: str

    async def score(self, first: bytes, second: bytes) -> tuple[float, SpeakerScale]:
        """Compare two recordings, which are PCM at `COMPARED_RATE_HZ`. Return a score, and the scale that
        gives it a meaning. Raises ComparerFailed."""
        ...


class _LocalComparer:
    def __init__(self, name: str, comparer: Comparer, thread: ThreadPoolExecutor) -> None:
        self.name = name
        self._comparer = comparer
        self._thread = thread

    async def score(self, first: bytes, second: bytes) -> tuple[float, SpeakerScale]:
        loop = asyncio.get_running_loop()
        try:
            score = await loop.run_in_executor(self._thread, self._comparer.compare, first, second)
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only
            raise ComparerFailed(f"{self.name} failed: {type(error).__name__}") from None
        return score, self._comparer.scale


class HostedComparer:
    """A comparer in a process of its own. Close it."""

    def __init__(self, helper: Helper, *, within_s: float = WITHIN_S) -> None:
        self.name = helper.spec.name
        self._helper = helper
        self._within_s = within_s

    async def score(self, first: bytes, second: bytes) -> tuple[float, SpeakerScale]:
        question = pipe.encode(ComparisonQuestion(first, second))
        try:
            async with asyncio.timeout(self._within_s), self._helper.turn, self._helper.use_process() as life:
                scale = life.ready  # the first message of the process has its scale
                answer = plugin_messages.unpack(await life.ask(question))
                if not isinstance(answer, ComparisonScore) or not isinstance(scale, ComparerReady):
                    raise HelperFailed
        except TimeoutError:
            raise ComparerFailed(f"{self.name} gave no answer within {self._within_s:g} s") from None
        except HelperFailed as failed:
            ended = f"{self.name} ended while it compared"
            raise ComparerFailed(str(failed) if failed.cause == "refused" else ended) from None
        except msgspec.MsgspecError:
            raise ComparerFailed(f"{self.name} ended while it compared") from None
        if answer.failure:
            raise ComparerFailed(f"{self.name} failed: {answer.failure}")
        return answer.score, SpeakerScale(scale.same, scale.other)

    async def close(self) -> None:
        await self._helper.close()


@asynccontextmanager
async def open_comparer(
    registry: Registry, name: str, section: PluginSection, environ: Mapping[str, str]
) -> AsyncIterator[SpeakerComparer | None]:
    """Open the comparer of this name. If it is unusable, log the reason, and yield None.

    Its process inherits `environ` and nothing else.
    """
    async with AsyncExitStack() as stack:
        plugin = registry.plugins("comparer").get(name)
        if plugin is not None and isinstance(plugin.create, Hosted):
            hosted = _build_hosted(registry, name, section, environ, plugin.create)
            if hosted is not None:
                stack.push_async_callback(hosted.close)
            yield hosted
            return
        request = PluginRequest("comparer", name, section, is_required=True)
        comparer: Comparer | None = await open_plugin(stack, registry, request)
        if comparer is None:
            yield None
            return
        thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix=name))
        yield _LocalComparer(name, comparer, thread)


def _build_hosted(
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
    spec = HelperSpec(
        module=HOST_MODULE,
        name=name,
        begin=begin,
        unpack=plugin_messages.unpack,
        interpreter=interpreter,
        environ=environ,
        niceness=HOST_NICENESS,
        idle_s=IDLE_S,
    )
    return HostedComparer(Helper(spec))


_MOST_COMPARED_S = 30.0


class RatedRecording(NamedTuple):
    """A recording in the format of the vault, with its measured quality."""

    master: bytes
    quality: SampleQuality

    def __repr__(self) -> str:
        return f"<RatedRecording {self.quality.rating}>"


class SpeakerComparison:
    def __init__(self, section: ConsentSection, comparer: SpeakerComparer | None) -> None:
        self._section = section
        self._comparer = comparer

    @property
    def has_comparer(self) -> bool:
        return bool(self._section.comparer)

    async def compare(self, first: RatedRecording, second: RatedRecording) -> ComparisonResult | None:
        """Compare two recordings. Return None if no comparer is configured.

        If the comparer fails, the answer is "unsure" and has no score. It refuses no voice.
        """
        name = self._section.comparer
        if not name:
            return None
        if self._comparer is None:
            return ComparisonResult("unsure", comparer=name)
        try:
            sounds = [await asyncio.to_thread(_derive_compared, each) for each in (first, second)]
            score, scale = await self._comparer.score(*sounds)
        except (ComparerFailed, UnusableRecording) as error:
            _log.warning("consent.compare.failed", comparer=name, reason=str(error))
            return ComparisonResult("unsure", comparer=name)
        ratings = (first.quality.rating, second.quality.rating)
        return ComparisonResult(judge_speakers(score, scale, ratings), round(score, 3), name)

    def refuses(self, comparison: ComparisonResult | None) -> bool:
        """Tell whether the operator refuses a voice with this result."""
        return (
            comparison is not None
            and comparison.answer == "other"
            and self._section.other_speaker == "refuse"
        )


def _derive_compared(recording: RatedRecording) -> bytes:
    # This import loads numpy, so it is made only when needed.
    from proxy.audio.recordings.derivation import SampleSpec, derive_sample

    spec = SampleSpec(least_s=0.0, most_s=_MOST_COMPARED_S, rate_hz=COMPARED_RATE_HZ)
    return derive_sample(recording.master, recording.quality, spec)


@asynccontextmanager
async def open_comparison(registry: Registry, config: Config) -> AsyncIterator[SpeakerComparison]:
    """Open the comparer that [consent] names, and log it if it is unusable."""
    name = config.consent.comparer
    async with AsyncExitStack() as stack:
        comparer = None
        if name:
            section = config.plugin("comparer", name)
            environ = environ_for_hosts(os.environ, config.secrets)
            comparer = await stack.enter_async_context(open_comparer(registry, name, section, environ))
        yield SpeakerComparison(config.consent, comparer)
