"""The front-end `latin` as the server meets it: any text, offsets, lexicons, sentences, threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugins.latin.front_end import LatinFrontEnd
from plugins.latin.plugin import voxgate_register
from speech_engine import Context, Segment
from tests.plugins.front_ends import LEXICONS, TEXTS, assert_sound
from tests.tables import each_row

TAGS = (
    "pt",
    "pt-BR",
    "pt-PT",
    "es",
    "es-MX",
    "es-ES",
    "en",
    "EN_us",
    "en-GB",
    "en-NG",
    "fr",
    "fr-CH",
    "it",
    "th",
    "*",
    "",
    "q1",
    "-",
)


def prepared(text: str, language: str = "en", **lexicon: str) -> tuple[Segment, ...]:
    return LatinFrontEnd().prepare(text, language, lexicon)


def said(text: str, language: str = "en", **lexicon: str) -> list[str]:
    return [segment.spoken for segment in prepared(text, language, **lexicon)]


def sources(text: str, language: str) -> dict[str, str]:
    """What is said otherwise than written → what is written there."""
    return {
        segment.spoken[one.spoken_start : one.spoken_end]: text[one.source_start : one.source_end]
        for segment in prepared(text, language)
        for one in segment.rewritten
    }


@settings(deadline=None)
@given(text=TEXTS, language=st.sampled_from(TAGS), lexicon=LEXICONS)
@example(text=" " * 10_000, language="en", lexicon={})
@example(text="1" * 500, language="pt", lexicon={})
@example(text="$" + "9," * 200, language="es", lexicon={})
@example(text="1º\u0301 5\u200bkm", language="pt-PT", lexicon={})
def test_any_text_is_cut_and_said(text: str, language: str, lexicon: dict[str, str]) -> None:
    assert_sound(text, LatinFrontEnd().prepare(text, language, lexicon))


@settings(deadline=None)
@given(
    number=st.integers(0, 10**15 - 1),
    language=st.sampled_from(("pt", "pt-PT", "es", "en", "en-GB", "fr", "fr-BE", "it")),
)
def test_every_number_has_words(number: int, language: str) -> None:
    (spoken,) = said(f"x {number} y", language)
    assert spoken.startswith("x ")
    assert not any(character.isdigit() for character in spoken)


@settings(deadline=None)
@given(numbers=st.sets(st.integers(0, 10**15 - 1), min_size=2, max_size=2))
@pytest.mark.parametrize("language", ["pt", "pt-PT", "es", "en", "en-GB", "fr", "fr-BE", "it"])
def test_no_two_numbers_sound_alike(language: str, numbers: set[int]) -> None:
    assert len({said(f"x {number} y", language)[0] for number in numbers}) == 2


@each_row(
    ("language", "text", "expected"),
    [
        (
            "pt",
            "O Dr. Lima pagou R$ 1,50 às 14h30.",
            {
                "doutor": "Dr.",
                "um real e cinquenta centavos": "R$ 1,50",
                "catorze e trinta": "14h30",
            },
        ),
        ("es", "El siglo XX, n.º 5.", {"veinte": "XX", "número": "n.º", "cinco": "5"}),
        (
            "en",
            "Cafe\u0301 on Main St. at 9 a.m. for $5, 3\u200b km.",
            {"Street": "St.", "nine AM": "9 a.m.", "five dollars": "$5", "three kilometers": "3\u200b km"},
        ),
    ],
)
def test_a_rewritten_segment_points_at_what_was_written(
    language: str, text: str, expected: dict[str, str]
) -> None:
    assert sources(text, language) == expected


@each_row(
    ("language", "text", "expected"),
    [
        ("pt", "Moro na Av. Paulista, n. 100. Venha!", [(0, 30), (30, 36)]),
        ("es", "La Sra. Gil, p. ej., vino. Comió.", [(0, 27), (27, 33)]),
        ("en", "He left at 9 a.m. She saw it.", [(0, 18), (18, 29)]),
        ("en", "I take vitamin D. Then I rest.", [(0, 18), (18, 30)]),
        ("en", "It is on https://a.com/x.y?B. Look!", [(0, 30), (30, 35)]),
    ],
)
def test_sentences_end_where_they_end(language: str, text: str, expected: list[tuple[int, int]]) -> None:
    assert [(one.source_start, one.source_end) for one in prepared(text, language)] == expected


def test_a_lexicon_is_heard_before_any_rule() -> None:
    assert said("Meet Dr. Xu at 5 km.", Xu="Shoo", km="clicks") == ["Meet Doctor Shoo at five clicks."]
    assert said("Fale com o Dr. na EUA.", "pt", EUA="América") == ["Fale com o doutor na América."]


def test_a_word_of_the_lexicon_is_no_number_any_more() -> None:
    assert said("Room 101 is 5 km off.", **{"101": "one oh one", "km": "2 m"}) == [
        "Room one oh one is five 2 m off."
    ]


def test_no_word_is_looked_up_within_an_address() -> None:
    assert said("Go to a.com, a!", a="ay") == ["Go to a dot com, ay!"]


@each_row("language", ["th", "ja", "de", ""])
def test_another_language_is_only_cut(language: str) -> None:
    assert said("R$ 5 em 12/11/2026.", language) == ["R$ 5 em 12/11/2026."]


def test_regions_are_told_apart_however_they_are_written() -> None:
    for tag in ("en-GB", "en_gb", "EN-Latn-GB"):
        assert said("12/11/2026", tag) == ["the twelfth of November twenty twenty-six"]
    for tag in ("en", "en-US", "en_Latn_us"):
        assert said("12/11/2026", tag) == ["December eleventh, twenty twenty-six"]


def test_a_number_too_long_to_be_one_is_a_name() -> None:
    assert said("9" * 15)[0].startswith("nine hundred ninety-nine trillion nine")
    assert said("9" * 16) == [" ".join(["nine"] * 16)]


def test_threads_agree() -> None:
    text = "On 3 May 2024 Dr. Hill paid $1,250.50 for 12 km. " * 5
    front_end = LatinFrontEnd()
    front_end.warm()
    alone = [front_end.prepare(text, tag, {}) for tag in TAGS]
    with ThreadPoolExecutor(8) as threads:
        for together in threads.map(lambda _: [front_end.prepare(text, tag, {}) for tag in TAGS], range(16)):
            assert together == alone


async def test_the_plugin_registers_as_the_front_end_latin() -> None:
    (plugin,) = voxgate_register()
    assert (plugin.kind, plugin.name) == ("front_end", "latin")
    assert callable(plugin.create)
    async with plugin.create("latin", plugin.settings(), Context(structlog.get_logger())) as front_end:
        (segment,) = front_end.prepare("São 2 horas.", "pt", {})
        assert front_end.languages == ("en", "es", "fr", "it", "pt")
    assert segment.spoken == "São duas horas."
