"""Splits a text into parts: by voice, by emotion, by the language of its sentences, and at its pauses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, islice
from typing import NamedTuple

from msgspec.structs import replace

from policies import language, text_tags
from policies.language import Detect, LanguageChoice, LanguageSpan, Source, base_tag
from policies.routing import Candidate, Decision, Voice
from policies.text_tags import NEUTRAL, Pause, Tag, Turn
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary
from proxy.errors import InvalidRequest
from proxy.helpers.outside import outside
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.voice_members import VoiceMembers
from speech_engine.text import cleaning
from speech_engine.text.sentences import sentence_ends


class Span(NamedTuple):
    """A piece of the text that one voice speaks in one language and one emotion.

    If `language` is None, it is still to be detected. `characters` are charged. `turn` is the number of its
    turn in a dialogue. `plain` are the candidates for the piece without its emotion. The text requests
    `pause_s` of silence after it.
    """

    start: int
    end: int
    voice: Voice
    characters: int
    language: str | None = None
    source: Source = "request"
    emotion: str | None = None
    turn: int = 0
    plain: tuple[Candidate, ...] = ()
    pause_s: float = 0.0


MOST_PARTS = 256
"""The most parts of a text. Each part is a separate job."""

Decide = Callable[[Span], Decision]
DecideFor = Callable[[SpeechRequest, Span], Decision]
_Texts = tuple[str, str]
"""A text as it was sent, and the same text without tags."""


class TextSplitter:
    """Splits texts. `detect` and `default` are for requests that name no language."""

    def __init__(self, catalogue: Catalogue, detect: Detect | None, default: str) -> None:
        self._catalogue = catalogue
        find = outside("proxy.speech_steps.cast_members", "CastMembers", VoiceMembers)
        self._members = find(catalogue)
        self._detect = detect
        self._default = default

    def choose_language(self, voice: Voice, tag: str | None, source: Source, text: str) -> LanguageChoice:
        """Return the language in which a voice speaks a text: that of `tag`, if it is known."""
        if tag is not None:
            return LanguageChoice(tag, source)
        if voice.language and not voice.is_recorded:
            return LanguageChoice(voice.language, "voice")
        return language.language_of_text(text, self._detect, voice.language or self._default)

    def other_languages(self, choice: LanguageChoice, span: Span, text: str) -> Iterator[LanguageChoice]:
        """Yield other languages for a span, if no model speaks the chosen language."""
        if span.language is None:
            spoken_text = text[span.start : span.end]
            yield from language.alternative_languages(
                choice, spoken_text, self._detect, self._fallback_language(span.voice)
            )

    def split(
        self, request: SpeechRequest, own: AccountLibrary, decide: DecideFor
    ) -> tuple[Voice, Sequence[Span]]:
        """Split the text, in its order, and return the voice that represents the whole.

        The characters of the pieces add up to its length.

        `own` has the account's voices. Raises InvalidRequest for an unknown voice, and for a text that has
        only tags.
        """
        text = request.text
        try:
            voice, spans = self._split_by_voice(request, own, decide)
        except InvalidRequest as failure:
            if failure.code == "voice_not_found":
                # The model determines the voices, so an error in the model comes first.
                self._catalogue.check_model(request.model)
            raise
        if request.by_sentence and any(route.sentences for route in self._catalogue.routes):
            spoken_text = _untagged(request)
            untagged = request if spoken_text is text else replace(request, text=spoken_text)
            spans = list(self._split_by_sentence(spans, (text, spoken_text), partial(decide, untagged)))
            if not request.cast and not voice.cast:
                voice = _combine_voices({span.voice.id: span.voice for span in spans})
        if "[" in text and request.emotion_tags != "text" and (pauses := [*text_tags.find_pauses(text)]):
            untagged = replace(request, text=_untagged(request))
            spans = _split_at_pauses(spans, pauses, untagged.text, partial(decide, untagged))
        if len(spans) == 1 and spans[0].characters == len(text):
            # Most texts are one piece, which already has all characters.
            return voice, spans
        return voice, tuple(_share_characters(spans, len(text)))

    def _split_by_voice(
        self, request: SpeechRequest, own: AccountLibrary, decide: DecideFor
    ) -> tuple[Voice, list[Span]]:
        """Return the voice of the whole text, and its turns, split where the emotion changes."""
        if not request.cast:
            if request.mix:
                voice = self._members.unsaved_mix(request.mix, own, "voice.mix")
            else:
                voice = self._members.voice_or_mix(request.voice, own)
            if not voice.cast:
                text, emotion = request.text, request.emotion
                if request.emotion_tags != "text" and text_tags.first_emotion(text) is not None:
                    return voice, self._split_turns({"": voice}, text_tags.find_turns(text), request, decide)
                length = len(text)
                return voice, [Span(0, length, voice, length, request.language, emotion=emotion)]
            if request.source is not None:
                raise InvalidRequest(
                    f"Invalid value for 'voice': '{voice.label}' is a cast; a conversion has one voice.",
                    param="voice",
                )
            members = self._members.members_of(voice.cast, own, "voice", voice)
        else:
            members = self._members.members_of(request.cast, own, "voice.cast.")
            voice = _combine_voices(members)
        turns = text_tags.find_turns(request.text, members)
        if request.emotion_tags == "text":
            turns = tuple([turn._replace(tags=()) for turn in turns])
        if not turns:
            raise InvalidRequest(
                "Invalid 'input': it has nothing for the cast to say, only names or signs.", param="input"
            )
        return voice, self._split_turns(members, turns, request, decide)

    def _split_turns(
        self, members: Mapping[str, Voice], turns: Sequence[Turn], request: SpeechRequest, decide: DecideFor
    ) -> list[Span]:
        """Return the turns with their voices and languages, split where the emotion changes."""
        _check_number(turns)
        # Tags show no language, so they are replaced by blanks. Places stay.
        untagged = replace(request, text=_untagged(request))
        emotion, tag = request.emotion, request.language
        spans = [
            Span(turn.start, turn.end, members[turn.name], 0, tag, emotion=emotion, turn=number)
            for number, turn in enumerate(turns)
        ]
        decide_untagged = partial(decide, untagged)
        spans = self._fill_languages(spans, untagged.text, decide_untagged)
        parts = [
            part
            for turn, span in zip(turns, spans, strict=True)
            for part in _split_by_emotion(turn, span, untagged.text, decide_untagged)
        ]
        if not parts:
            raise InvalidRequest("Invalid 'input': it has nothing to say, only tags or signs.", param="input")
        _check_number(parts)
        return parts

    def _fallback_language(self, voice: Voice) -> str:
        """Return the language of texts that show none: that of the recording's speaker, or the default."""
        return voice.language if voice.language and voice.is_recorded else self._default

    def _fill_languages(self, spans: list[Span], text: str, decide: Decide) -> list[Span]:
        """Set the language of the whole dialogue in turns that are too short to detect theirs.

        A turn whose voice does not speak that language keeps the default.
        """
        if spans[0].language is not None:
            return spans
        spoken_text = " ".join(text[span.start : span.end] for span in spans)
        wholes = {
            usual: language.language_of_text(spoken_text, self._detect, usual)
            for usual in {self._fallback_language(span.voice): None for span in spans}
        }
        filled: list[Span] = []
        for span in spans:
            whole = wholes[self._fallback_language(span.voice)]
            like_whole = span._replace(language=whole.tag, source=whole.source)
            own = self.choose_language(span.voice, span.language, span.source, text[span.start : span.end])
            is_short = own.source == "default"
            filled.append(like_whole if is_short and decide(like_whole).error is None else span)
        return filled

    def _split_by_sentence(self, spans: Sequence[Span], texts: _Texts, decide: Decide) -> Iterator[Span]:
        """Split turns into sentences, up to the most parts. Then the rest of a turn stays one piece."""
        room = MOST_PARTS - len(spans)
        for span in spans:
            main = decide(span).query
            whole = span._replace(language=main.language, source=main.source)
            routed = self._route_sentences(whole, decide)
            found = list(islice(self._sentences(span, routed or whole, texts, decide), room + 1))
            room -= len(found) - 1
            yield from found[:-1]
            last = found[-1]
            yield last if last.end == span.end else (routed or whole)._replace(start=last.start)

    def _sentences(self, original: Span, whole: Span, texts: _Texts, decide: Decide) -> Iterator[Span]:
        """Yield the sentences of a span. Neighbours with equal speakers are joined: the melody is better."""
        text, spoken_text = (each[whole.start : whole.end] for each in texts)
        main = whole.language or self._default
        is_routed = any(route.sentences for route in self._catalogue.routes.of(main))
        usual = self._fallback_language(original.voice)
        pieces = language.sentence_languages(
            spoken_text, sentence_ends(text, main), main, self._detect, usual
        )
        tags = {piece.tag for piece in pieces} - {main}
        others = {tag: original._replace(language=tag, source="detected", plain=()) for tag in tags}
        spoken = {tag: self._route_other_language(other, is_routed, decide) for tag, other in others.items()}
        for part, alike in groupby(
            _join_silent_pieces(pieces, spoken_text), lambda piece: spoken.get(piece.tag) or whole
        ):
            found = list(alike)
            yield part._replace(start=whole.start + found[0].start, end=whole.start + found[-1].end)

    def _route_other_language(self, span: Span, is_main_routed: bool, decide: Decide) -> Span | None:
        """Return the span for sentences in another language, or None if they stay with the rest.

        If the rest has a route for sentences, they do not stay: that route is for another language.
        """
        if (routed := self._route_sentences(span, decide)) is not None:
            return routed
        decision = decide(span)
        if decision.route is not None and not decision.route.sentences:
            return None
        if decision.error is None:
            return span if is_main_routed else None
        # No candidate can read these letters. The span stays alone, so that planning reports the error.
        return span if base_tag(span.language or "") in language.SCRIPT_LANGUAGES else None

    def _route_sentences(self, span: Span, decide: Decide) -> Span | None:
        decision = decide(span)
        route = decision.route
        if route is None or not route.sentences:
            return None
        if decision.error is not None and route.voice is not None:
            try:
                span = span._replace(voice=self._catalogue.resolve_voice(route.voice), plain=())
            except InvalidRequest:
                return None
            decision = decide(span)
        return span if decision.error is None else None


def _untagged(request: SpeechRequest) -> str:
    return request.text if request.emotion_tags == "text" else text_tags.without_tags(request.text)


def _split_by_emotion(turn: Turn, span: Span, untagged: str, decide: Decide) -> Iterator[Span]:
    """Split a turn where its emotion changes. A tag counts if the first model without the tag can express it,
    or if the route has a post-step for it. All passages have the language of the turn."""
    if not turn.tags:
        yield span
        return
    decision = decide(span)
    whole = span._replace(language=decision.query.language, source=decision.query.source)
    if decision.error is not None:
        yield whole  # the planning of the part raises the error
        return
    if span.emotion is None:
        whole = whole._replace(plain=decision.candidates)
    for start, end, tagged in text_tags.split_turn(untagged, turn, decision.emotions):
        emotion = span.emotion if tagged is None else None if tagged == NEUTRAL else tagged
        yield whole._replace(start=start, end=end, emotion=emotion)


def _split_at_pauses(
    spans: Sequence[Span], pauses: Sequence[Pause], untagged: str, decide: Decide
) -> list[Span]:
    """Cut spans at their pauses, each in the language of the whole span: a short piece shows none. Pauses
    before the first word are left out."""
    found = list[Span]()
    for span in spans:
        inside = [pause for pause in pauses if span.start <= pause.start < span.end]
        if not inside:
            found.append(span)
            continue
        query = decide(span).query
        whole = span._replace(language=query.language, source=query.source)
        starts, ends = [pause.end for pause in inside], [pause.start for pause in inside]
        for start, end in zip([span.start, *starts], [*ends, span.end], strict=True):
            # Signs alone would have no sound, nor the pause after them.
            if not cleaning.is_silent(untagged[start:end]):
                found.append(whole._replace(start=start, end=end))
    if not found:
        raise InvalidRequest("Invalid 'input': it has nothing to say, only tags or signs.", param="input")
    _check_number(found)
    span_ends = [span.end for span in found]
    for pause in pauses:
        if number := bisect_right(span_ends, pause.start):
            before = found[number - 1]
            found[number - 1] = before._replace(pause_s=before.pause_s + pause.seconds)
    return found


def check_pauses(text: str, most_s: float, param: str = "input") -> None:
    """Raise InvalidRequest for a pause that is too long, or if all are longer than `most_s`."""
    if (pause := text_tags.excessive_pause(text, most_s)) is not None:
        raise InvalidRequest(
            f"Invalid '{param}': the pause at character {pause.start} is too long. A pause may have "
            f"{text_tags.MOST_PAUSE_S:.0f} s, and all together {most_s:.0f} s.",
            param=param,
            code="pause_too_long",
        )


def _check_number(parts: Sequence[object]) -> None:
    if len(parts) > MOST_PARTS:
        raise InvalidRequest(
            f"Invalid 'input': its voices, emotions and pauses make {len(parts)} parts; "
            f"{MOST_PARTS} can be spoken in one request.",
            param="input",
        )


def _combine_voices(members: Mapping[str, Voice]) -> Voice:
    """Return one voice that represents several, under their joined ids."""
    ids = dict.fromkeys(voice.id for voice in members.values())
    if len(ids) == 1:
        return next(iter(members.values()))
    name = "+".join(ids)
    return Voice(id=name, name=name)


def _join_silent_pieces(pieces: Sequence[LanguageSpan], spoken_text: str) -> Iterator[LanguageSpan]:
    """Yield the pieces with silent ones joined to the previous piece, or a first one to the next."""
    waiting: LanguageSpan | None = None
    for piece in pieces:
        if waiting is None:
            waiting = piece
        elif not cleaning.is_speech(spoken_text[piece.start : piece.end]):
            waiting = waiting._replace(end=piece.end)
        elif not cleaning.is_speech(spoken_text[waiting.start : waiting.end]):
            waiting = piece._replace(start=waiting.start)
        else:
            yield waiting
            waiting = piece
    if waiting is not None:
        yield waiting


def _share_characters(spans: Sequence[Span], length: int) -> Iterator[Span]:
    """Yield the spans with their charged characters. A tag counts for the span after it, or the last one."""
    begin = 0
    for number, span in enumerate(spans, 1):
        end = length if number == len(spans) else span.end
        yield span._replace(characters=end - begin)
        begin = end


EMOTION = "emotion"


def candidates_of(request: SpeechRequest, span: Span, decision: Decision) -> tuple[Candidate, ...]:
    """Return the candidates for a part. A candidate that cannot express its tags ignores them. Candidates for
    the plain turn come last. Raises InvalidRequest if the request refuses both."""
    candidates, mode = decision.candidates, request.emotion_tags
    tag = None if mode == "text" else text_tags.first_emotion(request.text, span.start, span.end)
    if tag is not None:
        candidates = tuple([c if c.model.info.reads_emotion_tags else _ignoring(c) for c in candidates])
    if span.plain and span.emotion is not None:
        known, posts = {each.model.name for each in candidates}, [each.post for each in candidates]
        others = [each for each in span.plain if each.model.name not in known and each.post in posts]
        candidates += tuple(map(_ignoring, others))
    if mode != "refuse":
        return candidates
    able = tuple([each for each in candidates if EMOTION not in each.ignores])
    if tag is not None and not able:
        raise inexpressible(tag, tag.start, candidates[0])
    return able


def inexpressible(tag: Tag, place: int, candidate: Candidate, param: str = "input") -> InvalidRequest:
    """Return the refusal of a tag at a place in the field `param`."""
    return InvalidRequest(
        f"Invalid '{param}': '[{tag.value}]' at character {place} is an emotion that {candidate.model.name} "
        "cannot express here. With 'emotion_tags' drop it is left out, with text it is read.",
        param=param,
        code="unsupported_value",
    )


def _ignoring(candidate: Candidate) -> Candidate:
    return replace(candidate, ignores=(*candidate.ignores, EMOTION))
