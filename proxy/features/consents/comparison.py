"""Compares the speaker of a consent with the speaker of a sample, by the configured comparer.

The answer is recorded. By itself it stops nothing: a comparer errs on voices that are alike, and takes a
recording for a person. An operator may decide that the answer `other` refuses a voice.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import structlog

from policies.sample_quality import SampleQuality
from proxy.audio.recordings.recording import UnusableRecording
from proxy.catalogue.voice_records import Compared
from proxy.config.secret import environ_for_hosts
from proxy.config.sections import Config, ConsentSection
from proxy.engines.registry import Registry
from proxy.features.consents.comparers import ComparerFailed, SpeakerComparer, open_comparer
from proxy.features.consents.rules import judge_speakers
from speech_engine.comparer import COMPARED_RATE_HZ

_MOST_S = 30.0

_log = structlog.get_logger()


class RatedRecording(NamedTuple):
    master: bytes
    quality: SampleQuality

    def __repr__(self) -> str:
        return f"<RatedRecording {self.quality.rating}>"


class SpeakerComparison:
    def __init__(self, section: ConsentSection, comparer: SpeakerComparer | None) -> None:
        self._section = section
        self._comparer = comparer

    async def compare(self, one: RatedRecording, other: RatedRecording) -> Compared | None:
        """Compare two recordings. Return None if no comparer is configured.

        If the comparer fails, the answer is unsure without a score, which refuses no voice.
        """
        name = self._section.comparer
        if not name:
            return None
        if self._comparer is None:
            return Compared("unsure", comparer=name)
        try:
            sounds = [await asyncio.to_thread(_compared_part, each) for each in (one, other)]
            score, scale = await self._comparer.score(*sounds)
        except (ComparerFailed, UnusableRecording) as error:
            _log.warning("consent.compare.failed", comparer=name, reason=str(error))
            return Compared("unsure", comparer=name)
        ratings = (one.quality.rating, other.quality.rating)
        return Compared(judge_speakers(score, scale, ratings), round(score, 3), name)

    def refuses(self, comparison: Compared | None) -> bool:
        return (
            comparison is not None
            and comparison.answer == "other"
            and self._section.other_speaker == "refuse"
        )


def _compared_part(recording: RatedRecording) -> bytes:
    # It loads numpy, which a worker does only where it is needed.
    from proxy.audio.recordings.derivation import SampleSpec, derive

    spec = SampleSpec(0.0, _MOST_S, COMPARED_RATE_HZ)
    return derive(recording.master, recording.quality, spec)


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
