"""The times of words in speech whose engine gives none: a local recogniser finds them, sentence by
sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import structlog
from msgspec import UNSET
from msgspec.structs import replace

from proxy.api.speech_answers import SpeechReport, SpeechReporter, WordTime, speech_report
from proxy.audio.formats import wav_header
from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.recording import UnusableRecording
from proxy.catalogue.recognition import LocalRecognition, OwnRecording
from proxy.errors import DecodingFailed, NoPlace
from proxy.speech.answer import Answer
from speech_engine import EngineError, TranscriptSegment
from speech_engine.hearing import HEARING_HZ

_STEP_WITHIN_S, _ANSWER_WITHIN_S = 30.0, 3.0
_MOST_SENTENCES, _MOST_S = 20, 100.0
"""The most sentences and seconds of an answer whose client waits. A recogniser needs too long for more."""

_PAUSE_MARKS = frozenset(
    ",;:.!?\u2013\u2014\u2026\u060c\u061b\u061f\u0964\u3001\u3002\uff01\uff0c\uff1b\uff1f"
)
"""The marks at which a speaker pauses. Without them, a recogniser adds the pause to the next word."""

_log = structlog.get_logger()


class WordTimes(SpeechReporter):
    """Replaces computed times of words by heard ones, where these can be found."""

    def __init__(self, recognition: LocalRecognition, decoder: Decoder) -> None:
        self._recognition = recognition
        self._decoder = decoder

    async def report(self, answer: Answer, first_character: int = 0, sound: bytes = b"") -> SpeechReport:
        computed = speech_report(answer, first_character)
        # Only a step of a job gives its sound.
        groups, is_step = _sentences(answer, computed), bool(sound)
        is_short = len(groups) <= _MOST_SENTENCES and computed.duration_seconds <= _MOST_S
        if not groups or not self._recognition.can_time(computed.language) or not (is_step or is_short):
            return computed
        sound, account = sound or await answer.read_collected(), answer.call.caller.account
        if computed.audio_format == "pcm":
            sound = wav_header(len(sound) // 2, computed.sample_rate) + sound
        starts_s = [group[0].start_seconds for group in groups]
        texts = _sentence_texts(groups, answer.call.request.text[first_character:])
        within_s = _STEP_WITHIN_S if is_step else _ANSWER_WITHIN_S
        try:
            async with asyncio.timeout(within_s):
                pcm = await self._decode_sound(account, sound, waits=is_step)
                recording = OwnRecording("", account, pcm, computed.language)
                found = await self._recognition.score_words(recording, texts, starts_s, within_s)
        except (EngineError, UnusableRecording, DecodingFailed, NoPlace, TimeoutError) as error:
            _log.warning("word_times.failed", error=type(error).__name__)
            return computed
        if len(found) != len(groups):
            return computed
        borders = pairwise([*starts_s, computed.duration_seconds])
        timed = [_at_spoken_times(*each) for each in zip(groups, found, borders, strict=True)]
        return replace(computed, words=[word for group in timed for word in group], word_times="heard")

    async def _decode_sound(self, account: str, sound: bytes, *, waits: bool) -> bytes:
        from proxy.audio.recordings.derivation import whole_sound

        async with self._decoder.turn(account, waits=waits):
            recording = await self._decoder.decode(sound)
        return await asyncio.to_thread(whole_sound, recording.master, HEARING_HZ)


def _sentences(answer: Answer, computed: SpeechReport) -> list[list[WordTime]]:
    """Return the words of each segment, or nothing if an engine gave times or the first beginning is
    unknown."""
    groups: list[list[WordTime]] = []
    for word, own in zip(computed.words or (), answer.speech.words or (), strict=True):
        if not own.is_interpolated or not (groups or own.begins_segment):
            return []
        if own.begins_segment:
            groups.append([])
        groups[-1].append(word)
    return groups


def _sentence_texts(groups: Sequence[Sequence[WordTime]], text: str) -> list[str]:
    """Return the text of each sentence: its words with the marks behind them, and blanks only between
    words."""
    words = [word for group in groups for word in group]
    ends = [*(word.source_start for word in words[1:]), len(text)]
    marked = [
        word.word + next((sign for sign in text[word.source_end : end] if sign in _PAUSE_MARKS), "")
        for word, end in zip(words, ends, strict=True)
    ]
    rest = iter(marked)
    return [" ".join([next(rest) for _ in group]) for group in groups]


def _at_spoken_times(
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
