"""Who could speak a request: never anyone who was not asked, who lacks the voice or the language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import routing
from policies.routing import Binding, Candidate, Model, NoCandidate, Voice, Wanted
from speech_engine import ANY_LANGUAGE, Language, ModelInfo
from speech_engine.models import Quality

ENGINES = ("red", "green", "blue")


def info(*tags: str, quality: Quality = "good", **more: object) -> ModelInfo:
    languages = tuple(Language(tag, quality) for tag in tags)
    stated: dict[str, object] = {"id": "m", "languages": languages, "sample_rate_hz": 24_000, **more}
    return ModelInfo(**stated)  # type: ignore[arg-type]  # keywords by name, checked by the struct's users


def voice(*engines: str) -> Voice:
    return Voice(id="v", name="v", bindings=tuple(Binding(engine, f"{engine}-v") for engine in engines))


tags = st.sampled_from(["en", "en-NG", "pt", "pt-BR", "th", ANY_LANGUAGE])
infos = st.builds(
    ModelInfo,
    id=st.sampled_from("abc"),
    languages=st.lists(st.builds(Language, tags, st.sampled_from(["good", "fair", "poor"])), max_size=3).map(
        tuple
    ),
    sample_rate_hz=st.just(24_000),
    pitch=st.sampled_from([(0.0, 0.0), (-12.0, 12.0)]),
    emotions=st.sampled_from([(), ("happy",)]),
)
models = st.lists(st.builds(Model, st.sampled_from(ENGINES), infos), min_size=1, max_size=6)
voices = st.lists(st.sampled_from(ENGINES), min_size=1, unique=True).map(lambda names: voice(*names))
wishes = st.builds(
    Wanted,
    language=st.sampled_from(["en", "EN-ng", "pt-PT", "th", "xx"]),
    pitch=st.sampled_from([0.0, 2.0]),
    emotion=st.sampled_from([None, "happy"]),
)


def suits(model: Model, wanted: Wanted) -> bool:
    return (
        routing.speaks(model.info, wanted.language)
        and model.info.pitch[0] <= wanted.pitch <= model.info.pitch[1]
        and (wanted.emotion is None or wanted.emotion in model.info.emotions)
    )


@given(models, voices, wishes)
def test_candidates_are_the_models_that_can_in_their_order(
    asked: list[Model], with_voice: Voice, wanted: Wanted
) -> None:
    expected = [m for m in asked if with_voice.on(m.engine) is not None and suits(m, wanted)]
    if not expected:
        with pytest.raises(NoCandidate) as caught:
            routing.candidates(asked, with_voice, wanted)
        assert caught.value.field in ("voice", "language", "pitch", "emotion")
        assert caught.value.message
        return
    found = routing.candidates(asked, with_voice, wanted)
    assert [candidate.model for candidate in found] == expected
    assert all(candidate.engine_voice == f"{candidate.model.engine}-v" for candidate in found)


@pytest.mark.parametrize(
    ("model", "with_voice", "wanted", "field", "code"),
    [
        (info("en"), voice("blue"), Wanted(language="en"), "voice", "voice_not_available"),
        (info("pt"), voice("red"), Wanted(language="en"), "language", "unsupported_language"),
        (info("th", quality="poor"), voice("red"), Wanted(language="th"), "language", "unsupported_language"),
        (info("en"), voice("red"), Wanted(language="en", pitch=1.0), "pitch", "unsupported_value"),
        (info("en"), voice("red"), Wanted(language="en", emotion="sad"), "emotion", "unsupported_value"),
        (
            info("en", emotions=("happy",)),
            voice("red"),
            Wanted(language="en", emotion="sad"),
            "emotion",
            "unsupported_value",
        ),
    ],
)
def test_an_empty_list_names_the_filter_that_emptied_it(
    model: ModelInfo, with_voice: Voice, wanted: Wanted, field: str, code: str
) -> None:
    with pytest.raises(NoCandidate) as caught:
        routing.candidates([Model("red", model)], with_voice, wanted)
    assert (caught.value.field, caught.value.code) == (field, code)
    assert "red" in caught.value.message


@pytest.mark.parametrize(
    ("stated", "tag", "speaks"),
    [
        (("en",), "en", True),
        (("en",), "EN", True),
        (("en",), "en-NG", True),
        (("en-NG",), "en", False),
        (("pt-BR",), "pt-br", True),
        (("pt-BR",), "pt-PT", False),
        ((ANY_LANGUAGE,), "th", True),
        ((), "en", False),
    ],
)
def test_a_region_falls_back_to_its_language_and_never_the_other_way(
    stated: tuple[str, ...], tag: str, speaks: bool
) -> None:
    assert routing.speaks(info(*stated), tag) is speaks


def test_a_poor_language_is_refused_though_the_engine_takes_any() -> None:
    model = ModelInfo(
        id="m", languages=(Language("th", "poor"), Language(ANY_LANGUAGE)), sample_rate_hz=24_000
    )
    assert not routing.speaks(model, "th")
    assert routing.speaks(model, "lo")


def test_a_candidate_is_a_model_with_its_own_engines_voice() -> None:
    red, blue = Model("red", info("en")), Model("blue", info("en"))
    found = routing.candidates([blue, red], voice("red", "blue"), Wanted(language="en"))
    assert found == (Candidate(blue, "blue-v"), Candidate(red, "red-v"))
    assert (blue.name, found[0].front_end) == ("blue/m", "plain")
