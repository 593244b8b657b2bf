"""Post-steps: which of a route's is for a request, who repeats, and which candidates are left out for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from policies.licence import Licences
from policies.plans import Prices, Terms
from policies.price import Price
from policies.routing import (
    Binding,
    FoundStep,
    Model,
    Offer,
    PostStep,
    Route,
    RoutingQuery,
    RoutingResult,
    Rules,
    Voice,
    decide,
)
from speech_engine import EngineVoice, Trained
from tests.policies.routing import worlds
from tests.policies.routing.worlds import ANYONE, NO_RULES, info, plan, voice
from tests.tables import each_row

RED, GREEN = Model("red", info("en")), Model("green", info("en", emotions=("happy",)))
MOVED = Model("blue", info("xx", id="c", converts=True))
ANNA = Voice(id="anna", name="anna", bindings=(Binding("blue", EngineVoice("a"), "account-1"),))
TRAINED = replace(ANNA, bindings=(Binding("blue", Trained("d1")),))
QUERY = RoutingQuery(language="en")
HAPPY = replace(QUERY, emotion="happy")
BY_CHARACTER = Prices(speech=Price(1, "character"))


def step(emotion: str | None = None, model: Model | None = MOVED, who: Voice | None = ANNA) -> FoundStep:
    return FoundStep(PostStep(engine="blue", voice="anna", emotion=emotion), model, who, "it is away")


def offer(*steps: FoundStep, models: tuple[Model, ...] = (RED, GREEN), is_pinned: bool = False) -> Offer:
    route = Route(language="en", post=tuple(each.step for each in steps))
    return Offer(models=models, is_pinned=is_pinned, routed=RoutingResult(route, models, steps))


def spoken(offered: Offer, query: RoutingQuery = QUERY, terms: Terms | None = ANYONE) -> list[str]:
    who = voice("red", "green", "blue")
    return [each.speaker for each in decide(offered, who, query, terms, NO_RULES).candidates]


ALWAYS = ["red/m, blue/c", "green/m, blue/c"]


@each_row(
    ("steps", "query", "speakers"),
    [
        ((), QUERY, ["red/m", "green/m"]),
        ((), HAPPY, ["green/m"]),
        ((step(),), QUERY, ALWAYS),
        ((step(),), HAPPY, ["green/m, blue/c"]),
        ((step("happy"),), QUERY, ["red/m", "green/m"]),
        ((step("happy"),), HAPPY, ALWAYS),
        ((step("sad"),), HAPPY, ["green/m"]),
        ((step("sad"), step()), QUERY, ALWAYS),
        ((step("sad", who=None), step()), QUERY, ALWAYS),
        ((step("happy", who=None), step()), HAPPY, []),
        ((step(),), replace(QUERY, converts=True), []),
    ],
)
def test_the_first_step_that_is_for_the_emotion_repeats(
    steps: tuple[FoundStep, ...], query: RoutingQuery, speakers: list[str]
) -> None:
    assert spoken(offer(*steps), query) == speakers


def test_who_repeats_has_the_voice_the_account_and_the_pitch_of_the_step() -> None:
    found = replace(step(), step=PostStep(engine="blue", voice="anna", pitch=3.0))
    able = replace(found, model=Model("blue", info("xx", id="c", converts=True, pitch=(-12.0, 12.0))))
    (first, _) = decide(offer(able), voice("red", "green"), QUERY, ANYONE, NO_RULES).candidates
    assert first.post is not None
    assert (first.post.voice, first.post.credential, first.post.pitch) == (
        EngineVoice("a"),
        "account-1",
        3.0,
    )
    assert (first.models, first.post.named_voice) == ((RED, able.model), ANNA)


def test_a_trained_voice_may_repeat() -> None:
    (first, _) = decide(
        offer(replace(step(), voice=TRAINED)), voice("red", "green"), QUERY, ANYONE, NO_RULES
    ).candidates
    assert first.post is not None
    assert first.post.voice == Trained("d1")


def test_a_request_that_names_its_model_hears_that_one() -> None:
    assert spoken(offer(step(), is_pinned=True)) == ["red/m", "green/m"]


UNABLE: list[tuple[FoundStep, Terms | None, str, bool]] = [
    (step(model=None), ANYONE, "post_step_not_ready", False),
    (step(who=None), ANYONE, "post_step_not_ready", False),
    (step(model=Model("blue", info("en"))), ANYONE, "post_step_not_ready", False),
    (step(who=voice("red")), ANYONE, "post_step_not_ready", False),
    (
        step(who=replace(ANNA, bindings=(replace(ANNA.bindings[0], obstacle="being made"),))),
        ANYONE,
        "post_step_not_ready",
        False,
    ),
    (
        replace(step(), step=PostStep(engine="blue", voice="anna", pitch=2.0)),
        ANYONE,
        "post_step_not_ready",
        False,
    ),
    (step(), plan(engines=("red", "green")), "model_not_allowed", True),
    (step(), plan(prices=BY_CHARACTER), "conversion_not_priced", True),
    (step(who=replace(ANNA, uses=("speech",))), ANYONE, "consent_not_given", True),
    (
        step(model=Model("blue", replace(MOVED.info, is_local=False))),
        plan(local_only=True),
        "model_not_allowed",
        True,
    ),
    (
        step(model=Model("blue", replace(MOVED.info, must_accept_licence=True, licence="CPML"))),
        ANYONE,
        "licence_not_accepted",
        True,
    ),
]


@each_row(("found", "terms", "code", "is_forbidden"), UNABLE)
def test_what_cannot_be_repeated_leaves_out_each_candidate_with_the_reason(
    found: FoundStep, terms: Terms | None, code: str, is_forbidden: bool
) -> None:
    decision = decide(offer(found), voice("red", "green"), QUERY, terms, NO_RULES)
    assert decision.candidates == ()
    assert {verdict.refused_by for verdict in decision.verdicts} == {"post"}
    assert decision.error is not None
    assert (decision.error.code, decision.error.is_forbidden) == (code, is_forbidden)
    assert decision.error.field == "model"
    assert decision.error.message.startswith("The post-step of this language's route cannot be done: ")
    # What the operator has to mend is tried again, and not a fault of the request.
    assert (decision.error.retry_after_s is None) is is_forbidden


def test_an_engine_does_not_repeat_what_it_speaks_itself() -> None:
    both = Model("blue", info("en", converts=True))
    decision = decide(
        offer(replace(step(), model=both), models=(both, RED)),
        voice("red", "blue"),
        QUERY,
        ANYONE,
        NO_RULES,
    )
    assert [each.speaker for each in decision.candidates] == ["red/m, blue/m"]
    assert [verdict.refused_by for verdict in decision.verdicts] == ["post", None]


@each_row(
    ("providers", "is_local", "is_heard"),
    [(None, False, True), (("red",), False, False), (("blue", "red"), False, True), ((), True, True)],
)
def test_who_repeats_hears_a_voice_only_if_its_speaker_agrees(
    providers: tuple[str, ...] | None, is_local: bool, is_heard: bool
) -> None:
    found = step(model=Model("blue", replace(MOVED.info, is_local=is_local)))
    mine = replace(voice("red", "green"), providers=providers)
    decision = decide(offer(found), mine, QUERY, ANYONE, NO_RULES)
    assert bool(decision.candidates) is is_heard


def test_in_a_mix_all_members_must_agree_who_repeats_it() -> None:
    found = step(model=Model("blue", replace(MOVED.info, is_local=False)))
    able = (Model("red", info("en", mixes=True)),)
    first, second = (replace(voice("red"), providers=each) for each in (("blue",), ("green", "blue")))
    mix = Voice(id="mix", name="mix", mix=(("a", 1.0), ("b", 1.0)), members=(first, second))
    assert decide(offer(found, models=able), mix, QUERY, ANYONE, NO_RULES).candidates
    closed = replace(mix, members=(first, replace(second, providers=("green",))))
    assert not decide(offer(found, models=able), closed, QUERY, ANYONE, NO_RULES).candidates


@pytest.mark.parametrize(("found", "query"), [(step(), QUERY), (step("happy"), HAPPY)])
def test_a_voice_whose_consent_names_no_conversion_is_repeated_by_nobody(
    found: FoundStep, query: RoutingQuery
) -> None:
    mine = replace(voice("red", "green"), uses=("speech",))
    decision = decide(offer(found), mine, query, ANYONE, NO_RULES)
    assert decision.candidates == ()
    assert {verdict.refused_by for verdict in decision.verdicts} == {"post"}
    assert decision.error is not None
    assert (decision.error.code, decision.error.is_forbidden) == ("consent_not_given", True)
    assert "'v' does not name conversion" in decision.error.message
    assert decide(
        offer(found), replace(mine, uses=("speech", "conversion")), query, ANYONE, NO_RULES
    ).candidates


def test_a_step_for_another_emotion_leaves_out_no_voice_that_is_for_speech_alone() -> None:
    mine = replace(voice("red", "green"), uses=("speech",))
    assert len(decide(offer(step("happy")), mine, QUERY, ANYONE, NO_RULES).candidates) == 2


def test_in_a_mix_all_members_must_agree_to_be_converted() -> None:
    able = (Model("red", info("en", mixes=True)),)
    members = [replace(voice("red"), uses=each) for each in (None, ("conversion", "speech"))]
    mix = Voice(id="mix", name="mix", mix=(("a", 1.0), ("b", 1.0)), members=tuple(members))
    assert decide(offer(step(), models=able), mix, QUERY, ANYONE, NO_RULES).candidates
    closed = replace(mix, members=(members[0], replace(members[1], uses=("speech",))))
    assert not decide(offer(step(), models=able), closed, QUERY, ANYONE, NO_RULES).candidates


def test_the_emotions_of_the_steps_count_beside_those_of_the_first_candidate() -> None:
    decision = decide(offer(step("shout"), step("happy")), voice("red", "green"), QUERY, ANYONE, NO_RULES)
    assert decision.emotions == ("shout", "happy")


steps = st.lists(
    st.builds(
        step,
        st.sampled_from([None, "happy", "sad"]),
        st.sampled_from([None, MOVED, Model("blue", info("en"))]),
        st.sampled_from([None, ANNA, voice("red")]),
    ),
    max_size=3,
).map(tuple)


@given(worlds.lists, steps, worlds.voices, worlds.wishes, worlds.plans, st.booleans())
def test_all_candidates_of_a_request_are_repeated_by_the_same_or_none_is(
    models: tuple[Model, ...],
    found: tuple[FoundStep, ...],
    who: Voice,
    query: RoutingQuery,
    terms: Terms | None,
    is_pinned: bool,
) -> None:
    offered = offer(*found, models=models, is_pinned=is_pinned)
    decision = decide(offered, who, query, terms, Rules(Licences()))
    post = decision.query.post
    expected = None if post is None else post.speaker
    assert all(each.post == expected for each in decision.candidates)
    if post is None:
        plain = decide(offer(models=models, is_pinned=is_pinned), who, query, terms, Rules(Licences()))
        assert plain.candidates == decision.candidates
    else:
        assert not is_pinned
        assert post.step.emotion in (None, query.emotion)
        assert (post.speaker is None) is (post.error is not None)
        assert all(each.model.engine != "blue" for each in decision.candidates)
        assert bool(decision.candidates) <= (post.speaker is not None)


@given(worlds.lists, worlds.voices, worlds.wishes, worlds.plans)
def test_a_step_for_an_emotion_takes_nobody_away_from_other_speech(
    models: tuple[Model, ...], who: Voice, query: RoutingQuery, terms: Terms | None
) -> None:
    plain = replace(query, emotion=None)
    with_step = decide(offer(step("happy"), models=models), who, plain, terms, Rules(Licences()))
    without = decide(offer(models=models), who, plain, terms, Rules(Licences()))
    assert with_step.candidates == without.candidates
