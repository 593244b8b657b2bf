"""All that can be heard is in the name of a clip, and nothing else."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import proxy
from policies.lexicon import Lexicon
from policies.plans import UNLIMITED, build_terms
from policies.routing import Binding, Candidate, Model, PostSpeaker, Voice
from proxy.audio.formats import USUAL_FORMS, OutputForm
from proxy.config.sections import Config, EngineSection, PluginSection
from proxy.features.cache.names import (
    OF_SPEAKERS,
    RESOLVED,
    UNHEARD,
    UNHEARD_OF_PART,
    CacheQuestion,
    ClipNames,
)
from proxy.speech.part import Part
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SourceSound, SpeechRequest
from speech_engine import EngineVoice, ModelInfo, Trained
from tests.tables import each_row

SECRET = bytes(range(32))
TEXT = "Hello there."
REQUEST = SpeechRequest(
    model="tts-1",
    text=TEXT,
    voice="ana",
    form=USUAL_FORMS["mp3"],
    answer="audio",
    speed=1.0,
    language=None,
    pitch=0.0,
    emotion=None,
    seed=None,
)
OTHERWISE: dict[str, Any] = {
    "model": "one/m",
    "text": "Hallo there.",
    "voice": "ben",
    "form": OutputForm("mp3", 24_000, is_usual=False),
    "answer": "sse",
    "speed": 1.01,
    "language": "en-GB",
    "pitch": -1.0,
    "emotion_tags": "text",
    "emotion": "happy",
    "markdown": "off",
    "code": "read",
    "seed": 0,
    "lexicon": {"there": "their"},
    "cast": (("Ana", "nova"),),
    "mix": (("nova", 1.0),),
    "by_sentence": True,
    "cache": True,
    "instructions": "Whisper.",
    "extra": (("task_type", '"Base"'),),
    "ignored": ("provider",),
    "provenance": "c2pa",
    "source": SourceSound(b"\0\0", 0.5, "digest"),
    "tag": "ep:1",
    "history": True,
    "check": "heard",
    "on_wrong": "fail",
    "hears_words": True,
}
"""For each field of a request a value that differs from the one above."""


def _candidate(engine: str = "one", **info: object) -> Candidate:
    model = ModelInfo(id="m", languages=(), sample_rate_hz=24_000)
    return Candidate(Model(engine, msgspec.structs.replace(model, **info)), EngineVoice("v"))


def _voice(**more: object) -> Voice:
    voice = Voice(id="ana", name="Ana", bindings=(Binding("one", EngineVoice("v")),))
    return msgspec.structs.replace(voice, **more)


PART = Part(_voice(), "en", (_candidate(), _candidate("two")), 0, len(TEXT), 1.0, len(TEXT))
OTHER_PARTS: dict[str, Any] = {
    "voice": _voice(id="ben"),
    "language": "en-GB",
    "candidates": (_candidate("three"),),
    "start": 1,
    "end": 5,
    "estimated_s": 2.0,
    "characters": 3,
    "source": "default",
    "route": "en",
    "lexicon": Lexicon({"a": "b"}, digest="of it"),
    "pause_s": 0.5,
    "requested_pause_s": 0.5,
    "emotion": "happy",
}
"""For each field of a part a value that differs from the one above."""


def _name(
    request: SpeechRequest = REQUEST,
    *parts: Part,
    account: str = "acc_1",
    key: bytes = SECRET,
    config: Config | None = None,
    revisions: Mapping[str, str] | None = None,
) -> str:
    names = ClipNames(key, (revisions or {}).__getitem__ if revisions else lambda _: "")
    names.revise(config or Config())
    parts = parts or (PART,)
    plan = SpeechPlan(
        parts[0].voice,
        parts[0].voice.id,
        parts[0].language,
        parts,
        1.0,
        build_terms(UNLIMITED),
        frozenset(),
        frozenset(),
    )
    sought = CacheQuestion(account, request, plan)
    return names.clip_name(sought, [part.candidates[0].speaker for part in parts])


def test_one_part_with_a_lexicon_is_enough_to_be_purged_with_it() -> None:
    found = []
    for parts in ((PART, PART), (PART, msgspec.structs.replace(PART, lexicon=Lexicon({}, digest="of it")))):
        plan = SpeechPlan(
            PART.voice, PART.voice.id, "en", parts, 1.0, build_terms(UNLIMITED), frozenset(), frozenset()
        )
        found.append(CacheQuestion("acc_1", REQUEST, plan).owner.has_lexicon)
    assert found == [False, True]


def test_every_field_of_a_request_is_looked_at_here() -> None:
    assert set(OTHERWISE) == set(SpeechRequest.__struct_fields__)
    assert set(SpeechRequest.__struct_fields__) >= RESOLVED | OF_SPEAKERS | UNHEARD


def test_every_field_of_a_part_is_looked_at_here() -> None:
    assert set(OTHER_PARTS) == set(Part.__struct_fields__)
    assert set(Part.__struct_fields__) >= UNHEARD_OF_PART


@each_row("field", SpeechRequest.__struct_fields__)
def test_a_request_has_another_name_when_it_sounds_otherwise(field: str) -> None:
    other = msgspec.structs.replace(REQUEST, **{field: OTHERWISE[field]})
    assert (_name(other) == _name()) is (field in RESOLVED | OF_SPEAKERS | UNHEARD)


@each_row("field", ["answer", "cache", "ignored", "provenance", "tag", "history", "on_wrong", "hears_words"])
def test_a_request_keeps_its_name_when_it_only_looks_otherwise(field: str) -> None:
    assert _name(msgspec.structs.replace(REQUEST, **{field: OTHERWISE[field]})) == _name()


@pytest.mark.parametrize("field", sorted(OF_SPEAKERS))
def test_a_field_that_only_some_models_follow_names_what_they_speak(field: str) -> None:
    """The part's speaker takes the field, and no other that was sent."""
    follows = _candidate(max_instructions=500, client_fields=("task_type",))
    part = msgspec.structs.replace(PART, candidates=(follows,))
    other = msgspec.structs.replace(REQUEST, **{field: OTHERWISE[field]})
    assert _name(other, part) != _name(REQUEST, part)
    foreign = msgspec.structs.replace(REQUEST, extra=(("lang_code", '"a"'),))
    assert _name(foreign, part) == _name(REQUEST, part)


@each_row("field", Part.__struct_fields__)
def test_a_part_has_another_name_when_it_sounds_otherwise(field: str) -> None:
    other = msgspec.structs.replace(PART, **{field: OTHER_PARTS[field]})
    assert (_name(REQUEST, other) == _name()) is (field in UNHEARD_OF_PART)


def test_another_speaker_or_any_change_of_one_makes_another_name() -> None:
    front = msgspec.structs.replace(_candidate(), front_end="latin")
    parts = [
        PART,
        msgspec.structs.replace(PART, voice=_voice(revision="2")),
        msgspec.structs.replace(PART, candidates=(_candidate("two"),)),
        msgspec.structs.replace(PART, candidates=(_candidate(digest="of the checkpoint"),)),
        msgspec.structs.replace(PART, candidates=(_candidate(id="n"),)),
        msgspec.structs.replace(PART, candidates=(front,)),
        msgspec.structs.replace(
            PART, candidates=(msgspec.structs.replace(_candidate(), voice=EngineVoice("w")),)
        ),
    ]
    names = [_name(REQUEST, part) for part in parts]
    assert len(set(names)) == len(names)


def test_whoever_repeats_the_speech_or_any_change_of_that_makes_another_name() -> None:
    model = Model("rvc", ModelInfo(id="c", languages=(), sample_rate_hz=24_000, converts=True))
    trained = msgspec.structs.replace(_voice(id="anna"), bindings=(Binding("rvc", Trained("d1")),))
    post = PostSpeaker(model, Trained("d1"), trained)
    other_model = msgspec.structs.replace(model.info, digest="of the checkpoint")
    changed: list[dict[str, Any]] = [
        {},
        {"model": Model("rvc", msgspec.structs.replace(model.info, id="d"))},
        {"model": Model("other", model.info)},
        {"model": Model("rvc", other_model)},
        {"voice": Trained("d2")},
        {"named_voice": _voice(id="ben")},
        {"named_voice": msgspec.structs.replace(trained, revision="2")},
        {"credential": "account-2"},
        {"pitch": 2.0},
    ]
    posts = [None, *(msgspec.structs.replace(post, **each) for each in changed)]
    parts = [
        msgspec.structs.replace(PART, candidates=(msgspec.structs.replace(_candidate(), post=each),))
        for each in posts
    ]
    rvc = Config(engines={"rvc": EngineSection("rvc", settings={"windows": 2})})
    names = [_name(REQUEST, part) for part in parts] + [_name(REQUEST, parts[1], config=rvc)]
    assert len(set(names)) == len(names)


def test_details_that_nobody_hears_change_nothing() -> None:
    described = msgspec.structs.replace(PART, voice=_voice(description="warm", name="Anna"))
    alone = msgspec.structs.replace(PART, candidates=PART.candidates[:1])
    assert _name(REQUEST, described) == _name(REQUEST, alone) == _name()


def test_the_order_of_parts_is_heard() -> None:
    ben = msgspec.structs.replace(PART, voice=_voice(id="ben"))
    assert _name(REQUEST, PART, ben) != _name(REQUEST, ben, PART)


def test_another_account_another_secret_and_another_version_share_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [_name(), _name(account="acc_2"), _name(key=bytes(32))]
    monkeypatch.setattr(proxy, "__version__", "99.0.0")
    assert len({*names, _name()}) == 4


def test_rules_and_settings_that_changed_share_nothing() -> None:
    def engine(**settings: object) -> Config:
        return Config(engines={"one": EngineSection("espeak", settings=settings)})

    configs = [
        Config(),
        engine(a=1),
        engine(a=2),
        Config(plugins={"front_end": {"plain": PluginSection(settings={"a": 1})}}),
        Config(engines={"one": EngineSection("tone", settings={"a": 1})}),
    ]
    names = [_name(config=config) for config in configs]
    names += [_name(revisions={"plain": revision}) for revision in "12"]
    assert len(set(names)) == len(names)
    unheard = Config(engines={"one": EngineSection("espeak", settings={"a": 1}, processes=2)})
    assert _name(config=unheard) == _name(config=engine(a=1))
    others = Config(engines={"two": EngineSection("espeak", settings={"a": 1})})
    assert _name(config=others) == _name()


_REQUESTS = st.builds(
    SpeechRequest,
    model=st.just("tts-1"),
    text=st.text(min_size=1, max_size=6),
    voice=st.just("ana"),
    form=st.sampled_from([USUAL_FORMS["mp3"], USUAL_FORMS["wav"], OutputForm("wav", 8_000, is_usual=False)]),
    answer=st.sampled_from(["audio", "sse", "json"]),
    speed=st.sampled_from([1.0, 1.5, 4.0]),
    language=st.none(),
    pitch=st.sampled_from([0.0, -12.0]),
    emotion=st.sampled_from([None, "", "sad"]),
    seed=st.none() | st.integers(0, 3),
    cache=st.none() | st.booleans(),
)


@st.composite
def _alike(draw: st.DrawFn) -> tuple[SpeechRequest, SpeechRequest]:
    """Two requests that differ in few fields: two of all would hardly ever be heard alike."""
    one, other = draw(_REQUESTS), draw(_REQUESTS)
    names = draw(st.sets(st.sampled_from(SpeechRequest.__struct_fields__), max_size=2))
    return one, msgspec.structs.replace(one, **{name: getattr(other, name) for name in names})


@given(_alike())
def test_two_requests_have_one_name_if_nobody_could_hear_a_difference(
    both: tuple[SpeechRequest, SpeechRequest],
) -> None:
    one, other = both

    def heard(request: SpeechRequest) -> SpeechRequest:
        return msgspec.structs.replace(request, answer="audio", cache=None)

    # What a plan makes of them: it has the emotion in each part.
    names = [_name(each, msgspec.structs.replace(PART, emotion=each.emotion)) for each in (one, other)]
    assert (names[0] == names[1]) is (heard(one) == heard(other))


def test_names_tell_nothing() -> None:
    names = ClipNames(SECRET, lambda _: "")
    plan = SpeechPlan(
        PART.voice, PART.voice.id, "en", (PART,), 1.0, build_terms(UNLIMITED), frozenset(), frozenset()
    )
    sought = CacheQuestion("acc_1", REQUEST, plan)
    said = names.folder_id + names.clip_name(sought, ["one/m"]) + repr(names) + repr(sought)
    for canary in ("acc_1", "Hello", "Ana"):
        assert canary not in said
