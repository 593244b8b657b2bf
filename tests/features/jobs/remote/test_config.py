"""Engines elsewhere in the configuration: what is refused, and what `voxgate check` says."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.config.config_toml import Config
from proxy.config.reader import ConfigError
from proxy.diagnosis.config_check import check_config
from proxy.diagnosis.model_check import find_without_cost
from proxy.engines.registry import EngineConfigError, Registry
from proxy.feature_list import load_config
from proxy.features.jobs.check import check_ceilings
from proxy.hosts.supervisor import hosted_specs
from tests.features.jobs.remote.http_runner import PLUGIN
from tests.features.jobs.remote.remote_rig import Plugins
from tests.proxy.api.inside import with_engines

FAR = '[engines.far]\nplugin = "tone"\nrunner = "cards"\nbudget_usd_day = 20\n'
CARDS = '[runners.cards]\nplugin = "far_http"\nurl = "http://127.0.0.1:1"\ntoken = "t"\n'


def opened(folder: Path, text: str) -> tuple[Config, Registry]:
    file = folder / "config.toml"
    file.write_text(text)
    plugins: Plugins = {("runner", "far_http"): PLUGIN}
    environ: Mapping[str, str] = {"KEY": "k"}
    return load_config(file, environ), with_engines({}, plugins)


def test_the_check_says_where_an_engine_works_and_what_it_may_cost(tmp_path: Path) -> None:
    config, registry = opened(tmp_path, f"{FAR}{CARDS}")
    found = {(each.what, each.name): each for each in check_config(config, registry)}
    engine = found["engine", "far"]
    assert (engine.verdict, engine.found) == (
        "ok",
        "tone, for jobs only, at cards; up to $20 a day and $10 a job",
    )
    assert found["runner", "cards"].verdict == "ok"
    assert hosted_specs(config, registry) == (), "nothing of it runs here"


RUNPOD = """
[runners.cards]
plugin = "runpod"
api_key = "k"
endpoint_id = "e"
usd_per_second = 0.01
"""


def test_the_check_names_ceilings_that_a_job_or_a_run_goes_beyond(tmp_path: Path) -> None:
    """A run of 120 s of start, 600 s of work and 5 s of idle time costs $7.25."""
    of_account = "job_usd is $12, and one account may use $10 of its day"
    of_run = "one run may cost $7.25, and job_usd or budget_usd_day is less: it stays starting"
    for runner, more, expected in (
        (RUNPOD, "", []),
        (RUNPOD, "job_usd = 12", [of_account]),
        (RUNPOD, "job_usd = 12\naccount_usd_day = 12", []),
        (RUNPOD, "job_usd = 7", [of_run]),
        (RUNPOD, "account_usd_day = 9", [of_account.replace("12", "10").replace("$10 of", "$9 of")]),
        # Who cannot tell what a run costs is not judged.
        (CARDS, "job_usd = 7", []),
        ('[runners.cards]\nplugin = "none"\n', "job_usd = 7", []),
    ):
        config, registry = opened(tmp_path, f"{FAR}{more}\n{runner}")
        found = [each.found for each in check_ceilings(config, registry)]
        assert found == expected, more
        assert {*found} <= {each.found for each in check_config(config, registry) if each.verdict == "note"}


def test_what_a_runner_costs_needs_no_line_in_costs(tmp_path: Path) -> None:
    models = '[models]\na = ["far/standard"]\nb = ["paid/m"]\n'
    paid = '[engines.paid]\nplugin = "openai"\napi_key = "k"\nbudget_usd_day = 1\n'
    config, _ = opened(tmp_path, f"{FAR}{paid}{CARDS}{models}")
    assert [fault.key for fault in find_without_cost(config, {})] == ["paid/m"]


@pytest.mark.parametrize(
    ("address", "is_right"),
    [
        ("", True),
        ("https://speech.example.org", True),
        ("https://speech.example.org:8443/voxgate", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://speech.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("https://user:secret@example.org", False),
        ("https://example.org/?a", False),
        ("ftp://example.org", False),
        ("https://", False),
    ],
)
def test_recordings_leave_over_https_alone(tmp_path: Path, address: str, is_right: bool) -> None:
    text = f'[server]\npublic_url = "{address}"\n{FAR}{CARDS}'
    if is_right:
        assert opened(tmp_path, text)[0].server.public_url == address
    else:
        with pytest.raises(ConfigError, match=r"server\.public_url"):
            opened(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{FAR}delay_s = 1\n{CARDS}", "engines.far.delay_s: it works at cards; set it there"),
        (f'{FAR}model = "m"\n{CARDS}', "engines.far.model: it works at cards"),
        (
            FAR.replace('"tone"', '"openai"') + CARDS,
            "engines.far.runner: openai has a provider of its own; remove the line",
        ),
    ],
)
def test_what_the_image_decides_is_refused_here(tmp_path: Path, text: str, said: str) -> None:
    config, registry = opened(tmp_path, text)
    with pytest.raises(EngineConfigError) as refused:
        registry.engine("far", config.engines["far"], config.data)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        (
            '[runners.cards]\nplugin = "far_htp"\n',
            "no runner called far_htp is installed; did you mean far_http?",
        ),
        ('[runners.cards]\nplugin = "far_http"\n', "runners.cards.url: it is missing"),
    ],
)
def test_a_wrong_runner_is_named(tmp_path: Path, cards: str, said: str) -> None:
    config, registry = opened(tmp_path, FAR + cards)
    (fault,) = [each for each in check_config(config, registry) if each.what == "runner"]
    assert fault.verdict == "wrong"
    assert said in fault.found
