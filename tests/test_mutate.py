"""`scripts/mutate.py` on a small tree of its own: what counts as killed, and by which command."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "scripts" / "mutate.py"
TITLE = "shop: proxy/features/shop/sums.py:"
FILES = {
    "pyproject.toml": """
[tool.pytest.ini_options]
markers = ["slow", "soak"]
addopts = "-m 'not soak'"
""",
    "proxy/features/shop/sums.py": "ONE = 1\nTWO = 2\nTHREE = 3\nFOUR = 4\nFIVE = 5\n",
    "tests/conftest.py": "",
    "tests/test_sums.py": """
import os, subprocess, sys, time
import pytest
from pytest import mark
from proxy.features.shop import sums

def test_one(): assert sums.ONE == 1

@pytest.mark.slow
def test_two(): assert sums.TWO == 2

def test_three():
    if sums.THREE != 3:
        program = [sys.executable, "-c", "import time; time.sleep(300)", os.environ["XDG_CACHE_HOME"]]
        subprocess.Popen(program, start_new_session=True)
        time.sleep(300)

def test_broken(): assert os.environ.get("NEVER")

class TestLong:
    pytestmark = mark.soak
    def test_four(self): assert sums.FOUR == 4

@pytest.mark.parametrize("sum_", [5, pytest.param(6, marks=mark.soak)])
def test_five(sum_): assert sums.FIVE == sum_
""",
}


def row(name: str, tests: str, new: str = "0") -> str:
    old = f"{name.upper()} = "
    return (
        f"[[mutant]]\npath = 'proxy/features/shop/sums.py'\nold = '{old}'\nnew = '{old}{new} * '\n"
        f"tests = ['tests/test_sums.py::{tests}']\n"
    )


def mutate(folder: Path, rows: str, *options: str) -> tuple[int, list[str]]:
    script = folder / "scripts" / "mutate.py"
    own = {"scripts/mutations/shop.toml": rows, "scripts/mutate.py": SCRIPT.read_text()}
    for name, text in {**FILES, **own}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    run = subprocess.run([sys.executable, script, *options], capture_output=True, text=True, check=False)
    return run.returncode, [" ".join(line.split()) for line in (run.stdout + run.stderr).splitlines()]


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "notes"))
    return str(tmp_path / "notes")


def test_a_test_kills_that_fails_with_the_mutant_and_not_without(tmp_path: Path) -> None:
    tests = {"one": "test_one", "two": "test_two", "four": "test_broken", "five": "test_one"}
    status, lines = mutate(tmp_path / "tree", "\n".join(row(name, test) for name, test in tests.items()))
    assert status == 1
    assert [line for line in lines if TITLE in line][:4] == [
        f"make test {TITLE} ONE = tests/test_sums.py::test_one",
        f"make slow {TITLE} TWO = tests/test_sums.py::test_two",
        f"SURVIVED {TITLE} FOUR =",
        f"SURVIVED {TITLE} FIVE =",
    ]
    assert "proxy/features/shop 4 1 1 0 2 0" in lines
    assert "fails without a mutant: tests/test_sums.py::test_broken" in lines


def test_a_run_over_its_time_is_run_again_alone_and_ends_with_all_that_it_started(
    tmp_path: Path, notes: str
) -> None:
    status, lines = mutate(tmp_path / "tree", row("three", "test_three"), "--limit", "4")
    assert status == 0
    assert lines[:2] == [
        f"{verdict} {TITLE} THREE = over {limit} s" for verdict, limit in (("not judged", 4), ("hangs", 12))
    ]
    assert "all 1 0 0 1 0 0" in lines
    assert not [each for each in psutil.process_iter(["cmdline"]) if notes in (each.info["cmdline"] or ())]


def test_a_listed_test_that_neither_command_collects_is_named(tmp_path: Path) -> None:
    tests = [("one", "test_one"), ("five", "test_five[5]")]
    lost = [("four", "TestLong::test_four"), ("five", "test_five[6]"), ("five", "test_gone")]
    status, lines = mutate(tmp_path / "tree", "\n".join(row(*each) for each in tests + lost), "--check")
    assert status == 1
    assert [line.rpartition("::")[2] for line in lines[1:]] == ["test_four", "test_five[6]", "test_gone"]
