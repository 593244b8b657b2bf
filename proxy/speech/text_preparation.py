"""The texts of a call as they will be spoken: prepared before its hold, so that the hold knows them.

An estimate or a limit by the written text would be a free ride: a few digits, or one entry of a lexicon, can
become minutes of sound.
"""

from __future__ import annotations

import asyncio
import time

from policies import estimate
from policies.lexicon import count_added, sounding_length
from proxy.errors import InvalidRequest, from_engine
from proxy.speech.call import PartRun, PreparedText, SpeechCall
from proxy.speech.front_ends import FrontEnds
from speech_engine import EngineError, EngineTimeout, Segment, UnsupportedText

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
        spoken_characters, until = 0, time.monotonic() + within_s
        for run in call.tally.parts:
            for name in dict.fromkeys([candidate.front_end for candidate in run.candidates]):
                left_s = until - time.monotonic()
                run.texts[name] = await self._prepare_part(name, run, call.request.speed, left_s / 2)
            texts = [text for text in run.texts.values() if isinstance(text, PreparedText)]
            if not texts:
                (*_, last) = run.texts.values()
                assert isinstance(last, EngineError)
                raise from_engine(last)
            spoken_characters += max(_written_length(text) for text in texts)
        if spoken_characters > MOST_SPOKEN_CHARACTERS:
            raise InvalidRequest(
                f"Invalid 'input': it becomes {spoken_characters} characters when numbers and the words of "
                f"lexicons are written out. At most {MOST_SPOKEN_CHARACTERS} can be spoken at once.",
                param="input",
                code="unsupported_text",
            )

    async def _prepare_part(
        self, front_end: str, run: PartRun, speed: float, within_s: float
    ) -> PreparedText | EngineError:
        lexicon = run.part.lexicon
        preparing = self._front_ends.prepare(front_end, run.text, run.part.language, lexicon.words)
        try:
            if self._front_ends.is_quick(front_end, run.text, lexicon.words):
                segments = await preparing
            else:
                async with asyncio.timeout(within_s):
                    segments = await preparing
        except TimeoutError:
            return EngineTimeout(f"The front-end {front_end} took too long.", retry_after_s=2.0)
        except EngineError as error:
            return error
        if not segments:
            return UnsupportedText("Invalid 'input': it has nothing that can be spoken.")
        return _measure(segments, run, speed)


def _written_length(text: PreparedText) -> int:
    return sum(estimate.written_length(segment.spoken) for segment in text.segments)


def _measure(segments: tuple[Segment, ...], run: PartRun, speed: float) -> PreparedText:
    lexicon = run.part.lexicon
    spoken = segments[0].spoken if len(segments) == 1 else " ".join([each.spoken for each in segments])
    sounded = sounding_length(lexicon, spoken)
    growth = max(0, sounded - len(run.text))
    return PreparedText(
        segments=segments,
        spoken_characters=len(spoken),
        # What a front-end writes out is not charged, and what shrinks the text is not given back.
        characters=run.part.characters + min(growth, count_added(lexicon.own, run.text)),
        estimated_s=estimate.seconds(spoken, speed) * sounded / max(1, len(spoken)),
    )
