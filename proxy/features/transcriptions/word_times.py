"""When words are heard in a sound whose words are known: local ears find them, sentence by sentence."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from itertools import pairwise

import structlog
from msgspec import UNSET
from msgspec.structs import replace

from proxy.api.speech_answers import SpeechReport, WordTime
from proxy.audio.formats import wav_header
from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.recording import UnusableRecording
from proxy.catalogue.ears import NoEars, OwnRecording
from proxy.errors import DecodingFailed, NoPlace
from speech_engine import EngineError, TranscriptSegment
from speech_engine.hearing import HEARING_HZ

WITHIN_S = 30.0
_SENTENCE_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f\u061f\u0964\n]")

_log = structlog.get_logger()


class WordTimes:
    """The times of words in the speech of engines that tell none."""

    def __init__(self, ears: NoEars, decoder: Decoder) -> None:
        self._ears = ears
        self._decoder = decoder

    async def with_times(self, account: str, sound: bytes, report: SpeechReport, text: str) -> SpeechReport:
        """Return the report of a sound with the times at which its words are heard. If they cannot be found,
        those that were computed stay."""
        from proxy.audio.recordings.derivation import whole_sound

        words = report.words or []
        if not words or not all(word.interpolated for word in words):
            return report
        if not self._ears.can_time(report.language):
            return report
        groups = _sentences(words, text)
        starts_s = [group[0].start_seconds for group in groups]
        if report.audio_format == "pcm":
            sound = wav_header(len(sound) // 2, report.sample_rate) + sound
        try:
            async with self._decoder.turn(account, waits=True):
                recording = await self._decoder.decode(sound)
            pcm = await asyncio.to_thread(whole_sound, recording.master, HEARING_HZ)
            own = OwnRecording("", account, pcm, report.language)
            texts = [" ".join([word.word for word in group]) for group in groups]
            found = await self._ears.score_words(own, texts, starts_s, WITHIN_S)
        except (EngineError, UnusableRecording, DecodingFailed, NoPlace) as error:
            _log.warning("word_times.failed", error=type(error).__name__)
            return report
        if len(found) != len(groups):
            return report
        borders = pairwise([*starts_s, report.duration_seconds])
        timed = [_timed(*each) for each in zip(groups, found, borders, strict=True)]
        return replace(report, words=[word for group in timed for word in group], word_times="heard")


def _sentences(words: Sequence[WordTime], text: str) -> list[list[WordTime]]:
    groups: list[list[WordTime]] = [[]]
    for word in words:
        if groups[-1] and _SENTENCE_END.search(text[groups[-1][-1].source_end : word.source_start]):
            groups.append([])
        groups[-1].append(word)
    return groups


def _timed(
    group: Sequence[WordTime], found: TranscriptSegment, borders: tuple[float, float]
) -> Sequence[WordTime]:
    """Return the words of a sentence at their times, in order and within its borders."""
    if len(found.words) != len(group):
        return group
    at_s, end_s = borders
    timed = []
    for word, spoken in zip(group, found.words, strict=True):
        at_s = min(max(at_s, spoken.start_s), end_s)
        timed.append(replace(word, start_seconds=round(at_s, 3), interpolated=UNSET))
    return timed
