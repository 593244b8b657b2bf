"""The recordings of a voice, as an engine without voices of its own asks for them."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_engine import EngineVoice, Mix, Sample, Samples, Voice, VoiceNotFound
from speech_engine.samples import weighted_samples, weighted_voices
from tests.tables import each_row

ANA, BIA = (Samples((Sample(digest),)) for digest in ("a", "b"))
MEMBERS = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=3), st.floats(0.001, 1000)), min_size=1, max_size=5
)


def test_recordings_are_a_voice_of_weight_one() -> None:
    assert weighted_samples(ANA, "Mimic") == ((ANA, 1.0),)


@given(MEMBERS, st.randoms())
def test_a_mix_is_the_same_in_any_order_and_its_weights_add_up_to_one(
    members: list[tuple[str, float]], chance: Random
) -> None:
    parts = [(Samples((Sample(digest),)), weight) for digest, weight in members]
    found = weighted_samples(Mix(tuple(parts)), "Mimic", 5)
    chance.shuffle(parts)
    assert weighted_samples(Mix(tuple(parts)), "Mimic", 5) == found
    assert math.isclose(sum(weight for _, weight in found), 1.0)
    total = sum(weight for _, weight in members)
    assert sorted(voice.samples[0].digest for voice, _ in found) == sorted(digest for digest, _ in members)
    assert all(any(math.isclose(each, weight / total) for _, weight in members) for _, each in found)


@each_row(
    ("voice", "said"),
    [
        (EngineVoice("alba"), "Mimic has no voices of its own; it speaks with recordings."),
        (Samples(()), "no voices of its own"),
        (Mix(()), "no voices of its own"),
        (Mix(((ANA, 0.5), (EngineVoice("alba"), 0.5))), "no voices of its own"),
        (Mix(((ANA, 0.5), (Samples(()), 0.5))), "no voices of its own"),
        (Mix(((ANA, 0.4), (BIA, 0.3), (ANA, 0.3))), "Mimic mixes at most 2 voices."),
        (Mix(((ANA, 1.0), (BIA, 0.0))), "a weight above 0"),
        (Mix(((ANA, 1.0), (BIA, math.nan))), "a weight above 0"),
    ],
)
def test_what_is_no_voice_of_recordings_is_not_found(voice: Voice, said: str) -> None:
    with pytest.raises(VoiceNotFound, match=said):
        weighted_samples(voice, "Mimic", 2)


def test_an_engine_with_voices_of_its_own_knows_those_too() -> None:
    alba = EngineVoice("alba")
    assert weighted_voices(alba, "Mimic", 2, {"alba"}) == ((alba, 1.0),)
    found = weighted_voices(Mix(((alba, 1.0), (ANA, 3.0))), "Mimic", 2, {"alba"})
    assert sorted(found, key=lambda part: part[1]) == [(alba, 0.25), (ANA, 0.75)]
    assert weighted_voices(Mix(((ANA, 3.0), (alba, 1.0))), "Mimic", 2, {"alba"}) == found
    with pytest.raises(VoiceNotFound, match="Mimic does not know this voice"):
        weighted_voices(EngineVoice("bela"), "Mimic", 2, {"alba"})


def test_an_engine_that_mixes_none_says_so() -> None:
    with pytest.raises(VoiceNotFound, match="Mimic cannot mix voices"):
        weighted_samples(Mix(((ANA, 0.5), (BIA, 0.5))), "Mimic")
    assert weighted_samples(Mix(((ANA, 0.5),)), "Mimic") == ((ANA, 1.0),)
