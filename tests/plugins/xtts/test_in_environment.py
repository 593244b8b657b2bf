"""Runs the cases that need torch, in the environment that has it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from proxy.config.secret import environ_for_hosts
from speech_engine.testing.verdicts import RuleVerdict
from tests.plugins.neural import interpreter

ROOT = Path(__file__).parents[3]
CASES = Path(__file__).parent / "in_environment"
TOOLS = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "hypothesis", "sortedcontainers")
MORE_TOOLS = ("_hypothesis_ftz_detector", "_hypothesis_globals")


@pytest.fixture(scope="module")
def python() -> str:
    return interpreter("xtts")


def _environ(*paths: Path) -> dict[str, str]:
    return environ_for_hosts(os.environ, ()) | {"PYTHONPATH": os.pathsep.join(map(str, paths))}


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what runs the cases, and nothing else of ours."""
    folder = tmp_path_factory.mktemp("tools")
    for name in (*TOOLS, *MORE_TOOLS):
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        assert spec.origin is not None, name
        place = Path(spec.origin)
        place = place.parent if spec.submodule_search_locations else place
        (folder / place.name).symlink_to(place)
    return folder


def test_the_cases_hold_where_torch_is(python: str, tools: Path) -> None:
    command = [python, "-m", "pytest", "-c", str(CASES / "pytest.ini"), "--rootdir", str(CASES)]
    done = subprocess.run(
        [*command, "--confcutdir", str(CASES), "-q", "-s", str(CASES)],
        cwd=ROOT,
        env=_environ(ROOT, tools),
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def model(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(python, tmp_path_factory.mktemp("models") / "tiny")


def tiny_model(python: str, folder: Path, *kinds: str) -> Path:
    command = [python, "-m", "tests.plugins.xtts.tiny", str(folder), *kinds]
    subprocess.run(command, cwd=ROOT, env=_environ(ROOT), check=True, capture_output=True)
    return folder


def test_it_keeps_the_contract_of_engines(python: str, model: Path) -> None:
    done = subprocess.run(
        [python, "-P", "-m", "speech_engine.testing", "plugins.xtts.worker", "xtts"],
        input=json.dumps({"model_path": str(model)}),
        env=_environ(ROOT),
        capture_output=True,
        text=True,
        check=True,
    )
    verdicts = [msgspec.json.decode(line, type=RuleVerdict) for line in done.stdout.splitlines()]
    assert len(verdicts) > 15
    assert [verdict for verdict in verdicts if verdict.broken] == []
