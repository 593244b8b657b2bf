"""Who speaks a name: a voice of its gender, and another one for each name as long as there are enough."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from policies import namesakes
from policies.language import base_tag
from policies.namesakes import Names, NameShare
from speech_engine import ANY_LANGUAGE, VoiceInfo
from tests.tables import each_row

MEN = ("ash", "ballad", "cedar", "echo", "fable", "onyx", "verse")
WOMEN = ("coral", "marin", "nova", "sage", "shimmer")
THIRTEEN: Names = {
    name: "male" if name in MEN else "female" if name in WOMEN else None
    for name in sorted(("alloy", *MEN, *WOMEN))
}


def voice(id_: str, gender: str | None = None, language: str | None = "en-US") -> VoiceInfo:
    return VoiceInfo(id=id_, name=id_, gender=gender, language=language)


def shared(*voices: VoiceInfo, tag: str = "en", names: Names = THIRTEEN) -> dict[str, NameShare]:
    shares = namesakes.share_names(names, voices)
    return {
        name: found
        for name in names
        if (found := namesakes.find_share(shares.get(name, ()), tag)) is not None
    }


def test_one_voice_speaks_all_names_and_tells_those_of_another_gender() -> None:
    found = shared(voice("joe", "male"))
    assert found["alloy"] == NameShare("en", "alloy", "joe")
    assert found["ash"] == NameShare("en", "ash", "joe")
    assert found["nova"] == NameShare("en", "nova", "joe", other_gender="male")
    assert {each.voice for each in found.values()} == {"joe"}


def test_three_speakers_of_one_voice_are_three_names_and_the_others_are_spread_evenly() -> None:
    found = shared(*(voice(id_, "male") for id_ in ("joe", "joe:up2.6", "joe:up5.3")))
    assert [found[name].voice for name in ("alloy", "ash", "ballad")] == ["joe", "joe:up2.6", "joe:up5.3"]
    men = [each.voice for name, each in found.items() if name not in WOMEN]
    assert sorted(map(men.count, set(men))) == [2, 3, 3]
    assert not any(found[name].is_of_gender for name in WOMEN)


def test_women_and_men_keep_to_themselves() -> None:
    found = shared(*(voice(f"jf_{letter}", "female") for letter in "abcd"), voice("jm_kumo", "male"))
    assert {found[name].voice for name in MEN} == {"jm_kumo"}
    women = ["jf_a", "jf_b", "jf_c", "jf_d", "jf_a", "jf_b"]
    assert [found[name].voice for name in ("alloy", *WOMEN)] == women


def test_a_voice_that_shares_no_name_is_behind_none() -> None:
    santa = VoiceInfo(id="nova_santa", name="nova", gender="female", language="en", shares_names=False)
    assert {each.voice for each in shared(santa, voice("amy", "female"), voice("bob", "male")).values()} == {
        "amy",
        "bob",
    }
    assert not shared(santa)


@each_row("id_", ["nova", "af_nova", "crew:Nova"])
def test_a_namesake_comes_first(id_: str) -> None:
    found = shared(voice("af_heart", "female"), voice(id_, "female"))
    assert (found["alloy"].voice, found["nova"].voice) == ("af_heart", id_)


@each_row(
    ("tag", "nova", "onyx"),
    [("en-GB", "cori", "joe"), ("en-US", "cori", "joe"), ("en-AU", "cori", "joe"), ("pt-BR", "bia", "bia")],
)
def test_a_gender_goes_before_a_region(tag: str, nova: str, onyx: str) -> None:
    voices = (voice("joe", "male"), voice("cori", "female", "en-GB"), voice("bia", "female", "pt-BR"))
    found = shared(*voices, tag=tag)
    assert (found["nova"].voice, found["onyx"].voice) == (nova, onyx)


def test_a_region_goes_before_its_language() -> None:
    voices = (voice("joe", "male"), voice("alan", "male", "en-GB"))
    assert {each.voice for name, each in shared(*voices, tag="en-GB").items() if name in MEN} == {"alan"}
    assert {shared(*voices, tag="EN-au")[name].voice for name in MEN} == {"joe", "alan"}


def test_a_name_keeps_its_speaker_in_the_region_of_the_first_voice() -> None:
    voices = (
        voice("am_adam", "male"),
        voice("bm_fable", "male", "en-GB"),
        voice("bm_lewis", "male", "en-GB"),
    )
    for tag in ("en", "en-US", "en-AU"):
        assert shared(*voices, tag=tag)["fable"].voice == "bm_fable"
        assert shared(*voices, tag=tag)["alloy"].voice == "am_adam"
    assert {each.voice for each in shared(*voices, tag="en-GB").values()} == {"bm_fable", "bm_lewis"}


def test_nobody_speaks_another_language() -> None:
    assert shared(voice("joe"), tag="fr") == {}
    assert shared(tag="en") == {}


def test_a_voice_of_all_languages_speaks_each() -> None:
    found = shared(voice("any", language=None), voice("bia", "female", "pt-BR"), tag="th")
    assert {each.voice for each in found.values()} == {"any"}
    assert found["alloy"].language == ANY_LANGUAGE


def test_a_voice_whose_gender_nobody_knows_may_be_of_any() -> None:
    found = shared(voice("amy"), voice("bob", "male"))
    assert (found["alloy"].voice, found["coral"].voice, found["ash"].voice) == ("amy", "amy", "bob")
    assert all(each.is_of_gender for each in found.values())


tags = st.sampled_from([None, "en", "en-US", "en-GB", "pt-BR"])
genders = st.sampled_from([None, "male", "female"])
lists = st.lists(st.tuples(genders, tags), max_size=20).map(
    lambda rows: [voice(f"v{number}", gender, tag) for number, (gender, tag) in enumerate(rows)]
)
few = st.dictionaries(st.sampled_from(sorted(THIRTEEN)), genders, min_size=1)
wanted = st.sampled_from(["en", "en-US", "en-AU", "pt", "th"])


@given(lists, few, wanted)
def test_what_always_holds(voices: list[VoiceInfo], names: Names, tag: str) -> None:
    found = shared(*voices, tag=tag, names=names)
    able = {
        each.id: each for each in voices if each.language is None or base_tag(each.language) == base_tag(tag)
    }
    assert found.keys() == (names.keys() if able else set())
    assert found == shared(*voices, tag=tag, names=names)
    bearers = Counter(each.voice for each in found.values() if each.is_of_gender)
    if (main := next((each.language for each in able.values() if each.language), None)) is not None:
        of_region, of_language = (shared(*voices, tag=each, names=names) for each in (main, base_tag(main)))
        assert [each.voice for each in of_region.values()] == [each.voice for each in of_language.values()]
    for name, each in found.items():
        assert each.name == name
        wished, got = names[name], able[each.voice].gender
        has_one = any(other.gender == wished for other in able.values())
        assert got == wished or wished is None or not has_one
        assert each.is_of_gender == (wished is None or got in (None, wished))
        assert each.other_gender in ("", got)
    for id_, count in bearers.items():
        if count > 1:
            # Of its kind, no voice was left.
            alike = [
                x for x in able.values() if (x.gender, x.language) == (able[id_].gender, able[id_].language)
            ]
            assert all(other.id in bearers for other in alike)
