"""[plans.NAME]: exact micro-credits out of what people write, and a fault for whatever cannot be exact."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.plans import UNLIMITED, Plan, Prices
from policies.price import FREE, MICRO, Price
from proxy.config.config_toml import ConfigError
from proxy.feature_list import load_config
from tests.proxy.config.files import faults, load
from tests.tables import each_row

ROOT = Path(__file__).parents[3]
SECOND = Price(60 * MICRO, "minute")
QUARTER = Price(15 * MICRO, "minute")
TO_PEOPLE = Prices(speech=SECOND, transcription=QUARTER)
A_CLONE = Price(300 * MICRO, "job")
WITH_CLONES = Prices(speech=SECOND, transcription=QUARTER, clone=A_CLONE)


def of(folder: Path, plan: str) -> Plan:
    return load(folder, f"[plans.mine]\n{plan}").plans["mine"]


def test_the_shipped_plans_are_the_published_ones(tmp_path: Path) -> None:
    shipped = [
        ("free", "", 600, 10, 1, 5, 0),
        ("basic", "$19", 3_600, 30, 2, 20, 3),
        ("pro", "$70", 14_400, 60, 5, 100, 20),
    ]
    expected = {
        name: Plan(
            name=name,
            price=price,
            allowance=seconds * MICRO,
            rpm=rpm,
            streams=streams,
            voices=voices,
            clones=clones,
            keys=50,
            max_characters=4096,
            prices=WITH_CLONES if clones else TO_PEOPLE,
        )
        for name, price, seconds, rpm, streams, voices, clones in shipped
    }
    expected["enterprise"] = Plan(
        name="enterprise",
        price="$180+",
        allowance="account",
        rpm="account",
        streams="account",
        voices="account",
        keys=50,
        max_characters=4096,
        prices=WITH_CLONES,
    )
    assert load(tmp_path, "").plans == {**expected, "unlimited": UNLIMITED}


def test_the_shipped_file_shows_them_as_they_are_without_it(tmp_path: Path) -> None:
    assert load_config(ROOT / "config.toml", {}).plans == load(tmp_path, "").plans
    assert "plans" in tomllib.loads((ROOT / "config.toml").read_text())


def test_the_example_for_creators_loads_and_charges_by_the_minute() -> None:
    plans = load_config(ROOT / "examples" / "config.creators.toml", {}).plans
    assert [(plan.name, plan.price, plan.allowance) for plan in plans.values()] == [
        ("free", "", 100 * MICRO),
        ("basic", "R$29.90", 1_000 * MICRO),
        ("pro", "R$99.90", 5_000 * MICRO),
        ("unlimited", "", None),
    ]
    assert [plans[name].clones for name in ("free", "basic", "pro")] == [0, 3, 20]
    for name, clone in (("free", FREE), ("basic", A_CLONE), ("pro", A_CLONE)):
        assert plans[name].prices == Prices(speech=Price(10 * MICRO, "minute"), clone=clone)


@each_row("per", ["second", "minute", "character"])
def test_a_clone_has_one_price(tmp_path: Path, per: str) -> None:
    (fault,) = faults(tmp_path, f'[plans.mine]\nprices.clone = {{ credits = 300, per = "{per}" }}')
    assert 'prices.clone.per: must be "job"' in str(fault)


def test_the_files_plans_replace_the_shipped_ones_but_for_unlimited(tmp_path: Path) -> None:
    assert load(tmp_path, "[plans.mine]").plans == {
        "mine": Plan(name="mine", keys=50),
        "unlimited": UNLIMITED,
    }
    assert load(tmp_path, "[plans]").plans == {"unlimited": UNLIMITED}


def test_an_unlimited_of_the_file_is_the_files(tmp_path: Path) -> None:
    assert load(tmp_path, "[plans.unlimited]\nrpm = 5").plans == {
        "unlimited": Plan(name="unlimited", rpm=5, keys=50)
    }


def test_every_key_of_a_plan_counts(tmp_path: Path) -> None:
    text = """
        price = "R$29.90"
        allowance = 1000.5
        rpm = 30
        streams = 2
        voices = 0
        max_characters = 1000
        keys = 7
        engines = ["espeak"]
        cache = true
        local_only = true
        one_shot = true
        [plans.mine.prices]
        speech = { credits = 1, per = "second" }
        cached = { credits = 0.1, per = "character" }
        [plans.mine.prices.models]
        espeak = { credits = 0, per = "job" }
        "espeak/standard" = { credits = 0.25, per = "second" }
    """
    assert of(tmp_path, text) == Plan(
        name="mine",
        price="R$29.90",
        allowance=1_000_500_000,
        rpm=30,
        streams=2,
        voices=0,
        max_characters=1000,
        keys=7,
        engines=("espeak",),
        cache=True,
        local_only=True,
        one_shot=True,
        prices=Prices(
            speech=SECOND,
            cached=Price(100_000, "character"),
            models={"espeak": FREE, "espeak/standard": Price(15 * MICRO, "minute")},
        ),
    )


def test_conversions_and_trainings_have_prices_of_their_own(tmp_path: Path) -> None:
    text = """
        [plans.mine]
        prices.conversion = { credits = 5, per = "minute" }
        prices.training = { credits = 50, per = "job" }
    """
    prices = load(tmp_path, text).plans["mine"].prices
    assert (prices.conversion, prices.training) == (Price(5 * MICRO, "minute"), Price(50 * MICRO, "job"))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('conversion = { credits = 5, per = "character" }', "conversion.per: must be another"),
        ('training = { credits = 5, per = "minute" }', 'training.per: must be "job"'),
    ],
)
def test_a_price_by_what_the_work_has_not_is_refused(tmp_path: Path, line: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(fault)):
        load(tmp_path, f"[plans.mine]\nprices.{line}\n")


def test_a_limit_may_be_left_to_each_account(tmp_path: Path) -> None:
    keys = ("allowance", "rpm", "streams", "voices", "max_characters")
    plan = of(tmp_path, "\n".join(f'{key} = "account"' for key in keys))
    assert [getattr(plan, key) for key in keys] == ["account"] * 5


amounts = st.integers(0, 10**15).map(lambda micro: Decimal(micro).scaleb(-6))


@given(amounts)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_six_decimals_of_a_credit_are_exact(tmp_path: Path, credits: Decimal) -> None:
    assert of(tmp_path, f"allowance = {credits:f}").allowance == int(credits * MICRO)


@each_row(
    ("plan", "key", "right"),
    [
        ("rpm = 0", "rpm", 'must be requests a minute, 1 to 1000000, or "account"; got 0'),
        ("rpm = 1.5", "rpm", "requests a minute"),
        ("rpm = 'none'", "rpm", "got 'none'"),
        ("streams = 0", "streams", "requests at the same time"),
        ("voices = -1", "voices", "voices, 0 to 1000000"),
        ("max_characters = 0", "max_characters", "characters a request"),
        ("allowance = -1", "allowance", "credits a cycle, 0 to 1000000000"),
        ("allowance = true", "allowance", "credits a cycle"),
        ("allowance = nan", "allowance", "got nan"),
        ("allowance = inf", "allowance", "credits a cycle"),
        ("allowance = 0.0000001", "allowance", "must have 6 decimals at most; got 1e-07"),
        ("allowance = 1e10", "allowance", "credits a cycle"),
        ("price = 19", "price", "a text for people"),
        ("price = '$0'", "price", 'must be "" where the plan is free'),
        ("price = 'Free'", "price", 'must be "" where the plan is free'),
        ("price = 'R$ 0,00'", "price", 'must be "" where the plan is free'),
        ("engines = ['espeek']", "engines", "'espeek': no [engines.espeek] here; known: espeak"),
        ("engines = 'espeak'", "engines", "a list of engines"),
        ("cache = 1", "cache", "true or false"),
        ("alowance = 1", "alowance", "did you mean allowance?"),
        ("prices = 1", "prices", "a table of prices"),
        ("prices.speach = { credits = 1, per = 'job' }", "prices.speach", "did you mean speech?"),
        ("prices.speech = 1", "prices.speech", "must be a table"),
        ("prices.speech = { credits = 1 }", "prices.speech.per", "it is missing"),
        ("prices.speech = { per = 'job' }", "prices.speech.credits", "it is missing"),
        ("prices.speech = { credits = 1, per = 'hour' }", "prices.speech.per", "got 'hour'"),
        ("prices.speech = { credits = -1, per = 'job' }", "prices.speech.credits", "0 to 1000000"),
        ("prices.speech = { credits = 0.1234567, per = 'job' }", "prices.speech.credits", "6 decimals"),
        ("prices.speech = { credits = 1, per = 'job', usd = 1 }", "prices.speech.usd", "no such key"),
        ("prices.models = 1", "prices.models", "must be a table"),
        ("prices.models.espeak = 1", "prices.models.espeak", "must be a table"),
        (
            "prices.models.\"minimax/x\" = { credits = 1, per = 'job' }",
            "prices.models",
            "no [engines.minimax] here",
        ),
    ],
)
def test_a_fault_names_the_plan_the_key_and_what_is_right(
    tmp_path: Path, plan: str, key: str, right: str
) -> None:
    lines = faults(tmp_path, f"[plans.mine]\n{plan}")
    assert len(lines) == 1
    assert lines[0].startswith(f"plans.mine.{key}: ")
    assert right in lines[0]


@each_row("name", ["Mine", "a b", "a/b", "", "-a", "é", "a" * 65, "a\\t"])
def test_a_name_that_no_command_line_or_url_would_take_is_refused(tmp_path: Path, name: str) -> None:
    (line,) = faults(tmp_path, f'[plans."{name}"]')
    assert "a plan's name must be of a to z" in line


def test_a_plan_that_is_no_table_is_one_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, "plans = 5") == ["plans: must be a table, [plans]"]
    assert faults(tmp_path, "[plans]\nmine = 5") == ["plans.mine: must be a table, [plans.mine]"]
