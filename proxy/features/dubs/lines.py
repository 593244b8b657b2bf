"""The lines of a dub: each is spoken as one step, and fitted as one. A line is what a speaker says in a cue,
or a sentence that runs over up to three of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import dropwhile

import msgspec
from msgspec.structs import replace

from policies import estimate
from policies.text_tags import name_key
from proxy.errors import InvalidRequest
from proxy.features.dubs.fitting import fit_lines
from proxy.features.dubs.line_values import FitRules, Lines
from proxy.features.dubs.subtitle_reader import unusable
from proxy.features.dubs.subtitle_text import SpokenTurn
from speech_engine.redacted import Redacted

MOST_CHARACTERS = 2_000
_MOST_JOINED_TURNS = 3
_MOST_JOINED_GAP_MS = 300
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "؟", "।", "”", '"', "»", ":", "—")
_MS_A_SECOND = 1000


class DubLine(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A text that is spoken as one, for these turns. If it `is_short`, it is the shorter text."""

    speaker: str
    text: str
    turns: tuple[SpokenTurn, ...]
    short: str = ""
    is_short: bool = False

    @property
    def start_ms(self) -> int:
        return self.turns[0].start_ms

    @property
    def end_ms(self) -> int:
        return max(turn.end_ms for turn in self.turns)


def make_lines(
    turns: Sequence[SpokenTurn], shorts: Sequence[SpokenTurn], cast: Sequence[str]
) -> list[DubLine]:
    """Return the lines of subtitles. Raises InvalidRequest for a speaker without a voice."""
    shorter = _texts_by_turn(shorts)
    counts, lines = defaultdict[int, int](int), list[DubLine]()
    for turn in _with_speakers(_keep_speakers(turns), cast):
        counts[turn.number] += 1
        short = shorter.get((turn.number, counts[turn.number]), "")
        if max(len(turn.text), len(short)) > MOST_CHARACTERS:
            field = "input_file_id" if len(turn.text) > MOST_CHARACTERS else "short_file_id"
            raise unusable(field, f"cue {turn.number} has more than {MOST_CHARACTERS} characters")
        line = DubLine(speaker=turn.speaker, text=turn.text, turns=(turn,), short=short)
        if lines and _continues_sentence(lines[-1], line):
            before = lines.pop()
            line = DubLine(
                speaker=line.speaker,
                text=f"{before.text} {line.text}",
                turns=(*before.turns, turn),
                short=f"{before.short or before.text} {short or line.text}" if before.short or short else "",
            )
        lines.append(line)
    return lines


def _texts_by_turn(turns: Sequence[SpokenTurn]) -> Mapping[tuple[int, int], str]:
    """Return texts by the number of their cue, and of their turn in it."""
    counts, found = defaultdict[int, int](int), dict[tuple[int, int], str]()
    for turn in turns:
        counts[turn.number] += 1
        found[turn.number, counts[turn.number]] = turn.text
    return found


def unnamed_warnings(turns: Sequence[SpokenTurn], cast: Sequence[str]) -> list[str]:
    """Return a warning if cues behind a named one have no name, so that the first of the cast speaks them."""
    kept = _keep_speakers(turns)
    behind = dropwhile(lambda turn: not turn.speaker, kept if cast else ())
    count = len({turn.number for turn in behind if not turn.speaker})
    return [f"Cues without a name behind a named one, spoken by {cast[0]}: {count}"] if count else []


def _keep_speakers(turns: Sequence[SpokenTurn]) -> list[SpokenTurn]:
    """Return the turns. A cue without a name that goes on with a sentence has the speaker of the sentence."""
    kept = list[SpokenTurn]()
    for turn in turns:
        is_rest = not turn.speaker and bool(kept) and _goes_on(kept[-1], turn)
        kept.append(replace(turn, speaker=kept[-1].speaker) if is_rest else turn)
    return kept


def _goes_on(before: SpokenTurn, after: SpokenTurn) -> bool:
    """Tell whether a cue goes on with the unfinished sentence of the one before it."""
    return (
        before.number != after.number
        and not before.text.endswith(_SENTENCE_ENDS)
        and 0 <= after.start_ms - before.end_ms <= _MOST_JOINED_GAP_MS
    )


def _with_speakers(turns: Sequence[SpokenTurn], cast: Sequence[str]) -> list[SpokenTurn]:
    if not cast:
        return [*turns]
    names = {name_key(name): name for name in cast}
    unknown = {
        turn.speaker: turn.number for turn in turns if turn.speaker and name_key(turn.speaker) not in names
    }
    if unknown:
        name, number = next(iter(unknown.items()))
        raise InvalidRequest(
            f"Invalid value for 'voice.cast': it has no voice for '{name[:64]}', who speaks in cue {number}.",
            param="voice.cast",
            code="speaker_without_voice",
        )
    return [
        replace(turn, speaker=names[name_key(turn.speaker)] if turn.speaker else cast[0]) for turn in turns
    ]


def _continues_sentence(before: DubLine, after: DubLine) -> bool:
    """Tell whether a line is the rest of the sentence before it."""
    return (
        before.speaker == after.speaker
        and len(before.turns) < _MOST_JOINED_TURNS
        and len(before.text) + len(after.text) < MOST_CHARACTERS
        and _goes_on(before.turns[-1], after.turns[0])
    )


def choose_shorts(lines: Sequence[DubLine], rules: FitRules, *, may_overlap: bool) -> list[DubLine]:
    """Return the lines, of which those that are expected to stay late have their shorter text. It is chosen
    before anything is spoken, so no line is charged twice."""
    if not any(line.short for line in lines):
        return [*lines]
    lengths = [round(expected_s(line.text) * _MS_A_SECOND) for line in lines]
    planned = lines_to_fit(lines, lengths, _MS_A_SECOND, may_overlap=may_overlap)
    fitted = fit_lines(planned, rules)
    are_late = [fitted.is_late(planned, number) for number in range(len(lines))]
    return [
        replace(line, text=line.short, is_short=True)
        # A line that is on time may make the next one late.
        if line.short and len(line.short) < len(line.text) and any(are_late[number : number + 2])
        else line
        for number, line in enumerate(lines)
    ]


def expected_s(text: str) -> float:
    """Return the likely seconds of a text: the estimate without the fifth that it adds."""
    return estimate.speech_seconds(text, 1.0) / 1.2


def steps_of_cues(lines: Sequence[DubLine], cues: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of the lines that speak these cues. Raises InvalidRequest."""
    wanted = {*cues}
    found = {n: wanted & {turn.number for turn in line.turns} for n, line in enumerate(lines, 1)}
    if missing := wanted.difference(*found.values()):
        message = f"Invalid value for 'steps': the dub speaks no cue {min(missing)}."
        raise InvalidRequest(message, param="steps", code="step_not_found")
    return tuple(number for number, own in found.items() if own)


def lines_to_fit(
    lines: Sequence[DubLine], lengths: Sequence[int], rate_hz: int, *, may_overlap: bool
) -> Lines:
    """Return lines as they are fitted, by the length of each in samples."""
    speakers = {name: number for number, name in enumerate(dict.fromkeys(line.speaker for line in lines))}
    return Lines(
        [line.start_ms * rate_hz // _MS_A_SECOND for line in lines],
        [line.end_ms * rate_hz // _MS_A_SECOND for line in lines],
        lengths,
        [speakers[line.speaker] for line in lines],
        rate_hz,
        may_overlap,
    )
