"""The preparation of a call's texts, before its hold.

A few digits, or one entry of a lexicon, can become minutes of sound. So the hold needs the prepared texts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

from policies import estimate
from policies import segments as cutting
from policies.lexicon import count_added, find_pronunciations, sounding_length
from policies.paragraphs import paragraph_ranges, paragraph_starts
from policies.reading import TextRule
from proxy.errors import InvalidRequest, from_engine
from proxy.helpers.outside import outside
from proxy.speech.call import PartRun, PreparedText, SpeechCall
from proxy.speech.front_ends import FrontEnds, Prepare
from speech_engine import EngineError, EngineTimeout, Segment, UnsupportedText
from speech_engine.text.cleaning import is_silent

MOST_SPOKEN_CHARACTERS = 40_000
"""The limit of all parts together: about ten times the longest text."""

_SHORT_CHARACTERS = 1000
_SHORT_PARTS = 4


class TextPreparation:
    def __init__(self, front_ends: FrontEnds) -> None:
        self._front_ends = front_ends
        self._rules: Sequence[TextRule] = outside("proxy.text_rules.markdown", "RULES", ())

    async def prepare(self, call: SpeechCall, within_s: float) -> None:
        """Prepare each part with each front-end of its candidates.

        The removal of Markdown may take half of the time. Each front-end may take half of what remains.
        Raises RequestFailed if no candidate of a part has a text, or if the text becomes far too long.
        """
        if (source := call.request.source) is not None:
            # The engine takes the words and the length from the recording.
            no_text = PreparedText(
                segments=(),
                spoken_characters=0,
                written_characters=0,
                characters=0,
                estimated_s=source.seconds,
            )
            for run in call.totals.parts:
                run.texts.update((candidate.text_key, no_text) for candidate in run.candidates)
            return
        until, sent = time.monotonic() + within_s, call.request.text
        for rule in self._rules:
            if call.request.markdown != "off" and rule.may_have_marks(sent):
                await self._leave_out_marks(call, rule, within_s / 2)
        runs = call.totals.parts
        is_short = _is_short(runs)
        starts = tuple(paragraph_starts(sent)) if len(sent.splitlines()) > 1 else ()
        for (name, is_untagged), its_runs in _by_text_key(runs).items():
            work = partial(_prepare_parts, its_runs, starts, is_untagged, call.request.speed)
            left_s = until - time.monotonic()
            try:
                texts = await self._front_ends.use(name, work, is_short=is_short, within_s=left_s / 2)
            except EngineError as error:
                texts = [error] * len(its_runs)
            for run, text in zip(its_runs, texts, strict=True):
                run.texts[name, is_untagged] = text
        _check_lengths(runs)

    async def _leave_out_marks(self, call: SpeechCall, rule: TextRule, within_s: float) -> None:
        work = partial(rule.read, call.request.text, call.request.code)
        try:
            reading = await self._front_ends.read(work, within_s)
        except EngineTimeout as error:
            raise from_engine(error) from None
        if reading is not None:
            for run in call.totals.parts:
                run.leave_out_marks(reading)


def _by_text_key(runs: Sequence[PartRun]) -> Mapping[tuple[str, bool], Sequence[PartRun]]:
    """Return the parts by text key: the front-end, and whether tags are removed first."""
    found: dict[tuple[str, bool], list[PartRun]] = {}
    for run in runs:
        for candidate in run.part.candidates:
            its_runs = found.setdefault(candidate.text_key, [])
            if not its_runs or its_runs[-1] is not run:
                its_runs.append(run)
    return found


def _is_short(runs: Sequence[PartRun]) -> bool:
    """Return whether the texts are prepared quickly. The account's own lexicon may add any length."""
    characters = 0
    # The time grows with the text and with the number of entries.
    for run in runs:
        lexicon = run.part.lexicon
        if lexicon.own:
            return False
        characters += len(run.text) + len(lexicon.words)
    return len(runs) <= _SHORT_PARTS and characters <= _SHORT_CHARACTERS


def _check_lengths(runs: Sequence[PartRun]) -> None:
    """Check that each part has a text, and that the longest texts of all parts are not too long together."""
    written_characters = 0
    for run in runs:
        longest: int | None = None
        failure: EngineError | None = None
        for text in run.texts.values():
            if isinstance(text, PreparedText):
                longest = max(longest or 0, text.written_characters)
            else:
                failure = text
        if longest is None and failure is not None:
            raise from_engine(failure)
        written_characters += longest or 0
    if written_characters > MOST_SPOKEN_CHARACTERS:
        raise _too_long()


def _too_long() -> InvalidRequest:
    return InvalidRequest(
        f"Invalid 'input': it becomes more than {MOST_SPOKEN_CHARACTERS} characters when numbers and the "
        "words of lexicons are written out. That is the most that can be spoken at once.",
        param="input",
        code="unsupported_text",
    )


def _prepare_parts(
    runs: Sequence[PartRun], starts: Sequence[int], is_untagged: bool, speed: float, prepare: Prepare
) -> list[PreparedText | EngineError]:
    """Prepare these parts, in their front-end's thread. Raises InvalidRequest if they become too long."""
    texts: list[PreparedText | EngineError] = []
    characters_left = MOST_SPOKEN_CHARACTERS
    for run in runs:
        try:
            text = run.text_read(is_untagged=is_untagged)
            if starts:
                segments = _prepare_paragraphs(text, run, starts, prepare)
            else:
                segments = tuple(prepare(text, run.part.language, run.part.lexicon.words))
        except EngineError as error:
            texts.append(error)
            continue
        if not segments:
            texts.append(UnsupportedText("Invalid 'input': it has nothing that can be spoken."))
            continue
        prepared = _measure(segments, run, speed, characters_left)
        characters_left -= prepared.written_characters
        texts.append(prepared)
    return texts


def _prepare_paragraphs(
    text: str, run: PartRun, starts: Sequence[int], prepare: Prepare
) -> tuple[Segment, ...]:
    """Prepare each paragraph by itself, so that none is joined to the next one."""
    made: list[Segment] = []
    for begin, end in paragraph_ranges(text, run.paragraph_starts(starts)):
        found = prepare(text[begin:end], run.part.language, run.part.lexicon.words)
        last = len(found) - 1
        made += (
            cutting.shift_segment(each, begin, ends_paragraph=number == last)
            for number, each in enumerate(found)
        )
    return tuple(made)


def _measure(segments: tuple[Segment, ...], run: PartRun, speed: float, most: int) -> PreparedText:
    lexicon = run.part.lexicon
    spoken = segments[0].spoken if len(segments) == 1 else " ".join([each.spoken for each in segments])
    if len(spoken) > most or (written_characters := estimate.written_length(spoken)) > most:
        raise _too_long()
    sounded = sounding_length(lexicon, spoken) if lexicon.sounds else len(spoken)
    # Most texts are spoken as they were planned.
    is_as_planned = spoken == run.text and run.places is None
    estimated_s = run.part.estimated_s if is_as_planned else estimate.speech_seconds(spoken, speed)
    if len(segments) > 1:
        pauses = sum([each.ends_paragraph for each in segments[:-1]])
        estimated_s += pauses * estimate.PARAGRAPH_PAUSE_S / speed
    growth = max(0, sounded - len(run.text))
    added = count_added(lexicon.own, run.text) if lexicon.own else 0
    has_words = any(map(str.isalnum, spoken))
    return PreparedText(
        segments=segments,
        is_silent=not has_words and bool(segments) and all(is_silent(each.spoken) for each in segments),
        spoken_characters=len(spoken),
        written_characters=written_characters,
        # Text that the account's own lexicon adds is charged, up to the growth in sound. Characters that a
        # front-end adds are not charged, and removed ones are not refunded.
        characters=run.part.characters + min(growth, added),
        estimated_s=estimated_s * sounded / max(1, len(spoken)),
        pronunciations={
            alphabets: find_pronunciations(lexicon, alphabets, segments)
            for alphabets in {candidate.model.info.phonemes for candidate in run.candidates}
        }
        if lexicon.sounds
        else {},
    )
