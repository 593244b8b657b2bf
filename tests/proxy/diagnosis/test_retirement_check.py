"""Aliases and routes that end with a provider's models, as `check` and `doctor` see them."""

from datetime import date
from pathlib import Path

from proxy.config.finding import Finding, ProbeResults
from proxy.diagnosis.config_check import check_config
from proxy.diagnosis.doctor import installation
from proxy.diagnosis.model_check import RETIREMENT, check_retirements
from proxy.engines import registry
from speech_engine import ModelInfo
from tests.proxy.config.files import load

CONFIG = """
[engines.openai]
[engines.tone]
[models]
"tts-1" = ["openai/tts-1"]
"tts-1-hd" = ["openai/tts-1-hd", "tone/standard"]
"mine" = ["openai/other"]
[[routes]]
language = "fr"
candidates = ["openai/gpt-4o-mini-tts"]
"""


def found(folder: Path, today: date) -> dict[str, Finding]:
    return {each.name: each for each in check_retirements(load(folder, CONFIG), registry.load(), {}, today)}


def test_it_warns_from_sixty_days_before(tmp_path: Path) -> None:
    assert found(tmp_path, date(2026, 11, 6)) == {}
    soon = found(tmp_path, date(2026, 11, 21))
    assert soon.keys() == {"alias tts-1", "alias tts-1-hd", "route fr"}
    assert {each.verdict for each in soon.values()} == {"note"}
    assert soon["alias tts-1"].found == ("openai/tts-1 ends on 2027-01-06 (46 days); nothing is left then")
    # Another model goes on.
    assert soon["alias tts-1-hd"].found == "openai/tts-1-hd ends on 2027-01-06 (46 days)"
    assert (soon["alias tts-1"].do != "", soon["alias tts-1-hd"].do) == (True, "")


def test_what_has_ended_is_wrong_only_where_nothing_is_left(tmp_path: Path) -> None:
    late = found(tmp_path, date(2027, 1, 6))
    assert {name: each.verdict for name, each in late.items()} == {
        "alias tts-1": "wrong",
        "alias tts-1-hd": "note",
        "route fr": "wrong",
    }
    assert late["route fr"].found == "openai/gpt-4o-mini-tts ended on 2027-01-06 (0 days); nothing is left"


def test_a_running_server_knows_it_better(tmp_path: Path) -> None:
    info = ModelInfo(id="other", languages=(), sample_rate_hz=0, shutdown_date="2026-12-01")
    config = load(tmp_path, CONFIG)
    named = {
        each.name: each
        for each in check_config(config, registry.load(), ProbeResults({"openai": (info,)}))
        if each.what == RETIREMENT
    }
    assert "openai/other end" in named["alias mine"].found


def test_doctor_says_it_too(tmp_path: Path) -> None:
    config = load(tmp_path, CONFIG)
    assert {each.name for each in installation.ending_models(config)} == {
        "alias tts-1",
        "alias tts-1-hd",
        "route fr",
    }
    assert not [each for each in installation.engines(config) if each.what == RETIREMENT]
    (none,) = installation.ending_models(load(tmp_path, "[engines.tone]\n"))
    assert none.verdict == "ok"


def test_a_missing_key_hides_no_day(tmp_path: Path) -> None:
    text = '[engines.openai]\napi_key = "env:NO_SUCH_KEY"\n[models]\n"tts-1" = ["openai/tts-1"]\n'
    told = {each.name: each.found for each in installation.ending_models(load(tmp_path, text))}
    assert told["alias tts-1"].startswith("openai/tts-1 end")


def test_an_engine_whose_settings_have_a_fault_was_not_checked(tmp_path: Path) -> None:
    text = '[engines.azure]\nplugin = "openai"\npreset = "azure"\n[models]\n"tts-1" = ["azure/tts-1"]\n'
    config = load(tmp_path, f"[engines.tone]\n{text}")
    (found,) = installation.ending_models(config)
    assert (found.verdict, found.name) == ("note", "azure")
    assert found.found == "not checked: its settings have a fault"
    # An engine that nothing names ends nothing.
    (none,) = installation.ending_models(load(tmp_path, f"[engines.tone]\n{text.partition('[models]')[0]}"))
    assert none.verdict == "ok"
