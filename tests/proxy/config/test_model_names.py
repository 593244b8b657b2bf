"""A fault about a misspelt model names the model that is most like it."""

from pathlib import Path

from proxy.diagnosis.config_check import check_config
from proxy.engines.registry import Registry
from tests.proxy.api.inside import TONE, inside
from tests.proxy.config.files import load
from tests.tables import each_row

CLOUD = """
[engines.cloud]
models = ["tts-1", "tts-1-hd"]
"""
UNSEEN = "cloud/tts-1-hd has no cost: its budget does not see it"


def _wrong(folder: Path, more: str) -> dict[str, str]:
    """Return what `voxgate check` says of models, without reading the engines."""
    findings = check_config(load(folder, CLOUD + more), Registry({}, []))
    return {each.name: each.found for each in findings if (each.what, each.verdict) == ("model", "wrong")}


@each_row(
    ("more", "where"),
    [
        ("costs.tts-l = { usd = 1, per = 'job' }", "engines.cloud.costs.tts-l"),
        ("[models]\nodd = ['cloud/tts-l']", "odd"),
        (
            "[plans.pro]\nprices.models.'cloud/tts-l' = { credits = 1, per = 'job' }",
            "plans.pro.prices.models.cloud/tts-l",
        ),
    ],
)
def test_check_tells_a_misspelt_model_of_an_engine_that_lists_its_own(
    tmp_path: Path, more: str, where: str
) -> None:
    assert _wrong(tmp_path, more) == {
        where: "cloud has no model of 'cloud/tts-l'; did you mean tts-1?",
    }
    assert _wrong(tmp_path, more.replace("tts-l", "tts-1")) == {}


@each_row(
    ("lines", "wrong"),
    [
        ("budget_usd_day = 2\ncosts.tts-1 = { usd = 1, per = 'job' }", {"cloud/tts-1-hd": UNSEEN}),
        ("budget_usd_month = 2\ncosts.tts-1 = { usd = 1, per = 'job' }", {"cloud/tts-1-hd": UNSEEN}),
        ("budget_usd_day = 2\ncosts.'*' = { usd = 1, per = 'job' }", {}),
        ("costs.tts-1 = { usd = 1, per = 'job' }", {}),
        ("budget_usd_day = 2\nrunner = 'rented'\n[runners.rented]", {}),
    ],
)
def test_check_tells_a_model_that_no_budget_sees(tmp_path: Path, lines: str, wrong: dict[str, str]) -> None:
    assert _wrong(tmp_path, lines) == wrong


def test_check_tells_an_unseen_model_that_only_an_alias_names(tmp_path: Path) -> None:
    more = "[engines.far]\nbudget_usd_day = 2\n[models]\ntts-1 = ['far/m']\n"
    assert _wrong(tmp_path, more) == {"far/m": "far/m has no cost: its budget does not see it"}


async def test_readyz_tells_a_misspelt_cost_of_a_running_engine(tmp_path: Path) -> None:
    text = TONE.replace("[models]", "costs.standart = { usd = 1, per = 'job' }\n[models]")
    async with inside(tmp_path, text) as server:
        degraded = (await server.ask("GET", "/readyz", key="")).json()["degraded"]
    reason = "tone has no model of 'tone/standart'; did you mean standard?"
    assert degraded == [{"model": "engines.tone.costs.standart", "reason": reason}]
