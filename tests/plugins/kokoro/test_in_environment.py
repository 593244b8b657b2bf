"""Runs what needs onnxruntime and piper-tts, in the environment that has both."""

import json
from pathlib import Path

import msgspec
import pytest

from plugins.kokoro import plugin as kokoro
from plugins.piper import plugin as piper
from speech_engine.testing.verdicts import RuleVerdict
from tests.plugins.kokoro import tiny
from tests.plugins.piper.environment import run
from tests.plugins.piper.test_in_environment import tools

pytestmark = pytest.mark.slow

CASES = Path(__file__).parent / "in_environment"

__all__ = ["tools"]


def test_the_cases_hold_where_the_runtime_is(tools: Path) -> None:
    where = ("-c", str(CASES / "pytest.ini"), "--rootdir", str(CASES), "--confcutdir", str(CASES))
    done = run("pytest", *where, "-q", "-s", str(CASES), path=(tools,), name="kokoro")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_environment_does_for_piper_and_kokoro() -> None:
    for part in ("packages", "bare", "imports"):
        assert getattr(kokoro.HOSTED, part) == getattr(piper.HOSTED, part)
    pins = [Path(str(plugin.__file__)).with_name("constraints.txt").read_text() for plugin in (kokoro, piper)]
    assert pins[0] == pins[1]
    assert "onnxruntime==1.31.1" in pins[0]


@pytest.mark.parametrize(
    ("voice", "lengths"), [("af_heart", None), ("am_echo", tiny.Lengths()), (tiny.THAI_VOICE, tiny.Lengths())]
)
def test_it_keeps_the_contract_of_engines(tmp_path: Path, voice: str, lengths: tiny.Lengths | None) -> None:
    store = tiny.thai_stored if voice == tiny.THAI_VOICE else tiny.stored
    settings = json.dumps({"model_path": str(store(tmp_path / "tiny", lengths=lengths))})
    done = run("speech_engine.testing", "plugins.kokoro.worker", voice, stdin=settings, name="kokoro")
    verdicts = [msgspec.json.decode(line, type=RuleVerdict) for line in done.stdout.splitlines()]
    assert len(verdicts) > 15, done.stderr
    assert [verdict for verdict in verdicts if verdict.broken] == []
