"""What is said by an engine and heard: sentences in all formats, at all speeds, by several voices."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

from tests.heard.judge import SENTENCES, which_sentence, which_sentences
from tests.server import Server
from tests.sound import Heard, decoded

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm", "g711_ulaw")
SPEEDS = (0.8, 1.0, 1.25)

GROUPS = (("mp3", "aac", "opus", "g711_ulaw"), ("flac", "wav", "pcm"))
"""Formats that share ten sentences: those that lose something, and the others. `EACH` has ten for each."""

EACH = tuple((each,) for each in FORMATS)

LEAST_OF_CELL, LEAST_OF_ALL = 0.8, 0.95
CELL, MANY = 10, 20
"""Clips that make a cell; and so many that one may be misheard in twenty."""

_ALL = "all"
_JOIN_S = 60.0


class Clip(NamedTuple):
    """A sentence to be said, and how."""

    sentence: str
    voice: str
    audio_format: str
    speed: float
    cells: tuple[str, ...] = ()
    """The rows of the table that it counts for."""


class Totals(NamedTuple):
    """How many clips of a cell were heard as what they say, and how many there are."""

    heard: int
    said: int

    def __str__(self) -> str:
        return f"{self.heard} of {self.said}"


class Spoken(NamedTuple):
    """What a judge heard of an engine. `misheard` has a line for each clip that was not recognised."""

    cells: Mapping[str, Totals]
    misheard: tuple[str, ...]

    @property
    def faults(self) -> list[str]:
        """The cells that are not understood well enough, and what was misheard."""
        bad = [f"{name}: {totals}" for name, totals in self.cells.items() if not _is_understood(name, totals)]
        return [*bad, *self.misheard] if bad else []


def spread(
    voices: tuple[str, ...],
    groups: tuple[tuple[str, ...], ...] = GROUPS,
    speeds: tuple[float, ...] = SPEEDS,
) -> Iterator[Clip]:
    """All ten sentences for each group of formats, at each speed by each voice: three voices have nine
    such manners, so ten sentences meet them all."""
    manners = list(product(speeds, voices))
    for turn, formats in enumerate(groups):
        for number, sentence in enumerate(SENTENCES):
            # Turned by group, so that no sentence keeps its speed or its voice.
            speed, voice = manners[(number + turn) % len(manners)]
            cells = (", ".join(formats), f"speed {speed}", voice)
            yield Clip(sentence, voice, formats[number % len(formats)], speed, cells)


def whole(voices: tuple[str, ...]) -> Iterator[Clip]:
    """Everything with everything: a cell for each format at each speed by each voice."""
    for audio_format, speed, voice, sentence in product(FORMATS, SPEEDS, voices, SENTENCES):
        yield Clip(sentence, voice, audio_format, speed, (f"{audio_format}, speed {speed}, {voice}",))


def hear(live: Server, engine: str, clips: Iterable[Clip]) -> Spoken:
    """Have the clips said, one after the other, and judge each. Fewer than ten are no cell."""
    heard: defaultdict[tuple[int, str], list[bool]] = defaultdict(list)
    misheard = []
    for clip in clips:
        got = which_sentence(live, speech(live, engine, clip))
        for cell in enumerate((*clip.cells, _ALL)):
            heard[cell].append(got == clip.sentence)
        if got != clip.sentence:
            said = f"{clip.sentence!r} in {clip.audio_format} at {clip.speed} by {clip.voice}"
            misheard.append(f"{said} was heard as {got!r}")
    # Formats first, then speeds, then voices.
    ordered = sorted(heard.items(), key=lambda item: item[0][0])
    cells = {cell: Totals(sum(each), len(each)) for (_, cell), each in ordered if len(each) >= CELL}
    return Spoken(cells, tuple(misheard))


def _is_understood(cell: str, totals: Totals) -> bool:
    least = LEAST_OF_ALL if cell == _ALL and totals.said >= MANY else LEAST_OF_CELL
    return totals.heard >= totals.said * least


def speech(live: Server, engine: str, clip: Clip) -> Heard:
    """The clip as its listener has it, from this engine and no other."""
    answer = live.speech(
        clip.sentence,
        model=f"{engine}/standard",
        voice=clip.voice,
        response_format=clip.audio_format,
        speed=clip.speed,
        language="en",
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-engine"] == f"{engine}/standard"
    return decoded(answer.content, clip.audio_format)


def joined(
    live: Server, engine: str, voices: tuple[str, ...], audio_format: str, dialogues: int = 5
) -> Spoken:
    """Have dialogues of three parts said, by these voices in turn, and judge each pair of neighbours.

    A pair is heard if both sentences are, in order and with nothing else between them.
    """
    pairs, misheard = [], []
    for first in range(0, 2 * dialogues, 2):
        parts = (SENTENCES * 2)[first : first + 3]
        heard = _dialogue(live, engine, voices, parts, audio_format)
        assert heard.seconds <= _JOIN_S
        got = which_sentences(live, heard)
        right = [got[place : place + 2] == parts[place : place + 2] for place in (0, 1)]
        pairs += right
        if not all(right):
            misheard.append(f"{parts} in {audio_format} was heard as {got}")
    return Spoken({f"three joined, {audio_format}": Totals(sum(pairs), len(pairs))}, tuple(misheard))


def _dialogue(
    live: Server, engine: str, voices: tuple[str, ...], parts: tuple[str, ...], audio_format: str
) -> Heard:
    names = [f"P{number}" for number in range(len(parts))]
    cast = {name: voices[number % len(voices)] for number, name in enumerate(names)}
    text = " ".join(f"[{name}] {part}" for name, part in zip(names, parts, strict=True))
    answer = live.speech(
        text,
        model=f"{engine}/standard",
        voice={"cast": cast},
        response_format=audio_format,
        language="en",
    )
    assert answer.status_code == 200, answer.text
    return decoded(answer.content, audio_format)


def rows(engine: str, spoken: Spoken) -> Iterator[str]:
    """Rows of Markdown, and a line for each clip that was misheard."""
    for cell, totals in spoken.cells.items():
        yield f"|{engine}|{cell}|{totals}|"
    for line in spoken.misheard:
        yield f"<!-- {line} -->"
