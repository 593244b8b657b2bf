"""[engines.NAME] costs: what the provider takes for each model."""

from pathlib import Path

from policies.price import Rate
from tests.proxy.config.files import faults, load
from tests.tables import each_row


def test_each_model_may_have_its_own_and_one_stands_for_all_others(tmp_path: Path) -> None:
    text = """
        [engines.tone]
        slots = 3
        [engines.tone.costs]
        standard = { usd = 0.1, per = "hour" }
        "*" = { usd = 0, per = "unit" }
    """
    section = load(tmp_path, text).engines["tone"]
    assert section.costs == {"standard": Rate(0.1, "hour"), "*": Rate(0.0, "unit")}
    assert section.settings == {"slots": 3}


def test_without_any_there_are_none(tmp_path: Path) -> None:
    assert load(tmp_path, "[engines.tone]").engines["tone"].costs == {}


@each_row(
    ("costs", "key", "right"),
    [
        ("5", "", "must be a table, [engines.tone.costs]"),
        ("{ x = 5 }", ".x", "must be a table"),
        ("{ x = {} }", ".x.usd", "must be US dollars, 0 to 1000000; it is missing"),
        ("{ x = { usd = 1 } }", ".x.per", 'must be "second", "minute", "hour"'),
        ('{ x = { usd = -1, per = "job" } }', ".x.usd", "must be US dollars"),
        ('{ x = { usd = nan, per = "job" } }', ".x.usd", "must be US dollars"),
        ('{ x = { usd = inf, per = "job" } }', ".x.usd", "must be US dollars"),
        ('{ x = { usd = true, per = "job" } }', ".x.usd", "must be US dollars"),
        ('{ x = { usd = 1, per = "day" } }', ".x.per", "got 'day'"),
        ('{ x = { usd = 1, per = "job", eur = 1 } }', ".x.eur", "no such key"),
    ],
)
def test_an_error_names_the_model_and_what_is_right(tmp_path: Path, costs: str, key: str, right: str) -> None:
    lines = faults(tmp_path, f"[engines.tone]\ncosts = {costs}")
    assert any(line.startswith(f"engines.tone.costs{key}: ") and right in line for line in lines), lines
