"""Runs what needs onnxruntime and piper-tts, in the environment that has both."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from speech_engine.testing.verdicts import RuleVerdict
from tests.plugins.kokoro import tiny
from tests.plugins.piper.environment import run
from tests.plugins.piper.test_in_environment import tools

CASES = Path(__file__).parent / "in_environment"

__all__ = ["tools"]


def test_the_cases_hold_where_the_runtime_is(tools: Path) -> None:
    where = ("-c", str(CASES / "pytest.ini"), "--rootdir", str(CASES), "--confcutdir", str(CASES))
    done = run("pytest", *where, "-q", "-s", str(CASES), path=(tools,), name="kokoro")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("voice", ["alloy", "am_echo"])
def test_it_keeps_the_contract_of_engines(tmp_path: Path, voice: str) -> None:
    settings = json.dumps({"model_path": str(tiny.stored(tmp_path / "tiny"))})
    done = run("speech_engine.testing", "plugins.kokoro.worker", voice, stdin=settings, name="kokoro")
    verdicts = [msgspec.json.decode(line, type=RuleVerdict) for line in done.stdout.splitlines()]
    assert len(verdicts) > 15, done.stderr
    assert [verdict for verdict in verdicts if verdict.broken] == []
