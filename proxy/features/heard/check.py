"""The check of a made part: a recogniser hears it, and the transcript is compared with the words of its text.

Recognisers make mistakes, too. So each step can only make a verdict milder, and a part that cannot be heard
in time is sent as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import exp

import structlog

from policies import language as languages
from policies.routing import PLAIN, Candidate, voice_text
from proxy.audio import libraries
from proxy.audio.formats import SoundFailed
from proxy.catalogue.ears import WINDOW_S, GoodEars, KnownTranscript, MadeSpeech, NoEars, OwnRecording
from proxy.features.heard.checked_parts import MadePartCheck
from proxy.features.heard.lengths import SentenceSize, SoundFacts, VoiceLengths
from proxy.features.heard.made_part import MadePart
from proxy.features.heard.queue import HearingQueue, TooLate
from proxy.features.heard.rates import MisheardRates
from proxy.features.heard.section import CheckSection
from proxy.features.heard.wanted import WantedText, wanted_text
from proxy.features.heard.watch import FAILED, LATE, CheckWatch
from proxy.speech.front_ends import FrontEnds, Prepare
from proxy.speech.part import Part
from proxy.speech.part_check import PartVerdict
from speech_engine import EngineError, Segment
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
CALLED_WRONG = frozenset((("kokoro/standard", "en"), ("kokoro/standard", "es"), ("piper/standard", "en")))
"""Models, by name, and languages of which `bench.heard_check` calls more than 2 right sentences in 100 wrong:
a wrong one is only unsure, so it is said again once, and never free."""
_SPARE_S = 0.05
"""A second hearing ends so long before the end of the time, so that its result still counts."""
_MOST_TIMES_LONGER, _MORE_LETTERS = 4, 500
"""A transcript is cut after so many times the letters of its text, and so many more."""

PrepareTranscript = Callable[[str], Awaitable[str]]
"""Reads a transcript by the front-end of the wanted text, so that the two can be compared."""

_log = structlog.get_logger()


class TranscriptCheck(MadePartCheck):
    """Checks parts in one worker. Each revision sets the section of the configuration."""

    def __init__(self, ears: NoEars, front_ends: FrontEnds, watch: CheckWatch, rates: MisheardRates) -> None:
        self.use_section(CheckSection())
        self._ears = ears
        self._front_ends = front_ends
        self._watch = watch
        self._rates = rates
        self._queue = HearingQueue()
        # Parts without a listener wait for all others, so they have a queue of their own.
        self._idle_queue = HearingQueue()
        self._lengths = VoiceLengths()

    def use_section(self, section: CheckSection) -> None:
        self._share, self.is_paid_again, self.checks_jobs = section.share, section.paid_again, section.jobs

    def obstacle(self, candidate: Candidate, language: str) -> str:
        if self._good_ears(candidate, language) is not None:
            return ""
        if not _is_speech(candidate):
            return "model"
        return "language" if self._ears.may_hear("") else "no_ears"

    def at_sentences(self, parts: Sequence[Part], text: str, speed: float) -> Sequence[Part]:
        return super().at_sentences([*map(self._rates.with_order, parts)], text, speed)

    async def verdict_on(self, made: MadePart) -> PartVerdict:
        verdict = await self._verdict(made)
        self._watch.note_result(verdict)
        return verdict

    def _good_ears(self, candidate: Candidate, language: str) -> GoodEars | None:
        return self._ears.ears_for(language, is_speech=_is_speech(candidate))

    async def _verdict(self, made: MadePart) -> PartVerdict:
        if made.length_s < LEAST_S:
            return _unchecked("short")
        ears = self._good_ears(made.candidate, made.job.language)
        if ears is None:
            return _unchecked(self.obstacle(made.candidate, made.job.language))
        until = asyncio.get_running_loop().time() + made.within_s
        try:
            slots = 1 if made.is_idle else max(1, int(self._share * ears.slots))
            queue = self._idle_queue if made.is_idle else self._queue
            async with queue.turn(ears.name, slots, made.length_s, until):
                return await self._hear(made, ears, until)
        except TooLate:
            return _unchecked(LATE)
        except (EngineError, SoundFailed) as error:
            _log.warning("check.hear.failed", request=made.job.id, error=type(error).__name__)
            return _unchecked(FAILED)

    async def _hear(self, made: MadePart, ears: GoodEars, until: float) -> PartVerdict:
        wanted, prepare = await self._read_text(made)
        if not wanted.tokens:
            return _unchecked("no_words")
        await libraries.ensure_loaded()
        from proxy.features.heard.sound import read_sound

        sound = await asyncio.to_thread(read_sound, made.pcm, made.rate_hz)
        found = await self._hear_and_compare(made, wanted, sound, prepare)
        if found.verdict == "wrong":
            # A wrong part may be free, so it is heard once more: a full window makes other mistakes.
            again = found._replace(verdict="unsure")
            if made.length_s <= WINDOW_S:
                with suppress(TimeoutError, EngineError):
                    async with asyncio.timeout_at(until - _SPARE_S):
                        again = await self._hear_and_compare(made, wanted, sound, prepare, full_window=True)
            found = min(found, again, key=lambda each: (_rank(each), len(each.runs)))
        verdict = found.verdict
        model, language = made.candidate.model.name, languages.base_tag(made.job.language)
        if verdict == "wrong" and (model, language) in CALLED_WRONG:
            verdict = "unsure"
        words = tuple([wanted.wrong_words(run) for run in found.runs])
        judged = PartVerdict(verdict, words)
        self._rates.count_words(made, wanted.tokens, judged, ears.name)
        return judged

    async def _read_text(self, made: MadePart) -> tuple[WantedText, PrepareTranscript]:
        """Return the words of a part, and what makes a transcript comparable: the same front-end."""
        language, own = made.job.language, made.candidate.front_end
        name = own
        if own == PLAIN:
            # The model reads numbers itself.
            name = self._front_ends.names.by_language.get(languages.base_tag(language), PLAIN)
        is_local = made.candidate.model.info.is_local
        wanted = await self._front_ends.use(
            name,
            lambda prepare: wanted_text(
                made.places, _bound(prepare, language) if name != own else None, has_tags=not is_local
            ),
            is_short=False,
        )
        most = _MOST_TIMES_LONGER * len(wanted.text) + _MORE_LETTERS

        async def prepared(transcript: str) -> str:
            text = with_times_of(made.places.text, transcript[:most])
            text = times_written(text) if is_english(language) else text
            if not any(map(str.isalnum, text)):
                return text
            segments = await self._front_ends.use(
                name, lambda prepare: prepare(text, language, {}), is_short=False
            )
            return " ".join([each.spoken for each in segments])

        return wanted, prepared

    async def _hear_and_compare(
        self,
        made: MadePart,
        wanted: WantedText,
        sound: SoundFacts,
        prepare: PrepareTranscript,
        *,
        full_window: bool = False,
    ) -> WordComparison:
        job = made.job
        known = await self._ears.hear_again(
            MadeSpeech(
                OwnRecording("", made.account, sound.pcm, job.language),
                wanted.text,
                _is_speech(made.candidate),
                self._share,
                made.is_idle,
            ),
            made.within_s,
            full_window=full_window,
        )
        transcript = await prepare(known.text)
        evidence = Evidence(scores=_scores(known), silences=sound.silences)

        def judge(sounds: Sounds | None, length: float = 1.0) -> WordComparison:
            whole = evidence._replace(sounds=sounds, length=length)
            return compare(wanted.text, transcript, job.language, whole)

        to_sound = await asyncio.to_thread(texts_to_sound, judge)
        spoken = await self._ears.sounds((wanted.text, *to_sound), job.language)
        own = (spoken or {}).get(wanted.text, "")
        size = SentenceSize(len(plain_sounds(own or wanted.text)), wanted.marks)
        key = (made.candidate.speaker, voice_text(job.voice), job.language, round(_speed(made), 2), bool(own))
        is_usual = self._lengths.is_usual(key, size, sound.sounding_s)
        sounds = None if spoken is None else lambda words: spoken.get(words, "")
        found = await asyncio.to_thread(judge, sounds, 1.0 if is_usual else 0.0)
        if not found.runs:
            self._lengths.learn(key, size, sound.sounding_s)
        return found


def _scores(transcript: KnownTranscript) -> list[ScoredWord]:
    return [
        ScoredWord(word.text, word.start_s, exp(min(0.0, word.logprob)), word.tokens)
        for word in transcript.words
    ]


def _rank(found: WordComparison) -> int:
    return ("right", "unsure", "wrong").index(found.verdict)


def _speed(made: MadePart) -> float:
    return made.job.speed * made.job.plays_rate


def _is_speech(candidate: Candidate) -> bool:
    return all(model.info.is_speech for model in candidate.models)


def _bound(prepare: Prepare, language: str) -> Callable[[str], tuple[Segment, ...]]:
    return lambda text: prepare(text, language, {})


def _unchecked(why: str) -> PartVerdict:
    return PartVerdict("unchecked", (), why)
