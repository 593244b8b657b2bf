"""Runs the cases that need torch, in the environment that has it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import msgspec
import pytest

from speech_engine.testing.verdicts import RuleVerdict
from tests.plugins.neural import ROOT, environ, interpreter, run_cases, run_module

CASES = Path(__file__).parent / "in_environment"


@pytest.fixture(scope="module")
def python() -> str:
    return interpreter("xtts")


def test_the_cases_hold_where_torch_is(tmp_path: Path) -> None:
    run_cases("xtts", CASES, tmp_path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def tiny_model(folder: Path, *kinds: str) -> Path:
    run_module("xtts", "tests.plugins.xtts.tiny", str(folder), *kinds)
    return folder


def test_it_keeps_the_contract_of_engines(python: str, model: Path) -> None:
    done = subprocess.run(
        [python, "-P", "-m", "speech_engine.testing", "plugins.xtts.worker", "xtts"],
        input=json.dumps({"model_path": str(model)}),
        env=environ(ROOT),
        capture_output=True,
        text=True,
        check=True,
    )
    verdicts = [msgspec.json.decode(line, type=RuleVerdict) for line in done.stdout.splitlines()]
    assert len(verdicts) > 15
    assert [verdict for verdict in verdicts if verdict.broken] == []
