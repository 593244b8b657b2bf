"""Rule-based models: their place in a list, and when they speak in place of a natural one."""

import pytest
from msgspec.structs import replace

from policies.namesakes import NameShare
from policies.plans import Terms
from policies.routing import Binding, Decision, Model, Offer, RoutingQuery, Rules, Voice, decide
from speech_engine import EngineVoice
from tests.policies.routing.worlds import ANYONE, NO_RULES, info
from tests.tables import each_row

MODELS = {
    "men": Model("men", info("en")),
    "both": Model("both", info("en")),
    "robot": Model("robot", info("*", is_trained=False)),
}
OTHER_GENDER = {"men": "male", "both": "", "robot": ""}
STRICT = Rules(robot_fallback=False)


def coral(*engines: str) -> Voice:
    """OpenAI's female name. One engine has men alone."""
    bindings = [
        Binding(name, EngineVoice(name), shares=(NameShare("*", name, name, OTHER_GENDER[name]),))
        for name in engines
    ]
    return Voice(id="coral", name="coral", bindings=tuple(bindings))


CORAL = coral(*MODELS)


def decided(
    *names: str,
    tag: str = "en",
    rules: Rules = NO_RULES,
    voice: Voice = CORAL,
    is_built_in: bool = True,
    unknown: tuple[str, ...] = (),
) -> Decision:
    models = tuple(MODELS[name] for name in names)
    offer = Offer(models=models, is_built_in=is_built_in, unknown=unknown)
    return decide(offer, voice, RoutingQuery(language=tag), ANYONE, rules)


def order(decision: Decision) -> str:
    return " ".join(candidate.model.engine for candidate in decision.candidates)


@each_row(
    ("listed", "built_in", "written"),
    [
        # Of the natural ones, those that have a woman come first.
        ("men both robot", "both men robot", "both men robot"),
        ("men robot", "men robot", "men robot"),
        ("robot men both", "both men robot", "robot both men"),
        ("men robot both", "both men robot", "men robot both"),
        ("robot", "robot", "robot"),
    ],
)
def test_a_robot_comes_last_unless_the_operator_wrote_the_order(
    listed: str, built_in: str, written: str
) -> None:
    assert order(decided(*listed.split())) == built_in
    assert order(decided(*listed.split(), is_built_in=False)) == written


@each_row("names", ["both robot", "robot both"])
@each_row("is_built_in", [True, False])
def test_a_robot_is_one_only_where_a_natural_model_could_speak(names: str, is_built_in: bool) -> None:
    found = decided(*names.split(), is_built_in=is_built_in)
    told = {each.model.engine: (each.is_robot, each.substitute) for each in found.candidates}
    assert told == {"both": (False, ""), "robot": (True, "robot")}
    # Not in a language, nor with a voice, that it alone speaks. It is told, unless the voice is its own.
    for alone, substitute in (
        (decided(*names.split(), tag="de"), "robot"),
        (decided(*names.split(), voice=coral("robot")), ""),
        (decided("robot", tag="de"), ""),
    ):
        assert [(each.is_robot, each.substitute) for each in alone.candidates] == [(False, substitute)]


@each_row(
    ("names", "is_pinned", "expected"),
    [
        # The natural voice speaks, and the robot follows it as ever.
        ("both robot", False, {"both": ("pitch",), "robot": ()}),
        ("men both robot", False, {"both": ("pitch",), "men": ("pitch",), "robot": ()}),
        # A natural model with a pitch follows it, and the others are left out.
        ("both high robot", False, {"high": (), "robot": ()}),
        # A request that names the robot, or a natural model, gets what it asked for, or an error.
        ("robot", True, {"robot": ()}),
        ("both", True, {}),
        ("both", False, {}),
    ],
)
def test_a_pitch_that_the_robot_alone_has_leaves_the_natural_voice(
    names: str, is_pinned: bool, expected: dict[str, tuple[str, ...]]
) -> None:
    range_ = (-12.0, 12.0)
    models = {
        **MODELS,
        "robot": Model("robot", info("*", is_trained=False, pitch=range_)),
        "high": Model("high", info("en", pitch=range_)),
    }
    offer = Offer(models=tuple(models[name] for name in names.split()), is_built_in=True, is_pinned=is_pinned)
    voice = Voice(
        id="coral", name="coral", bindings=tuple(Binding(name, EngineVoice(name)) for name in models)
    )
    found = decide(offer, voice, RoutingQuery(language="en", pitch=3.0), ANYONE, NO_RULES)
    assert {each.model.engine: each.ignores for each in found.candidates} == expected
    assert (found.error is None) == bool(expected)
    plain = decide(offer, voice, RoutingQuery(language="en"), ANYONE, NO_RULES)
    assert not any(each.ignores for each in plain.candidates)


def test_an_engine_that_has_not_been_up_may_be_the_natural_one() -> None:
    own = replace(
        coral("robot", "both"), bindings=(*coral("robot").bindings, Binding("both", EngineVoice("x")))
    )
    for voice, is_robot in ((own, True), (coral("robot"), False)):
        found = decided("robot", voice=voice, unknown=("both",))
        assert [each.is_robot for each in found.candidates] == [is_robot]
    refused = decided("robot", voice=own, unknown=("both",), rules=STRICT)
    assert refused.error is not None
    assert (refused.candidates, refused.error.code) == ((), "engine_unavailable")
    assert (refused.error.retry_after_s, refused.error.engine) == (2.0, "both"), "the catalogue says why"


@pytest.mark.parametrize("names", ["both robot", "robot both"])
def test_without_a_fallback_a_robot_speaks_only_what_is_its_own(names: str) -> None:
    assert order(decided(*names.split(), rules=STRICT)) == "both"
    assert order(decided(*names.split(), rules=STRICT, tag="de")) == "robot"
    assert order(decided("robot", rules=STRICT)) == "robot"


def test_in_jobs_nothing_stands_in_for_a_voice_that_is_there_or_may_come() -> None:
    other = Binding("men", EngineVoice("x"), stands_in="other_gender")
    voice = replace(coral("both", "robot"), bindings=(other, *coral("both", "robot").bindings))
    job = replace(ANYONE, is_for_job=True)

    def engines(*names: str, unknown: tuple[str, ...] = (), terms: Terms = job) -> str:
        offer = Offer(models=tuple(MODELS[name] for name in names), is_built_in=True, unknown=unknown)
        return order(decide(offer, voice, RoutingQuery(language="en"), terms, NO_RULES))

    assert engines("men", "both", "robot", terms=ANYONE) == "both men robot"
    assert engines("men", "both", "robot") == "both"
    assert engines("men", "robot") == "men"
    assert engines("men", "robot", unknown=("both",)) == ""
