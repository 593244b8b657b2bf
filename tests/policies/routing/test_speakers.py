"""Voices of recordings and mixes: which models speak them, with what, and what a refusal says."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from policies.namesakes import Share
from policies.plans import Terms
from policies.routing import Binding, Decision, Model, Offer, RoutingQuery, Voice, decide, voice_text
from speech_engine import EngineVoice, Mix, ModelInfo, Sample, Samples
from tests.policies.routing.worlds import ANYONE, NO_RULES, info, plan, voice

SHORT, LONG, READ = Sample("s", seconds=2.0), Sample("l", seconds=9.0), Sample("r", "Hello.", seconds=9.0)
OWNED = Voice(id="voice_1", name="me", samples=(LONG,), account="acc_1")
CLONING = info("en", speaks_samples=True)


def decided(by: Voice, *models: Model, terms: Terms = ANYONE) -> Decision:
    return decide(Offer(models=models), by, RoutingQuery(language="en"), terms, NO_RULES)


def spoken(by: Voice, stated: ModelInfo, engine: str = "red") -> object:
    found = decided(by, Model(engine, stated))
    assert found.error is None, found.error.message
    return found.candidates[0].voice


def refused(by: Voice, *models: Model, terms: Terms = ANYONE) -> tuple[str, str, str, bool]:
    error = decided(by, *models, terms=terms).error
    assert error is not None
    return error.field, error.code, error.message, error.is_forbidden


def mixed(*members: Voice) -> Voice:
    share = 1 / len(members)
    return Voice(
        id="+".join(member.id for member in members),
        name="blend",
        mix=tuple((member.id, share) for member in members),
        members=members,
    )


def test_a_voice_of_recordings_needs_no_binding_where_a_model_speaks_from_them() -> None:
    assert spoken(OWNED, CLONING) == Samples((LONG,))
    field, code, message, _ = refused(OWNED, Model("red", info("en")))
    assert (field, code) == ("voice", "voice_not_available")
    assert "recordings" in message


def test_a_clone_at_a_provider_goes_before_the_recordings_and_brings_its_credential() -> None:
    bound = replace(OWNED, bindings=(Binding("red", EngineVoice("voxgate-1"), "second"),))
    found = decided(bound, Model("red", CLONING), Model("blue", CLONING)).candidates
    assert [(each.voice, each.credential) for each in found] == [
        (EngineVoice("voxgate-1"), "second"),
        (Samples((LONG,)), ""),
    ]


def test_recordings_speak_while_the_clone_is_being_made() -> None:
    making = replace(OWNED, bindings=(Binding("red", EngineVoice(""), obstacle="it is being made"),))
    assert spoken(making, CLONING) == Samples((LONG,))


def test_a_binding_that_is_not_ready_is_passed_over_and_alone_it_is_a_matter_of_time() -> None:
    making = Binding("red", EngineVoice(""), obstacle="it is being made")
    by = Voice(id="voice_1", name="me", bindings=(making, Binding("blue", EngineVoice("b"))))
    found = decided(by, Model("red", info("en")), Model("blue", info("en")))
    assert [each.model.engine for each in found.candidates] == ["blue"]
    assert [(each.refused_by, "being made" in each.reason) for each in found.verdicts] == [
        ("ready", True),
        (None, False),
    ]
    error = decided(replace(by, bindings=(making,)), Model("red", info("en"))).error
    assert error is not None
    assert (error.field, error.code, error.retry_after_s) == ("voice", "voice_not_ready", 5.0)


def test_a_binding_that_is_ready_goes_before_one_that_is_not() -> None:
    both = (
        Binding("red", EngineVoice("old"), "first", "its credential is gone"),
        Binding("red", EngineVoice("new"), "second"),
    )
    found = decided(Voice(id="v", name="v", bindings=both), Model("red", info("en"))).candidates
    assert [(each.voice, each.credential) for each in found] == [(EngineVoice("new"), "second")]


def test_recordings_that_are_too_short_are_left_out_or_refused_by_their_length() -> None:
    assert spoken(replace(OWNED, samples=(SHORT, LONG)), CLONING) == Samples((LONG,))
    field, code, message, _ = refused(replace(OWNED, samples=(SHORT,)), Model("red", CLONING))
    assert (field, code) == ("voice", "sample_too_short")
    assert "3 s" in message


def test_a_recording_of_unknown_length_is_tried() -> None:
    unknown = Sample("u")
    assert spoken(replace(OWNED, samples=(unknown,)), CLONING) == Samples((unknown,))


def test_a_model_that_needs_the_words_gets_those_recordings_that_have_them() -> None:
    reading = replace(CLONING, needs_sample_text=True)
    assert spoken(replace(OWNED, samples=(LONG, READ)), reading) == Samples((READ,))
    assert spoken(replace(OWNED, samples=(LONG, READ)), CLONING) == Samples((LONG, READ))
    field, code, _, _ = refused(OWNED, Model("red", reading))
    assert (field, code) == ("voice", "reference_text_required")


def test_the_words_of_a_recording_that_is_cut_are_not_given_to_a_model() -> None:
    cut = Sample("c", "Hello, and much more.", seconds=70.0, speech_s=31.0)
    trimmed = replace(cut, speech_s=30.0)
    reading = replace(CLONING, sample_s=(3.0, 30.0), needs_sample_text=True)
    by = replace(OWNED, samples=(cut,))
    field, code, message, _ = refused(by, Model("red", reading))
    assert (field, code) == ("voice", "sample_too_long")
    assert "up to 30 s" in message
    assert spoken(by, CLONING) == Samples((replace(cut, text=""),))
    assert spoken(replace(OWNED, samples=(cut, READ)), reading) == Samples((READ,))
    assert spoken(replace(OWNED, samples=(trimmed,)), reading) == Samples((trimmed,))


@pytest.mark.parametrize(("providers", "is_let"), [(None, True), (("red", "blue"), True), ((), False)])
def test_only_providers_that_the_consent_names_may_receive_a_voice(
    providers: tuple[str, ...] | None, is_let: bool
) -> None:
    by = replace(OWNED, providers=providers)
    cloud = Model("red", replace(CLONING, is_local=False))
    assert bool(decided(by, cloud).candidates) is is_let
    assert decided(by, Model("red", CLONING)).candidates
    assert (
        decided(mixed(by, OWNED), Model("red", replace(cloud.info, mixes=True))).error is None or not is_let
    )
    if not is_let:
        field, code, message, is_forbidden = refused(by, cloud)
        assert (field, code, is_forbidden) == ("voice", "consent_not_given", True)
        assert "red" in message


def test_a_plan_that_keeps_texts_at_home_keeps_voices_there() -> None:
    cloud = Model("red", replace(CLONING, is_local=False))
    _, code, _, is_forbidden = refused(OWNED, cloud, terms=plan(local_only=True))
    assert (code, is_forbidden) == ("model_not_allowed", True)


def test_a_mix_is_blended_of_what_its_members_are_on_the_engine() -> None:
    blend = mixed(OWNED, voice("red", "blue"))
    mixing = replace(CLONING, mixes=True)
    parts = ((Samples((LONG,)), 0.5), (EngineVoice("red-v"), 0.5))
    assert spoken(blend, mixing) == Mix(parts)
    assert voice_text(Mix(parts)) == "mix:samples:l*0.5+red-v*0.5"
    field, code, message, _ = refused(blend, Model("red", CLONING))
    assert (field, code) == ("voice.mix", "unsupported_value")
    assert message == "red/m cannot mix voices."


def test_a_mix_of_more_voices_than_a_model_takes_is_refused_by_their_number() -> None:
    pair = replace(info("en"), mixes=True, most_mixed=2)
    assert spoken(mixed(voice("red"), voice("red")), pair)
    _, _, message, _ = refused(mixed(*[voice("red")] * 3), Model("red", pair))
    assert message == "red/m mixes at most 2 voices."


def test_a_mix_needs_all_its_members_on_one_engine_and_one_provider_account() -> None:
    mixing = Model("red", replace(info("en"), mixes=True))
    assert refused(mixed(voice("red"), voice("blue")), mixing)[:2] == ("voice", "voice_not_available")
    of = [Voice(id=c, name=c, bindings=(Binding("red", EngineVoice(c), c),)) for c in ("", "a", "b")]
    assert decided(mixed(of[0], of[1]), mixing).candidates[0].credential == "a"
    assert refused(mixed(of[1], of[2]), mixing)[:2] == ("voice", "voice_not_available")


def test_a_mix_waits_for_the_member_that_is_not_ready() -> None:
    making = Voice(id="w", name="w", bindings=(Binding("red", EngineVoice(""), obstacle="it is being made"),))
    mixing = Model("red", replace(info("en"), mixes=True))
    assert refused(mixed(voice("red"), making), mixing)[:2] == ("voice", "voice_not_ready")


def test_a_mix_of_names_that_are_one_voice_is_refused_where_nobody_has_them_apart() -> None:
    def name(id_: str, red: str, blue: str) -> Voice:
        bindings = [
            Binding(engine, EngineVoice(by), shares=(Share("en", id_, by),))
            for engine, by in (("red", red), ("blue", blue))
        ]
        return Voice(id=id_, name=id_, bindings=tuple(bindings))

    blend = mixed(name("nova", "joe", "eva"), name("coral", "joe", "bia"))
    mixing = info("en", mixes=True, most_mixed=4)
    found = decided(blend, Model("red", mixing), Model("blue", mixing))
    assert [voice_text(each.voice) for each in found.candidates] == ["mix:eva*0.5+bia*0.5"]
    field, code, message, _ = refused(blend, Model("red", mixing))
    assert (field, code) == ("voice.mix", "unsupported_value")
    assert message.startswith("red/m has one and the same voice for several members of the mix")
    plain = Voice(id="own", name="own", bindings=(Binding("red", EngineVoice("joe")),))
    assert refused(mixed(name("nova", "joe", "eva"), plain), Model("red", mixing))[0] == "voice.mix"
