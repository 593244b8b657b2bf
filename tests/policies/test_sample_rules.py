"""The rating of a recording, measure by measure."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from policies.sample_rules import LEAST_SPEECH_S, SampleMeasures, judge_sample
from tests.tables import each_row

GOOD = SampleMeasures(
    seconds=12.0,
    speech_s=10.0,
    starts_s=0.5,
    ends_s=11.0,
    peak_db=-6.0,
    snr_db=30.0,
    change_db=9.0,
    bandwidth_hz=9000.0,
    clipped=0.0,
)


@each_row(
    ("changes", "rating", "reason"),
    [
        ({}, "high", ""),
        ({"snr_db": 23.9}, "medium", "quieter room"),
        ({"snr_db": 11.9}, "low", "quieter room"),
        ({"snr_db": 20.0, "speech_s": 11.9}, "medium", "leave a second of silence"),
        ({"bandwidth_hz": 6999.0}, "medium", "better microphone"),
        ({"bandwidth_hz": 3400.0}, "low", "better microphone"),
        ({"clipped": 0.002}, "medium", "turn the microphone down"),
        ({"clipped": 0.02}, "low", "turn the microphone down"),
        ({"peak_db": -31.0}, "medium", "turn the microphone up"),
        ({"peak_db": -46.0}, "low", "turn the microphone up"),
        ({"speech_s": 5.0}, "medium", "for a clone, send 6 to 30 seconds"),
    ],
)
def test_one_thing_that_is_missing_lowers_the_rating(
    changes: dict[str, float], rating: str, reason: str
) -> None:
    quality = judge_sample(msgspec.structs.replace(GOOD, **changes))
    assert (quality.rating, quality.refusal) == (rating, "")
    assert len(quality.reasons) == (1 if reason else 0)
    assert all(reason in said for said in quality.reasons)


@each_row(
    ("changes", "said"),
    [
        ({"peak_db": -60.0}, "silent"),
        ({"speech_s": 0.0}, "no speech"),
        ({"change_db": 2.0}, "no speech"),
        ({"speech_s": 2.9}, "2.9 seconds of speech, and at least 3 are needed"),
    ],
)
def test_what_no_voice_can_be_made_of_is_refused(changes: dict[str, float], said: str) -> None:
    quality = judge_sample(msgspec.structs.replace(GOOD, **changes))
    assert said in quality.refusal
    assert (quality.rating, quality.reasons) == ("low", ())


_ANY = st.builds(
    SampleMeasures,
    seconds=st.floats(0, 300),
    speech_s=st.floats(0, 300),
    starts_s=st.floats(0, 300),
    ends_s=st.floats(0, 300),
    peak_db=st.floats(-120, 0),
    snr_db=st.floats(0, 100),
    change_db=st.floats(0, 30),
    bandwidth_hz=st.floats(0, 24_000),
    clipped=st.floats(0, 1),
)


@given(_ANY)
def test_only_the_best_has_nothing_to_be_said_of(measures: SampleMeasures) -> None:
    quality = judge_sample(measures)
    assert (quality.rating == "high") == (not quality.reasons and not quality.refusal)
    assert not quality.refusal or quality.rating == "low"
    assert quality.refusal or quality.speech_s >= LEAST_SPEECH_S


@given(_ANY, st.floats(0, 50))
def test_more_noise_never_makes_a_rating_better(measures: SampleMeasures, more_db: float) -> None:
    order = ("low", "medium", "high")
    noisier = msgspec.structs.replace(measures, snr_db=measures.snr_db - more_db)
    assert order.index(judge_sample(noisier).rating) <= order.index(judge_sample(measures).rating)
