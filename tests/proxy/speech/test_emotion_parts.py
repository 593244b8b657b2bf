"""The parts of a text with emotions: their places, languages, pauses and bounds, as they are planned."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from policies import plans, text_tags
from policies.language import Detect
from policies.lexicon import Lexicons
from policies.plans import Plan, Terms
from policies.routing import Binding, Offer, Route, Voice
from policies.text_tags import EMOTIONS
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary, VoiceCache
from proxy.config.sections import Config, EngineSection
from proxy.engines.engine_list import Engines
from proxy.engines.in_process import InProcessEngine
from proxy.errors import InvalidRequest
from proxy.http.replies import encode_json
from proxy.speech.part import Part
from proxy.speech.planning import Planner, SpeechPlan
from proxy.speech.speech_request import Defaults, SpeechRequest, parse_speech
from proxy.speech.split_text import MOST_PARTS
from speech_engine import EngineVoice, Language, Sample
from speech_engine.text.cleaning import is_silent
from speech_engine.values import find_samples
from tests.proxy.api.scripted import Scripted
from tests.tables import each_row

TAGS = ("", "happy", "sad")
FELT = Voice(
    id="voice_1",
    name="felt",
    account="acc",
    samples=tuple(Sample(f"{tag or 'plain'}-clip", tag=tag, seconds=9.0) for tag in TAGS),
)
DULL = Voice(id="voice_2", name="dull", bindings=(Binding("able", EngineVoice("v")),))
MINIMAL = Voice(id="voice_3", name="own", bindings=(Binding("feeling", EngineVoice("v")),))
CAST = {"cast": {"A": "felt", "B": "dull", "C": "felt"}}
FREE = plans.build_terms(Plan(name="free"))
PORTUGUESE = "Tudo bem com você hoje de manhã, meu velho amigo?"
THAI = "สวัสดีครับ ยินดีต้อนรับ."


class CountingCatalogue(Catalogue):
    """One that counts decisions: each needs an offer."""

    offers = 0

    def find_offer(self, name: str, tag: str, operators: Mapping[str, Voice] | None = None) -> Offer:
        self.offers += 1
        return super().find_offer(name, tag, operators)


def planner(
    *routes: Route, detect: Detect | None = None, pause_ms: int = 400
) -> tuple[Planner, CountingCatalogue]:
    known = tuple(map(Language, ("en", "pt")))
    live = {
        "able": Scripted(languages=known, speaks_samples=True, mixes=True),
        "feeling": Scripted(languages=known, emotions=("calm", "happy", "odd")),
        "thai": Scripted(languages=(Language("th"),), speaks_samples=True),
    }
    sections = {name: EngineSection(plugin=name) for name in live}
    config = Config(engines=sections, models={"any": ("able/m", "feeling/m")}, routes=routes)
    engines = Engines({name: InProcessEngine(each, 0) for name, each in live.items()}, sections)
    catalogue = CountingCatalogue(config, engines)
    return Planner(catalogue, detect=detect, pause_ms=pause_ms), catalogue


LIBRARY = AccountLibrary(VoiceCache((FELT, DULL, MINIMAL)), VoiceCache(), Lexicons({}))


def request(text: str, **more: object) -> SpeechRequest:
    body = {"model": "any", "voice": "felt", "input": text, **more}
    return parse_speech(encode_json(body), Defaults())


def planned(text: str, *routes: Route, detect: Detect | None = None, **more: object) -> SpeechPlan:
    return planner(*routes, detect=detect)[0].plan(request(text, **more), FREE, LIBRARY)


def told(plan: SpeechPlan, text: str) -> list[tuple[str | None, str]]:
    return [(part.emotion, text[part.start : part.end].strip()) for part in plan.parts]


@each_row(
    ("text", "voice", "pauses"),
    [
        ("One. [happy] Two. [sad] Three. [neutral] Four.", "felt", [0, 0, 0, 0]),
        ("[happy] One. [happy] Two.", "felt", [0, 0]),
        # Who goes on in another emotion does not stop, but each turn is one.
        ("[A] One. [happy] Two. [A] [sad] Three. [C] [sad] Four.", CAST, [0, 0.4, 0.4, 0]),
        ("[A] One. [B] Two. [A] [happy] Three.", CAST, [0.4, 0.4, 0]),
        ("[happy] One. [B] [happy] Two.", CAST, [0.4, 0]),
    ],
)
def test_there_is_a_pause_between_turns_and_none_between_emotions(
    text: str, voice: object, pauses: list[float]
) -> None:
    assert [part.pause_s for part in planned(text, voice=voice).parts] == pauses


def test_languages_have_a_pause_between_them_as_without_emotions() -> None:
    routes = [
        Route(language=tag, candidates=(by,), sentences=True)
        for tag, by in (("en", "able/m"), ("th", "thai/m"))
    ]
    text = f"This is English. [happy] This is, too. {THAI} [sad] {THAI} Bye for now, my friend."
    parts = planned(text, *routes, language="auto").parts
    assert [(part.emotion, part.language, part.pause_s) for part in parts] == [
        (None, "en", 0),
        ("happy", "en", 0.4),
        ("happy", "th", 0),
        ("sad", "th", 0.4),
        ("sad", "en", 0),
    ]


def test_a_tag_counts_by_the_model_that_would_speak_first() -> None:
    text = "[happy] One. [calm] Two. [sad] Three. [odd] Four."
    recorded, bound = planned(text), planned(text, voice="own")
    assert told(recorded, text) == [("happy", "One. [calm] Two."), ("sad", "Three. [odd] Four.")]
    # What a model calls by a word of its own is no tag.
    assert told(bound, text) == [("happy", "One."), ("calm", "Two. [sad] Three. [odd] Four.")]
    dull = planned(text, voice="dull")
    assert told(dull, text) == [(None, text)]
    assert [part.characters for part in dull.parts] == [len(text)]


def test_with_an_emotion_of_the_request_the_model_is_another_and_so_are_its_tags() -> None:
    text = "One. [happy] Two. [sad] Three."
    both = replace(FELT, bindings=(Binding("feeling", EngineVoice("v")),))
    library = AccountLibrary(VoiceCache((both,)), VoiceCache(), Lexicons({}))
    plan = planner()[0].plan(request(text, emotion="calm"), FREE, library)
    # Only the second model is ever calm, and it is never sad.
    assert told(plan, text) == [("calm", "One."), ("happy", "Two. [sad] Three.")]
    assert [[each.model.engine for each in part.candidates] for part in plan.parts] == [
        ["feeling"],
        ["able", "feeling"],
    ]
    assert [[each.tag for each in find_samples(part.candidates[0].voice)] for part in plan.parts] == [
        [],
        ["happy"],
    ]


@pytest.mark.parametrize("more", [{}, {"language": "auto"}])
def test_all_of_a_turn_has_the_language_of_the_whole(more: dict[str, object]) -> None:
    asked: list[str] = []

    def detect(text: str, _usual: str) -> tuple[str, ...]:
        asked.append(text)
        return ("pt",) if "manh" in text else ("en",) if "happy" in text else ()

    text = f"Hm. [happy] Oi! [sad] {PORTUGUESE} [happy] Ok."
    parts = planned(text, detect=detect, **more).parts
    assert [(part.language, part.source) for part in parts] == [("pt", "detected")] * 4
    # A tag is English, and is not asked about.
    assert not any("happy" in each for each in asked)
    short = planned("[happy] Oi!", detect=detect, **more).parts
    assert [(part.language, part.source) for part in short] == [("en", "default")]


def test_a_short_turn_of_a_cast_has_the_language_of_the_dialogue_in_each_emotion() -> None:
    def detect(text: str, _usual: str) -> tuple[str, ...]:
        return ("pt",) if "manh" in text else ("en",) if "happy" in text else ()

    text = f"[A] [happy] Oi! [sad] Hm. [B] {PORTUGUESE}"
    parts = planned(text, detect=detect, voice=CAST).parts
    assert [(part.emotion, part.language) for part in parts] == [("happy", "pt"), ("sad", "pt"), (None, "pt")]


def test_a_language_that_nobody_speaks_is_refused_as_without_tags() -> None:
    # In the last one, most letters are those of the tag.
    for text in (THAI, f"[happy] {THAI}", f"{THAI} [sad] {THAI}", "[happy] ดี"):
        with pytest.raises(InvalidRequest) as refused:
            planned(text)
        assert (refused.value.param, refused.value.code) == ("language", "unsupported_language")


def test_who_was_planned_without_an_emotion_is_judged_again_with_one() -> None:
    made, _ = planner()
    for emotion in (None, "neutral"):
        made.plan(request("Hi.", voice="dull", emotion=emotion), FREE, LIBRARY)
    with pytest.raises(InvalidRequest) as refused:
        made.plan(request("Hi.", voice="dull", emotion="happy"), FREE, LIBRARY)
    assert refused.value.param == "emotion"


@pytest.mark.parametrize("voice", ["felt", {"cast": {"A": "felt"}}])
def test_more_emotions_than_parts_are_refused(voice: object) -> None:
    assert len(planned("[sad] a " * MOST_PARTS, voice=voice).parts) == MOST_PARTS
    with pytest.raises(InvalidRequest, match="make 257 parts; 256 can") as refused:
        planned("[sad] a " * (MOST_PARTS + 1), voice=voice)
    assert refused.value.param == "input"


@each_row(
    ("text", "voice", "most"),
    [
        ("[happy] " * 512, "felt", 2),
        ("[happy]a" * 512, "felt", 2),
        ("[happy]aa" * 256, "felt", MOST_PARTS + 2),
        ("[A][happy]a" * 256, CAST, 3 * MOST_PARTS),
        ("[A]a" * 1024, CAST, 0),
        ("[laughs]" * 512, "felt", 1),
        ("[happy](a)" * 400, "felt", 1),
    ],
)
def test_the_decisions_of_a_text_are_bounded(text: str, voice: object, most: int) -> None:
    made, catalogue = planner()
    with suppress(InvalidRequest):
        made.plan(request(text, voice=voice), FREE, LIBRARY)
    assert catalogue.offers <= most


bits: Sequence[str] = [
    *(f"[{word}]" for word in ("happy", "SAD", "neutral", "calm", "A", "B", "laughs", "hap\npy", "")),
    *("[", "]", "(", "Hi. ", "... ", THAI, "\n", "[happy](x)"),
]
_COUNTS = re.compile(r"\[(happy|neutral|sad)\](?!\()", re.IGNORECASE)
"""A tag of what FELT can express. With a "(" behind it, it is a link."""
texts = st.lists(st.sampled_from(bits) | st.text(max_size=8), min_size=1, max_size=14).map("".join)


@given(texts, st.sampled_from(["felt", "own", "dull", CAST]), st.sampled_from([None, "happy"]))
def test_every_character_is_charged_once_and_no_part_has_a_tag_that_counts(
    text: str, voice: Any, emotion: str | None
) -> None:
    try:
        parts = planned(text, voice=voice, emotion=emotion).parts
    except InvalidRequest:
        return
    assert sum(part.characters for part in parts) == len(text)
    at = 0
    for part in parts:
        assert at <= part.start < part.end <= len(text)
        at = part.end
        assert part.emotion is None or part.emotion in EMOTIONS
        if part.voice.id == FELT.id and _is_by_recordings(part):
            assert not _COUNTS.search(text, part.start, part.end)


def _is_by_recordings(part: Part) -> bool:
    tags = {each.tag for each in find_samples(part.candidates[0].voice)}
    assert tags == {part.emotion or ""}
    return True


_PAUSED = re.compile(r"\[pause(?: |:)(?:0\.5|3)s\](?!\()", re.IGNORECASE)
paused_texts = st.lists(
    st.sampled_from(
        ["[pause 0.5s]", "[PAUSE:3s]", "[pause]", "[A]", "[happy]", *"[]() ", "\n", "Hi.", "Zwei", "สาม", "…"]
    )
    | st.text(max_size=5)
).map("".join)


@given(paused_texts, st.sampled_from(["felt", "own", "dull", CAST]))
def test_all_but_tags_is_spoken_and_every_pause_behind_a_word_is_there(text: str, voice: Any) -> None:
    try:
        parts = planner(pause_ms=0)[0].plan(request(text, voice=voice), FREE, LIBRARY).parts
    except InvalidRequest:
        return
    assert sum(part.characters for part in parts) == len(text)
    read = text_tags.without_tags(text)
    names = [
        (each.name_start, each.start)
        for each in text_tags.find_turns(text, CAST["cast"])
        if each.name_start is not None
    ]
    at = 0
    for part in [*parts, None]:
        # Names, tags and signs are left out.
        end = part.start if part else len(text)
        rest = "".join(read[place] for place in range(at, end) if not any(a <= place < b for a, b in names))
        if voice != CAST:
            assert is_silent(rest)
        at = part.end if part else at
    assert not any(_PAUSED.search(text, part.start, part.end) for part in parts)
    asked = [each for each in text_tags.find_pauses(text) if each.start >= parts[0].end]
    assert sum(part.pause_s for part in parts) == sum(each.seconds for each in asked)


@given(texts, st.sampled_from(["felt", "own"]))
def test_a_text_without_emotions_is_planned_as_ever(text: str, voice: str) -> None:
    plain = text.replace("[", "(")
    terms: Terms = FREE
    try:
        plan = planner()[0].plan(request(plain, voice=voice), terms, LIBRARY)
    except InvalidRequest:
        return
    (part,) = plan.parts
    assert (part.start, part.end, part.characters, part.emotion) == (0, len(plain), len(plain), None)
