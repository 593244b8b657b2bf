"""A text → the parts that are spoken one by one: the turns of a cast, sentences by their language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import NamedTuple

from policies import casting, language
from policies.language import Detect, LanguageChoice, LanguageSpan, Source, base
from policies.routing import Decision, Voice
from proxy.catalogue.cast_members import resolve_members
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary
from proxy.errors import InvalidRequest
from proxy.speech.speech_request import SpeechRequest
from speech_engine.text import cleaning
from speech_engine.text.sentences import sentence_ends


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


class TextSplitter:
    """`detect` and `default` are for texts that nobody has named a language for."""

    def __init__(self, catalogue: Catalogue, detect: Detect | None, default: str) -> None:
        self._catalogue = catalogue
        self._detect = detect
        self._default = default

    def __repr__(self) -> str:
        return f"<TextSplitter by {self._catalogue.routes!r}>"

    def choose(self, span: Span, text: str) -> LanguageChoice:
        if span.language is not None:
            return LanguageChoice(span.language, span.source)
        said = text[span.start : span.end]
        return language.choose(None, span.voice.language, said, self._detect, self._default)

    def of(self, request: SpeechRequest, own: AccountLibrary, decide: Decide) -> Spans:
        """In the order of the text; their characters add up to it. `own` has the account's voices. Raises
        InvalidRequest for a voice that there is not, and for a text of which a cast has nothing to say."""
        text = request.text
        voice, spans = self._voiced(request, own)
        if len(spans) > MOST_PARTS:
            raise InvalidRequest(
                f"Invalid 'input': it changes its voice too often, into {len(spans)} turns; "
                f"{MOST_PARTS} can be spoken in one request.",
                param="input",
            )
        if request.by_sentence and any(route.sentences for route in self._catalogue.routes):
            spans = list(self._by_sentence(spans, text, decide))
            if not request.cast and not voice.cast:
                voice = _named({span.voice.id: span.voice for span in spans})
        return Spans(voice, tuple(_charged(spans, len(text))))

    def _voiced(self, request: SpeechRequest, own: AccountLibrary) -> tuple[Voice, list[Span]]:
        if not request.cast:
            voice = self._catalogue.resolve_voice(request.voice, own.voices)
            if not voice.cast:
                return voice, [Span(0, len(request.text), voice, 0, request.language)]
            members = resolve_members(self._catalogue, voice.cast, own, "voice", voice)
        else:
            members = resolve_members(self._catalogue, request.cast, own, "voice.cast.")
            voice = _named(members)
        turns = casting.turns(request.text, members)
        if not turns:
            raise InvalidRequest(
                "Invalid 'input': it has nothing for the cast to say, only names or signs.", param="input"
            )
        spans = [Span(turn.start, turn.end, members[turn.name], 0, request.language) for turn in turns]
        return voice, self._understood(spans, request.text)

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

    def _by_sentence(self, spans: Sequence[Span], text: str, decide: Decide) -> Iterator[Span]:
        """As long as there is room for more parts; what is left of a turn then stays one."""
        room = MOST_PARTS - len(spans)
        for span in spans:
            main = self.choose(span, text)
            whole = span._replace(language=main.tag, source=main.source)
            routed = self._routed(whole, decide)
            found = list(islice(self._sentences(span, routed or whole, text, decide), room + 1))
            room -= len(found) - 1
            yield from found[:-1]
            last = found[-1]
            yield last if last.end == span.end else (routed or whole)._replace(start=last.start)

    def _sentences(self, asked: Span, whole: Span, text: str, decide: Decide) -> Iterator[Span]:
        """Neighbours that are spoken alike are one: fewer jobs, and a better melody."""
        said, main = text[whole.start : whole.end], whole.language or self._default
        is_routed = any(route.sentences for route in self._catalogue.routes.of(main))
        pieces = language.sentences(said, sentence_ends(said, main), main, self._detect, self._default)
        tags = {piece.tag for piece in pieces} - {main}
        others = {tag: asked._replace(language=tag, source="detected") for tag in tags}
        spoken = {tag: self._elsewhere(other, is_routed, decide) for tag, other in others.items()}
        for part, alike in groupby(_saying(pieces, said), lambda piece: spoken.get(piece.tag) or whole):
            found = list(alike)
            yield part._replace(start=whole.start + found[0].start, end=whole.start + found[-1].end)

    def _elsewhere(self, span: Span, is_main_routed: bool, decide: Decide) -> Span | None:
        """How sentences in this language are spoken; None where they stay with the rest. Where the rest has
        a route of its own, they do not: that was not meant for them."""
        if (routed := self._routed(span, decide)) is not None:
            return routed
        decision = decide(span)
        if decision.route is not None and not decision.route.sentences:
            return None
        if decision.error is None:
            return span if is_main_routed else None
        # Letters that nobody there can read would be noise: it is an error, as for a whole text of them.
        return span if base(span.language or "") in language.OF_A_SCRIPT else None

    def _routed(self, span: Span, decide: Decide) -> Span | None:
        """By the route that is meant for the sentences of its language, with the voice or the route's; None
        where there is none, or nobody there can speak with either."""
        decision = decide(span)
        route = decision.route
        if route is None or not route.sentences:
            return None
        if decision.error is not None and route.voice is not None:
            try:
                span = span._replace(voice=self._catalogue.resolve_voice(route.voice))
            except InvalidRequest:
                return None
            decision = decide(span)
        return span if decision.error is None else None


def _named(members: Mapping[str, Voice]) -> Voice:
    """Several voices that have no name together are named by theirs."""
    ids = dict.fromkeys(voice.id for voice in members.values())
    if len(ids) == 1:
        return next(iter(members.values()))
    name = "+".join(ids)
    return Voice(id=name, name=name, bindings=())


def _saying(pieces: Sequence[LanguageSpan], said: str) -> Iterator[LanguageSpan]:
    """The pieces; one that says nothing goes with the one before it, the first with the one behind it."""
    waiting: LanguageSpan | None = None
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
