"""The check of a spoken part: a recogniser hears it, and the transcript is compared with the text.

Recognisers make mistakes, too. So whatever follows the first comparison can only make the verdict milder, and
a part that cannot be heard in time is sent as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from math import exp
from typing import NamedTuple

import structlog

from policies import language as languages
from policies.routing import PLAIN, Candidate, voice_text
from proxy.audio import libraries
from proxy.audio.formats import SoundFailed
from proxy.catalogue.recognition import (
    WINDOW_S,
    LocalRecognition,
    MadeSpeech,
    OwnRecording,
    Recogniser,
    ScoredTranscript,
)
from proxy.features.heard.checked_parts import MadePartCheck
from proxy.features.heard.lengths import SentenceSize, SoundFacts, VoiceLengths
from proxy.features.heard.made_part import MadePart
from proxy.features.heard.queue import HearingQueue, RecogniserSlots, TooLate
from proxy.features.heard.rates import MisheardRates
from proxy.features.heard.section import CheckSection
from proxy.features.heard.wanted import WantedText, wanted_text
from proxy.features.heard.watch import FAILED, LATE, CheckWatch
from proxy.speech.front_ends import FrontEnds, Prepare
from proxy.speech.part import Part
from proxy.speech_steps.check_totals import PartVerdict
from speech_engine import EngineError
from speech_engine.text.comparing import (
    Evidence,
    ScoredWord,
    Sounds,
    WordComparison,
    compare,
    plain_sounds,
    texts_to_sound,
)
from speech_engine.text.english_readings import is_english, times_written
from speech_engine.text.said import with_times_of

LEAST_S = 0.4
"""A shorter part is not heard."""
OFTEN_CALLED_WRONG = frozenset(
    (("kokoro/standard", "en"), ("kokoro/standard", "es"), ("piper/standard", "en"))
)
"""Models, by name, and languages of which `bench.heard_check` calls more than 2 right sentences in 100 wrong.
Their wrong sentences count as unsure: they are said again once, and are never free."""
_USUAL_LENGTH, _WRONG_LENGTH = 1.0, 0.0
_RESERVE_S = 0.05
"""A second hearing is stopped so long before the end of the time, so that the first one still counts."""
_TIMES_LONGER, _MORE_LETTERS = 4, 500
"""A transcript may be so many times as long as its text, and so many letters longer. The rest is cut off."""

_log = structlog.get_logger()


class _ComparablePart(NamedTuple):
    """A part with all that a transcript of it is compared with. `front_end` is the name of the front-end that
    must read the transcript, as it has read the `wanted` text."""

    made: MadePart
    wanted: WantedText
    sound: SoundFacts
    front_end: str


class TranscriptCheck(MadePartCheck):
    """Checks parts in one worker. Each revision sets the section of the configuration."""

    def __init__(
        self, recognition: LocalRecognition, front_ends: FrontEnds, watch: CheckWatch, rates: MisheardRates
    ) -> None:
        self._recognition = recognition
        self._front_ends = front_ends
        self._watch = watch
        self._rates = rates
        # What is late for a listener says nothing of how long an answer in one piece may wait. But both have
        # the share of the recogniser's windows together.
        live, idle = RecogniserSlots(), RecogniserSlots()
        self._streamed, self._whole, self._idle = HearingQueue(live), HearingQueue(live), HearingQueue(idle)
        self._lengths = VoiceLengths()
        self.use_section(CheckSection())

    def use_section(self, section: CheckSection) -> None:
        self._share, self.is_paid_again, self.checks_jobs = section.share, section.paid_again, section.jobs

    def obstacle(self, candidate: Candidate, language: str) -> str:
        if self._find_recogniser(candidate, language) is not None:
            return ""
        if not _is_speech(candidate):
            return "model"
        return "language" if self._recognition.may_hear("") else "no_ears"

    def at_sentences(self, parts: Sequence[Part], text: str, speed: float) -> Sequence[Part]:
        return super().at_sentences([*map(self._rates.with_order, parts)], text, speed)

    async def verdict_on(self, made: MadePart) -> PartVerdict:
        verdict = await self._verdict_in_time(made)
        self._watch.note_result(verdict)
        return verdict

    def _find_recogniser(self, candidate: Candidate, language: str) -> Recogniser | None:
        return self._recognition.find_recogniser(language, is_speech=_is_speech(candidate))

    async def _verdict_in_time(self, made: MadePart) -> PartVerdict:
        if made.length_s < LEAST_S:
            return _unchecked("short")
        recogniser = self._find_recogniser(made.candidate, made.job.language)
        if recogniser is None:
            return _unchecked(self.obstacle(made.candidate, made.job.language))
        until = asyncio.get_running_loop().time() + made.within_s
        try:
            slots = 1 if made.is_idle else max(1, int(self._share * recogniser.slots))
            live = self._whole if made.goes_whole else self._streamed
            queue = self._idle if made.is_idle else live
            async with queue.turn(recogniser.name, slots, made.length_s, until):
                return await self._verdict(made, recogniser, until)
        except TooLate:
            return _unchecked(LATE)
        except (EngineError, SoundFailed) as error:
            _log.warning("check.hear.failed", request=made.job.id, error=type(error).__name__)
            return _unchecked(FAILED)

    async def _verdict(self, made: MadePart, recogniser: Recogniser, until: float) -> PartVerdict:
        front_end = self._comparing_front_end(made)
        wanted = await self._read_wanted(made, front_end)
        if not wanted.tokens:
            return _unchecked("no_words")
        await libraries.ensure_loaded()
        # It needs numpy, which `ensure_loaded` has loaded.
        from proxy.features.heard.sound import read_sound

        sound = await asyncio.to_thread(read_sound, made.pcm, made.rate_hz)
        part = _ComparablePart(made, wanted, sound, front_end)
        found = await self._compare_with_transcript(part)
        if found.verdict == "wrong":
            found = await self._hear_again(part, found, until)
        result = found.verdict
        model, language = made.candidate.model.name, languages.base_tag(made.job.language)
        if result == "wrong" and (model, language) in OFTEN_CALLED_WRONG:
            result = "unsure"
        verdict = PartVerdict(result, tuple([wanted.wrong_words(run) for run in found.runs]))
        self._rates.count_words(made, wanted.tokens, verdict, recogniser.name)
        return verdict

    async def _hear_again(self, part: _ComparablePart, first: WordComparison, until: float) -> WordComparison:
        """Hear a wrong part in a full window, which makes other mistakes. Return the milder comparison: a
        part may be free only if it is wrong twice."""
        second = first._replace(verdict="unsure")
        if part.made.length_s <= WINDOW_S:
            with suppress(TimeoutError, EngineError):
                async with asyncio.timeout_at(until - _RESERVE_S):
                    second = await self._compare_with_transcript(part, full_window=True)
        return min(first, second, key=lambda each: (_severity(each), len(each.runs)))

    def _comparing_front_end(self, made: MadePart) -> str:
        """Return the front-end that reads both texts: the part's, or, if it is PLAIN, the language's."""
        if made.candidate.front_end != PLAIN:
            return made.candidate.front_end
        return self._front_ends.names.by_language.get(languages.base_tag(made.job.language), PLAIN)

    async def _read_wanted(self, made: MadePart, front_end: str) -> WantedText:
        is_read = front_end == made.candidate.front_end
        has_tags = not made.candidate.model.info.is_local

        def read(prepare: Prepare) -> WantedText:
            return wanted_text(
                made.places,
                None if is_read else lambda text: prepare(text, made.job.language, {}),
                has_tags=has_tags,
            )

        return await self._front_ends.use(front_end, read, is_short=False)

    async def _read_transcript(self, part: _ComparablePart, transcript: str) -> str:
        language, most = part.made.job.language, _TIMES_LONGER * len(part.wanted.text) + _MORE_LETTERS
        text = with_times_of(part.made.places.text, transcript[:most])
        text = times_written(text) if is_english(language) else text
        if not any(map(str.isalnum, text)):
            return text
        segments = await self._front_ends.use(
            part.front_end, lambda prepare: prepare(text, language, {}), is_short=False
        )
        return " ".join([each.spoken for each in segments])

    async def _compare_with_transcript(
        self, part: _ComparablePart, *, full_window: bool = False
    ) -> WordComparison:
        """Hear a part, and compare. The length of a right sentence is noted for its voice."""
        made, wanted, sound = part.made, part.wanted, part.sound
        language = made.job.language
        recording = OwnRecording("", made.account, sound.pcm, language)
        speech = MadeSpeech(recording, wanted.text, _is_speech(made.candidate), self._share, made.is_idle)
        scored = await self._recognition.hear_made(speech, made.within_s, full_window=full_window)
        transcript = await self._read_transcript(part, scored.text)
        evidence = Evidence(scores=_scores(scored), silences=sound.silences)

        def compare_by(sounds: Sounds | None, length: float = _USUAL_LENGTH) -> WordComparison:
            return compare(wanted.text, transcript, language, evidence._replace(sounds=sounds, length=length))

        needed = await asyncio.to_thread(texts_to_sound, compare_by)
        phonemes = await self._recognition.phonemes_of((wanted.text, *needed), language)
        wanted_phonemes = (phonemes or {}).get(wanted.text, "")
        size = SentenceSize(len(plain_sounds(wanted_phonemes or wanted.text)), wanted.marks)
        speed, voice = made.job.speed * made.job.plays_rate, voice_text(made.job.voice)
        voice_key = (made.candidate.speaker, voice, language, round(speed, 2), bool(wanted_phonemes))
        is_usual = self._lengths.is_usual(voice_key, size, sound.sounding_s)
        sounds = None if phonemes is None else lambda words: phonemes.get(words, "")
        length = _USUAL_LENGTH if is_usual else _WRONG_LENGTH
        found = await asyncio.to_thread(compare_by, sounds, length)
        if not found.runs:
            self._lengths.learn(voice_key, size, sound.sounding_s)
        return found


def _scores(transcript: ScoredTranscript) -> list[ScoredWord]:
    return [
        ScoredWord(word.text, word.start_s, exp(min(0.0, word.logprob)), word.tokens)
        for word in transcript.words
    ]


def _severity(found: WordComparison) -> int:
    return ("right", "unsure", "wrong").index(found.verdict)


def _is_speech(candidate: Candidate) -> bool:
    return all(model.info.is_speech for model in candidate.models)


def _unchecked(why: str) -> PartVerdict:
    return PartVerdict("unchecked", (), why)
