"""A text → the parts that are spoken one by one: the turns of a cast, sentences by their language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from policies import casting, language
from policies.language import Chosen, Detect, Piece, Source
from policies.routing import Decision, Voice
from proxy.catalogue import Catalogue
from proxy.errors import InvalidRequest
from proxy.wire import SpeechRequest
from speech_engine import cleaning
from speech_engine.sentences import sentence_ends


class Span(NamedTuple):
    """From where to where in the text, with which voice, for how many characters; in which language, where
    that is known, and from where."""

    start: int
    end: int
    voice: Voice
    characters: int
    language: str | None = None
    source: Source = "request"


class Spans(NamedTuple):
    """The parts of a text, and the voice that the whole is named by."""

    voice: Voice
    spans: tuple[Span, ...]


MOST_PARTS = 256
"""Of a text; each of them is a job of its own."""

Decide = Callable[[Span], Decision]
Of = Mapping[str, Voice]


class Parts:
    """`detect` and `default` are for texts that nobody has named a language for."""

    def __init__(self, catalogue: Catalogue, detect: Detect | None, default: str) -> None:
        self._catalogue = catalogue
        self._detect = detect
        self._default = default

    def __repr__(self) -> str:
        return f"<Parts by {self._catalogue.routes!r}>"

    def choose(self, span: Span, text: str) -> Chosen:
        if span.language is not None:
            return Chosen(span.language, span.source)
        said = text[span.start : span.end]
        return language.choose(None, span.voice.language, said, self._detect, self._default)

    def of(self, request: SpeechRequest, own: Of, decide: Decide) -> Spans:
        """In the order of the text; their characters add up to it. `own` are the account's voices. Raises
        InvalidRequest for a voice that there is not, and for a text of which a cast has nothing to say."""
        text = request.text
        voice, spans = self._voiced(request, own)
        if request.by_sentence and any(route.sentences for route in self._catalogue.routes):
            spans = [part for span in spans for part in self._sentences(span, text, own, decide)]
        if len(spans) > MOST_PARTS:
            raise InvalidRequest(
                f"Invalid 'input': it changes its voice or language too often, into {len(spans)} parts; "
                f"{MOST_PARTS} can be spoken in one request.",
                param="input",
            )
        return Spans(voice, tuple(_charged(spans, len(text))))

    def _voiced(self, request: SpeechRequest, own: Of) -> tuple[Voice, list[Span]]:
        if not request.cast:
            voice = self._catalogue.resolve_voice(request.voice, own)
            if not voice.cast:
                return voice, [Span(0, len(request.text), voice, 0, request.language)]
            members = self._members(voice.cast, own, "voice")
        else:
            members = self._members(request.cast, own, "voice.cast.")
            voice = _named(members)
        turns = casting.turns(request.text, members)
        if not turns:
            raise InvalidRequest(
                "Invalid 'input': it has nothing for the cast to say, only names or signs.", param="input"
            )
        spans = [Span(turn.start, turn.end, members[turn.name], 0, request.language) for turn in turns]
        return voice, self._understood(spans, request.text)

    def _members(self, cast: Sequence[tuple[str, str]], own: Of, field: str) -> dict[str, Voice]:
        """`field` ends in a dot where the name of the member belongs to it."""
        members: dict[str, Voice] = {}
        for name, wanted in cast:
            param = f"{field}{name}" if field.endswith(".") else field
            try:
                members[name] = self._catalogue.resolve_voice(wanted, own)
            except InvalidRequest as error:
                raise InvalidRequest(error.message, param=param, code=error.code) from None
            if members[name].cast:
                raise InvalidRequest(
                    f"Invalid value for '{param}': '{wanted[:80]}' is a cast itself; name one voice.",
                    param=param,
                )
        return members

    def _understood(self, spans: list[Span], text: str) -> list[Span]:
        """A turn that is too short to tell its language is in that of the whole dialogue."""
        if spans[0].language is not None:
            return spans
        said = " ".join(text[span.start : span.end] for span in spans)
        whole = language.choose(None, None, said, self._detect, self._default)
        return [
            span._replace(language=whole.tag, source=whole.source)
            if self.choose(span, text).source == "default"
            else span
            for span in spans
        ]

    def _sentences(self, span: Span, text: str, own: Of, decide: Decide) -> Iterator[Span]:
        """Neighbours that are spoken alike are one: fewer jobs, and a better melody."""
        said = text[span.start : span.end]
        main = self.choose(span, text)
        ends = sentence_ends(said, main.tag)
        pieces = language.sentences(said, ends, main.tag, self._detect, self._default)
        tags = {piece.tag for piece in pieces} - {main.tag}
        spoken = {tag: self._elsewhere(tag, span, own, decide) for tag in tags}
        main_span = span._replace(language=main.tag, source=main.source)
        for part, alike in groupby(_saying(pieces, said), lambda piece: spoken.get(piece.tag) or main_span):
            found = list(alike)
            yield part._replace(start=span.start + found[0].start, end=span.start + found[-1].end)

    def _elsewhere(self, tag: str, span: Span, own: Of, decide: Decide) -> Span | None:
        """How sentences in this language are spoken; None where no route is meant for them, or nobody there
        can speak them with this voice or the route's."""
        if not any(route.sentences for route in self._catalogue.routes.of(tag)):
            return None
        wanted = span._replace(language=tag, source="detected")
        decision = decide(wanted)
        route = decision.route
        if route is None or not route.sentences:
            return None
        if decision.error is not None and route.voice is not None:
            try:
                wanted = wanted._replace(voice=self._catalogue.resolve_voice(route.voice, own))
            except InvalidRequest:
                return None
            decision = decide(wanted)
        return wanted if decision.error is None else None


def _named(members: Mapping[str, Voice]) -> Voice:
    """A cast that was sent with the text is named by its voices."""
    name = "+".join(dict.fromkeys(voice.id for voice in members.values()))
    return Voice(id=name, name=name, bindings=())


def _saying(pieces: Sequence[Piece], said: str) -> Iterator[Piece]:
    """The pieces; one that says nothing goes with the one before it, the first with the one behind it."""
    waiting: Piece | None = None
    for piece in pieces:
        if waiting is None:
            waiting = piece
        elif not cleaning.is_speech(said[piece.start : piece.end]):
            waiting = waiting._replace(end=piece.end)
        elif not cleaning.is_speech(said[waiting.start : waiting.end]):
            waiting = piece._replace(start=waiting.start)
        else:
            yield waiting
            waiting = piece
    if waiting is not None:
        yield waiting


def _charged(spans: Sequence[Span], length: int) -> Iterator[Span]:
    """Every character is somebody's: a tag that of who speaks behind it, or of the last where nobody does."""
    begin = 0
    for number, span in enumerate(spans, 1):
        end = length if number == len(spans) else span.end
        yield span._replace(characters=end - begin)
        begin = end
