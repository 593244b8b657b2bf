"""Runs what needs onnxruntime and piper-tts, in the environment that has both."""

import importlib.util
import json
from pathlib import Path

import msgspec
import pytest

from speech_engine.testing.verdicts import RuleVerdict
from tests.plugins.piper import tiny
from tests.plugins.piper.environment import run
from tests.plugins.piper.test_voices import folder
from tests.tables import each_row

pytestmark = pytest.mark.slow

CASES = Path(__file__).parent / "in_environment"
TOOLS = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "pygments")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what runs the cases, and nothing else of ours."""
    made = tmp_path_factory.mktemp("tools")
    for name in TOOLS:
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        assert spec.origin is not None, name
        place = Path(spec.origin)
        place = place.parent if spec.submodule_search_locations else place
        (made / place.name).symlink_to(place)
    return made


def test_the_cases_hold_where_the_runtime_is(tools: Path) -> None:
    where = ("-c", str(CASES / "pytest.ini"), "--rootdir", str(CASES), "--confcutdir", str(CASES))
    done = run("pytest", *where, "-q", "-s", str(CASES), path=(tools,))
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@each_row("voice", ["amy", "crew:ben", "amy:up5.3"])
def test_it_keeps_the_contract_of_engines(tmp_path: Path, voice: str) -> None:
    paths = [folder(tmp_path, "amy", "en_US"), folder(tmp_path, "crew", "en_GB", "ana", "ben")]
    settings = json.dumps({"model_paths": paths})
    done = run("speech_engine.testing", "plugins.piper.worker", voice, stdin=settings)
    verdicts = [msgspec.json.decode(line, type=RuleVerdict) for line in done.stdout.splitlines()]
    assert len(verdicts) > 15
    assert [verdict for verdict in verdicts if verdict.broken] == []


def test_a_voice_that_espeak_does_not_know_is_named_at_the_start(tmp_path: Path) -> None:
    voice = tiny.voice(tmp_path / "odd", espeak_voice="zz-zz")
    voice.rename(voice.with_name("voice.onnx"))
    voice.with_name("tiny.onnx.json").rename(voice.with_name("voice.json"))
    settings = json.dumps({"model_paths": [str(voice.parent)]})
    done = run("speech_engine.testing", "plugins.piper.worker", "odd", stdin=settings)
    assert "odd: espeak-ng has no voice zz-zz" in done.stdout + done.stderr
