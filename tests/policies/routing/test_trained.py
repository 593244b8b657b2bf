"""Voices with models that were trained of them: which models have them, by which file; what is refused."""

import pytest
from msgspec.structs import replace

from policies.routing import Binding, Model, Voice, find_emotions, voice_text
from speech_engine import EngineVoice, Sample, Samples, Trained
from tests.policies.routing.test_speakers import decided, mixed, refused, spoken
from tests.policies.routing.worlds import info

PLAIN, SAD = Sample("s", seconds=9.0), Sample("t", "", "sad", 9.0)
OWNED = Voice(id="voice_1", name="me", account="acc_1", trained=(("rvc", "r"), ("other", "o")))
RVC = info("en", trained_format="rvc")
CLONING = info("en", trained_format="rvc", speaks_samples=True)


def test_a_model_gets_the_file_of_its_own_format() -> None:
    assert spoken(OWNED, RVC) == Trained("r")
    assert spoken(OWNED, replace(RVC, trained_format="other")) == Trained("o")
    assert voice_text(Trained("r" * 64)) == "trained:" + "r" * 12
    assert OWNED.is_recorded


def test_a_voice_of_the_operator_is_known_as_one_for_all_accounts() -> None:
    assert spoken(replace(OWNED, account=None), RVC) == Trained("r", is_operators=True)


def test_a_model_without_a_format_does_not_have_the_voice() -> None:
    field, code, message, _ = refused(OWNED, Model("red", info("en")))
    assert (field, code) == ("voice", "voice_not_available")
    assert message.startswith("The voice 'me' is on no engine")


def test_a_voice_without_a_model_is_told_what_it_needs() -> None:
    field, code, message, _ = refused(replace(OWNED, trained=()), Model("red", RVC))
    assert (field, code) == ("voice", "voice_not_available")
    assert "needs a model that was trained of 'me'; POST /v1/audio/voice_models" in message


def test_what_was_trained_goes_before_recordings_and_clones() -> None:
    clone = Binding("red", EngineVoice("clone_1"), "key")
    whole = replace(OWNED, samples=(PLAIN,), bindings=(clone,))
    assert spoken(whole, CLONING) == Trained("r")
    assert spoken(replace(whole, trained=()), CLONING) == EngineVoice("clone_1")


def test_an_emotion_that_only_recordings_have_is_spoken_with_them() -> None:
    whole = replace(OWNED, samples=(PLAIN, SAD))
    assert spoken(whole, CLONING) == Trained("r")
    assert spoken(whole, CLONING, emotion="sad") == Samples((SAD,))
    assert find_emotions(whole, Model("red", CLONING)) == ("sad",)
    assert spoken(whole, replace(CLONING, emotions=("sad",)), emotion="sad") == Trained("r")
    assert refused(whole, Model("red", CLONING), emotion="angry")[0] == "emotion"


def test_recordings_are_mixed_and_what_was_trained_is_not() -> None:
    mixing = replace(CLONING, mixes=True)
    other = Voice(id="voice_2", name="you", samples=(PLAIN,), account="acc_1")
    found = spoken(mixed(replace(OWNED, samples=(SAD, PLAIN)), other), mixing)
    assert "trained" not in voice_text(found)  # type: ignore[arg-type]  # a mix
    assert refused(mixed(OWNED, other), Model("red", mixing))[:2] == ("voice", "voice_not_available")


@pytest.mark.parametrize("uses", [None, ("speech",)])
def test_its_consent_counts(uses: tuple[str, ...] | None) -> None:
    decision = decided(replace(OWNED, providers=(), uses=uses), Model("red", replace(RVC, is_local=False)))
    assert decision.error is not None
    assert decision.error.is_forbidden
