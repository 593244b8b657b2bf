"""Runs the cases that need onnxruntime, in its environment, beside what coqui-tts says in that of XTTS."""

from pathlib import Path

import pytest

from plugins.kokoro import plugin as kokoro
from plugins.openvoice import plugin as openvoice
from tests.plugins.neural import run_module
from tests.plugins.piper.environment import run
from tests.plugins.piper.test_in_environment import tools

pytestmark = pytest.mark.slow

CASES = Path(__file__).parent / "in_environment"
WHERE = ("-c", str(CASES / "pytest.ini"), "--rootdir", str(CASES), "--confcutdir", str(CASES), "-q", "-s")

__all__ = ["tools"]


def test_the_cases_hold_where_the_runtime_is(tools: Path) -> None:
    cases = (str(CASES / f"{name}_cases.py") for name in ("conversion", "worker"))
    done = run("pytest", *WHERE, *cases, path=(tools,), name="openvoice")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_networks_do_as_those_of_coqui_tts(tools: Path, tmp_path: Path) -> None:
    run_module("xtts", "tests.plugins.openvoice.upstream", str(tmp_path))
    cases = str(CASES / "network_cases.py"), "--upstream", str(tmp_path)
    done = run("pytest", *WHERE, *cases, path=(tools,), name="openvoice")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_needs_no_torch_and_shares_the_runtime_with_kokoro() -> None:
    packages = openvoice.HOSTED.packages
    assert set(kokoro.HOSTED.packages) < set(packages)
    assert not any("torch" in package for package in packages)
