"""Voices found by a description, in four languages: the best first, and why."""

from hypothesis import given
from hypothesis import strategies as st

from policies.matching import match_voices
from policies.routing import Voice
from tests.tables import each_row

VOICES = (
    Voice(id="malee", name="Malee", bindings=(), language="th", gender="female", age="old", tags=("warm",)),
    Voice(id="somchai", name="Somchai", bindings=(), language="th", gender="Male", age="old"),
    Voice(
        id="bia", name="Bia", bindings=(), language="pt-BR", gender="female", age="young", tags=("bright",)
    ),
    Voice(id="rui", name="Rui", bindings=(), language="pt-PT", gender="male", age="middle aged"),
    Voice(id="nova", name="nova", bindings=(), gender="female"),
    Voice(id="plain", name="plain", bindings=()),
    Voice(
        id="cloud/7",
        name="English_Narrator_Male",
        bindings=(),
        description="A deep, calm storyteller from Nigeria; knows his fado.",
    ),
)


def found(description: str) -> list[str]:
    return [each.voice.id for each in match_voices(description, VOICES)]


@each_row(
    "description",
    [
        "warm older woman, Thai",
        "uma mulher mais velha, calorosa, tailandesa",
        "mujer mayor y cálida, tailandesa",
        "เสียงผู้หญิงสูงวัย อบอุ่น ภาษาไทย",
        "THAI grandmother; warm!",
    ],
)
def test_the_same_wish_in_four_languages_finds_the_same_voice(description: str) -> None:
    best, *others = match_voices(description, VOICES)
    assert (best.voice.id, best.score) == ("malee", 1.0)
    assert set(best.reasons) == {"quality: warm", "age: old", "gender: female", "language: th"}
    # A voice that is known to be a man, or to speak another language, is no match.
    assert [each.voice.id for each in others] == ["nova"]
    assert others[0].reasons == ("gender: female",)


@each_row(
    ("description", "ids"),
    [
        ("young Brazilian", ["bia", "rui"]),
        ("pt-PT", ["rui", "bia"]),
        ("portuguese", ["bia", "rui"]),
        ("narrador profundo", ["cloud/7"]),
        ("a narrator", ["cloud/7"]),
        ("fado", ["cloud/7"]),
        ("หนุ่ม", ["cloud/7", "rui", "somchai"]),
        ("middle-aged man", ["rui", "cloud/7", "somchai"]),
        ("man or woman, bright", ["bia", "cloud/7", "malee", "nova", "rui", "somchai"]),
        ("the voice of a", []),
        ("klingon", []),
        ("", []),
        ("🙂", []),
    ],
)
def test_voices_are_found_best_first(description: str, ids: list[str]) -> None:
    assert found(description) == ids


def test_with_engines_to_ask_a_language_that_they_refuse_is_nobodys() -> None:
    def speaks(voice: Voice, tag: str) -> bool:
        return tag in ("en-GB", "pt") and voice.id != "rui"

    def found_by(description: str) -> dict[str, float]:
        return {each.voice.id: each.score for each in match_voices(description, VOICES, speaks)}

    assert found_by("warm older woman, Thai") == {}
    # A voice without a language fits half as well; a voice with another language does not fit.
    assert found_by("British English narrator") == {"cloud/7": 0.7, "nova": 0.3, "plain": 0.3}
    assert found_by("Portuguese") == {"bia": 1.0, "nova": 0.5, "plain": 0.5}
    assert set(found_by("bright")) == {"bia"}


def test_low_is_half_of_deep() -> None:
    low = Voice(id="low", name="x", bindings=(), tags=("low",))
    deep = Voice(id="deep", name="y", bindings=(), tags=("deep",))
    scores = [
        {each.voice.id: each.score for each in match_voices(wish, (low, deep))} for wish in ("deep", "low")
    ]
    assert scores == [{"deep": 1.0, "low": 0.5}, {"deep": 0.5, "low": 1.0}]


def test_half_of_a_wish_is_worth_less_than_all_of_it() -> None:
    scores = {each.voice.id: each.score for each in match_voices("young Brazilian woman", VOICES)}
    assert scores == {"bia": 1.0, "nova": 0.38}


@given(st.text(max_size=60), st.permutations(VOICES))
def test_any_text_gives_the_same_order_whatever_the_order_of_the_voices(
    text: str, voices: list[Voice]
) -> None:
    matches = match_voices(text, voices)
    assert matches == match_voices(text, VOICES)
    assert all(0 <= each.score <= 1 and each.reasons for each in matches)
    assert [each.score for each in matches] == sorted((each.score for each in matches), reverse=True)
