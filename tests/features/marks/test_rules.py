"""Which answers are due for a mark: one model that must be marked is enough, and a plan decides for all."""

from policies.routing import Candidate, Model, PostSpeaker, Voice
from proxy.features.marks.rules import Marking, MarkingRules, MarkUse
from speech_engine import EngineVoice, ModelInfo, Trained
from tests.tables import each_row

MARKING = Marking(MarkUse("spread", "", "3f2a91c0"), has_manifest=True)


def model(engine: str, *, is_local: bool = True, is_speech: bool = True) -> Model:
    info = ModelInfo(id="m", languages=(), sample_rate_hz=24_000, is_local=is_local, is_speech=is_speech)
    return Model(engine, info)


def candidates(models: list[Model]) -> list[Candidate]:
    return [Candidate(each, EngineVoice("v")) for each in models]


OURS, TONES, CLOUD = model("ours"), model("tones", is_speech=False), model("cloud", is_local=False)


@each_row(
    ("models", "engines", "of_plan", "is_due"),
    [
        ([OURS], {}, None, True),
        ([TONES], {}, None, False),
        ([CLOUD], {}, None, False),
        ([TONES, CLOUD], {}, None, False),
        ([CLOUD, OURS], {}, None, True),
        ([CLOUD], {"cloud": True}, None, True),
        ([OURS], {"ours": False}, None, False),
        ([OURS, CLOUD], {"ours": False}, None, False),
        ([OURS, model("more")], {"ours": False}, None, True),
        ([CLOUD, TONES], {}, True, True),
        ([CLOUD], {"cloud": False}, True, True),
        ([OURS], {"ours": True}, False, False),
    ],
)
def test_an_answer_is_due(
    models: list[Model], engines: dict[str, bool], of_plan: bool | None, is_due: bool
) -> None:
    rules = MarkingRules(MARKING, engines)
    assert rules.decide(candidates(models), of_plan) is (MARKING if is_due else None)


@each_row(
    ("models", "engines", "of_plan", "spared"),
    [
        ([CLOUD, OURS], {}, None, {"cloud/m"}),
        ([CLOUD, TONES, OURS], {}, None, {"cloud/m", "tones/m"}),
        ([CLOUD, OURS], {"cloud": True}, None, set()),
        ([CLOUD, OURS], {"ours": False}, None, {"cloud/m", "ours/m"}),
        ([CLOUD, OURS], {}, True, set()),
        ([CLOUD, OURS], {}, False, set()),
    ],
)
def test_who_speaks_without_a_mark_beside_one_who_gets_it(
    models: list[Model], engines: dict[str, bool], of_plan: bool | None, spared: set[str]
) -> None:
    assert MarkingRules(MARKING, engines).spared(candidates(models), of_plan) == spared
    assert MarkingRules(None, engines).spared(candidates(models), of_plan) == set()


@each_row(
    ("base", "engines", "is_own", "is_due"),
    [
        (OURS, {}, True, True),
        (CLOUD, {}, True, True),
        (OURS, {"rvc": False}, True, False),
        (OURS, {"rvc": False}, False, True),
        (CLOUD, {"rvc": False}, False, False),
        (TONES, {"ours": True, "rvc": True}, True, True),
    ],
)
def test_the_model_that_repeats_a_base_voice_decides_alone(
    base: Model, engines: dict[str, bool], is_own: bool, is_due: bool
) -> None:
    repeater = PostSpeaker(model("rvc"), Trained("d"), Voice(id="v", name="v"), is_own=is_own)
    spoken = Candidate(base, EngineVoice("v"), post=repeater)
    rules = MarkingRules(MARKING, engines)
    assert rules.decide([spoken], None) is (MARKING if is_due else None)
    assert rules.spared([spoken], None) == (set() if is_due else {spoken.speaker})


@each_row("of_plan", [None, True, False])
def test_where_nothing_is_marked_nothing_is_due(of_plan: bool | None) -> None:
    assert MarkingRules().decide(candidates([OURS]), of_plan) is None
