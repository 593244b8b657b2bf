"""Runs what needs hibari's package, in its environment."""

from pathlib import Path

import msgspec
import pytest

from plugins.hibari import plugin as hibari
from plugins.kokoro import plugin as kokoro
from proxy.config.config_toml import known_names
from speech_engine.testing.verdicts import RuleVerdict
from tests.plugins.piper.environment import run
from tests.plugins.piper.test_in_environment import tools

pytestmark = pytest.mark.slow

CASES = Path(__file__).parent / "in_environment"

__all__ = ["tools"]


def test_the_cases_hold_where_the_package_is(tools: Path) -> None:
    where = ("-c", str(CASES / "pytest.ini"), "--rootdir", str(CASES), "--confcutdir", str(CASES))
    done = run("pytest", *where, "-q", "-s", str(CASES), path=(tools,), name="hibari")
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_keeps_the_contract_of_engines() -> None:
    done = run("speech_engine.testing", "plugins.hibari.worker", hibari.VOICE, stdin="{}", name="hibari")
    verdicts = [msgspec.json.decode(line, type=RuleVerdict) for line in done.stdout.splitlines()]
    assert len(verdicts) > 15, done.stderr
    assert [verdict for verdict in verdicts if verdict.broken] == []


def test_it_shares_the_runtime_with_kokoro_and_nothing_that_is_gpl() -> None:
    assert hibari.HOSTED.packages == kokoro.HOSTED.packages
    assert not any("piper" in package for package in (*hibari.HOSTED.bare, *hibari.HOSTED.packages))


def test_it_stands_in_for_every_name() -> None:
    (plugin,) = hibari.voxgate_register()
    names = plugin.names(hibari.HibariSettings())
    assert isinstance(names, dict)
    kinds = {"male": "other_gender", "female": "same_gender", None: "same_gender"}
    expected = {name: kinds[gender] for name, gender in known_names().items()} | {"coral": "same_speaker"}
    assert {name: known.stands_in for name, known in names.items()} == expected
