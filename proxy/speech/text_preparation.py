"""The texts of a call as they will be spoken: prepared before its hold, so that the hold knows them.

An estimate or a limit by the written text would be a free ride: a few digits, or one entry of a lexicon, can
become minutes of sound.
"""

from __future__ import annotations

import time

from policies import estimate
from policies.lexicon import count_added, sounding_length
from proxy.errors import InvalidRequest, from_engine
from proxy.speech.call import PartRun, PreparedText, SpeechCall
from proxy.speech.front_ends import FrontEnds
from speech_engine import EngineError, Segment, UnsupportedText

MOST_SPOKEN_CHARACTERS = 40_000
"""Of all parts together: about ten times the longest text."""


class TextPreparation:
    def __init__(self, front_ends: FrontEnds) -> None:
        self._front_ends = front_ends

    def __repr__(self) -> str:
        return f"<TextPreparation by {self._front_ends!r}>"

    async def prepare(self, call: SpeechCall, within_s: float) -> None:
        """Prepare each part by each front-end that a candidate of it names.

        Each may take half of the time that is left. Raises RequestFailed if no candidate of a part can have a
        text, or if the text becomes far too long.
        """
        written_characters, until = 0, time.monotonic() + within_s
        for run in call.tally.parts:
            for name in dict.fromkeys([candidate.front_end for candidate in run.candidates]):
                left_s = until - time.monotonic()
                run.texts[name] = await self._prepare_part(name, run, call.request.speed, left_s / 2)
            texts = [text for text in run.texts.values() if isinstance(text, PreparedText)]
            if not texts:
                (*_, last) = run.texts.values()
                assert isinstance(last, EngineError)
                raise from_engine(last)
            written_characters += max([text.written_characters for text in texts])
        if written_characters > MOST_SPOKEN_CHARACTERS:
            raise InvalidRequest(
                f"Invalid 'input': it becomes {written_characters} characters when numbers and the words of "
                f"lexicons are written out. At most {MOST_SPOKEN_CHARACTERS} can be spoken at once.",
                param="input",
                code="unsupported_text",
            )

    async def _prepare_part(
        self, front_end: str, run: PartRun, speed: float, within_s: float
    ) -> PreparedText | EngineError:
        words = run.part.lexicon.words
        try:
            segments = await self._front_ends.prepare(
                front_end, run.text, run.part.language, words, within_s=within_s
            )
        except EngineError as error:
            return error
        if not segments:
            return UnsupportedText("Invalid 'input': it has nothing that can be spoken.")
        return _measure(segments, run, speed)


def _measure(segments: tuple[Segment, ...], run: PartRun, speed: float) -> PreparedText:
    lexicon = run.part.lexicon
    spoken = segments[0].spoken if len(segments) == 1 else " ".join([each.spoken for each in segments])
    sounded = sounding_length(lexicon, spoken)
    growth = max(0, sounded - len(run.text))
    return PreparedText(
        segments=segments,
        spoken_characters=len(spoken),
        written_characters=estimate.written_length(spoken),
        # What a front-end writes out is not charged, and what shrinks the text is not given back.
        characters=run.part.characters + min(growth, count_added(lexicon.own, run.text)),
        estimated_s=estimate.seconds(spoken, speed) * sounded / max(1, len(spoken)),
    )
