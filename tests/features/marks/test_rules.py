"""Which answers are due for a mark: one model that must be marked is enough, and a plan decides for all."""

from policies.routing import Model
from proxy.features.marks.rules import Marking, MarkingRules, MarkUse
from speech_engine import ModelInfo
from tests.tables import each_row

MARKING = Marking(MarkUse("spread", "", "3f2a91c0"), has_manifest=True)


def model(engine: str, *, is_local: bool = True, is_speech: bool = True) -> Model:
    info = ModelInfo(id="m", languages=(), sample_rate_hz=24_000, is_local=is_local, is_speech=is_speech)
    return Model(engine, info)


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
    assert rules.decide(models, of_plan) is (MARKING if is_due else None)


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
    assert MarkingRules(MARKING, engines).spared(models, of_plan) == spared
    assert MarkingRules(None, engines).spared(models, of_plan) == set()


@each_row("of_plan", [None, True, False])
def test_where_nothing_is_marked_nothing_is_due(of_plan: bool | None) -> None:
    assert MarkingRules().decide([OURS], of_plan) is None
