"""Break the code on purpose, one place at a time, and see whether the tests notice.

    .venv/bin/python scripts/mutate.py [--jobs N] [NAME …]

Each file in `scripts/mutations` lists mutants: a path, the old text, the new text, and the tests that must
fail then. A mutant is applied in a copy of the tree, so the checkout stays as it is. A mutant that no test
notices has survived; it is expected to survive where its list gives a reason. One that cannot be imported
counts as a survivor, since no assertion saw it. The status is 1 when fewer than 19 of 20 are killed, when one
survives without a reason, or when the tests fail without any mutant.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LISTS = Path(__file__).parent / "mutations"
LEAST_KILLED = 0.95
_PYTHON = Path(".venv/bin/python")
_TESTS_S = 120.0
_FAILED = 1
"""pytest's status when tests ran and some failed; all others but 0 mean that they could not run."""


class Mutant(NamedTuple):
    """One change that tests should notice. `survives` is the reason why none can, where there is one."""

    topic: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    survives: str = ""

    @property
    def title(self) -> str:
        first = self.old.strip().partition("\n")[0]
        return f"{self.topic}: {self.path}: {first[:70]}"


class Outcome(NamedTuple):
    mutant: Mutant
    is_killed: bool
    detail: str = ""


def read_mutants(names: list[str]) -> list[Mutant]:
    """The mutants of the named lists, or of all."""
    files = [LISTS / f"{name}.toml" for name in names] or sorted(LISTS.glob("*.toml"))
    return [
        Mutant(
            file.stem,
            row["path"],
            row["old"],
            row["new"],
            tuple(row.get("tests", ())),
            row.get("survives", ""),
        )
        for file in files
        for row in tomllib.loads(file.read_text())["mutant"]
    ]


def fault(mutant: Mutant) -> str:
    """What is wrong with a mutant itself: its code has moved on since it was written."""
    file = ROOT / mutant.path
    if not file.is_file():
        return "there is no such file"
    count = file.read_text().count(mutant.old)
    if count != 1:
        return f"the old text stands {count} times in the file"
    missing = [test for test in mutant.tests if not is_run_for_each_commit(test)]
    return f"CI does not run {', '.join(missing)}" if missing else ""


@cache
def is_run_for_each_commit(test: str) -> bool:
    """Whether a file, a folder or a test is there, and is not only for `make soak`."""
    path, _, name = test.partition("::")
    if not (ROOT / path).exists() or "soak" in Path(path).parts:
        return False
    name = name.partition("[")[0]
    return not name or name in _names_run(ROOT / path)


@cache
def _names_run(file: Path) -> frozenset[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, functions)]
    marks = ("pytest.mark.soak", "pytest.mark.skip")
    return frozenset(
        node.name for node in found if not any(ast.unparse(each) in marks for each in node.decorator_list)
    )


def try_mutant(mutant: Mutant, tree: Path) -> Outcome:
    """Apply the mutant in the copy of the tree, run its tests there, and take it back."""
    file = tree / mutant.path
    original = file.read_text()
    file.write_text(original.replace(mutant.old, mutant.new))
    try:
        status = _run_tests(mutant.tests, tree)
    finally:
        file.write_text(original)
    if status is None:
        return Outcome(mutant, True, "the tests hung")
    if status not in (0, _FAILED):
        return Outcome(mutant, False, f"no test ran: pytest ended with status {status}")
    return Outcome(mutant, status == _FAILED)


def _run_tests(tests: tuple[str, ...], tree: Path) -> int | None:
    command = [str(tree / _PYTHON), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    process = subprocess.Popen(
        command,
        cwd=tree,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(_TESTS_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return None


def copy_tree(target: Path) -> Path:
    """The files that git knows or would take, without what it ignores, and an interpreter that imports them.

    Servers and commands that a test starts must run the mutant too, even without the test's environment.
    """
    _make_environment(target)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def _make_environment(tree: Path) -> None:
    """Make an environment with the packages of ours, in which the code is that of `tree`.

    A path in a .pth file brings no .pth files of its own, so our editable installation stays outside.
    """
    venv.create(tree / ".venv", symlinks=True, with_pip=False)
    packages = Path(sysconfig.get_path("purelib"))
    (tree / ".venv" / packages.relative_to(sys.prefix) / "mutant.pth").write_text(f"{tree}\n{packages}\n")
    for script in Path(sys.prefix, "bin").iterdir():
        copy = tree / ".venv" / "bin" / script.name
        if not copy.exists() and script.read_bytes().startswith(b"#!" + sys.executable.encode()):
            copy.write_text(script.read_text().replace(sys.executable, str(tree / _PYTHON), 1))
            copy.chmod(0o755)


def failing_without(mutants: list[Mutant], tree: Path) -> list[str]:
    """The tests that fail without any mutant, which therefore say nothing."""
    groups = dict.fromkeys(mutant.tests for mutant in mutants)
    return [" ".join(tests) for tests in groups if _run_tests(tests, tree) != 0]


def try_all(mutants: list[Mutant], jobs: int) -> list[Outcome]:
    """The outcomes in the order of the mutants. Each job has a copy of the tree of its own."""
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(jobs):
            trees.put(copy_tree(Path(folder) / str(number)))
        if failing := failing_without(mutants, Path(folder) / "0"):
            print("These tests fail without a mutant:", *failing, sep="\n  ")
            return []

        def try_in_a_free_tree(mutant: Mutant) -> Outcome:
            tree = trees.get()
            try:
                return try_mutant(mutant, tree)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(jobs) as pool:
            for outcome in pool.map(try_in_a_free_tree, mutants):
                verdict = "killed  " if outcome.is_killed else "SURVIVED"
                print(verdict, outcome.mutant.title, outcome.detail, flush=True)
                outcomes.append(outcome)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--check", action="store_true", help="only see whether they fit the code")
    parser.add_argument("names", nargs="*", help="lists; all if none is named")
    options = parser.parse_args()
    mutants = read_mutants(options.names)
    stale = [f"{mutant.title}: {wrong}" for mutant in mutants if (wrong := fault(mutant))]
    if stale:
        print("These mutants do not fit the code any more:", *stale, sep="\n  ")
        return 1
    if options.check:
        print(f"{len(mutants)} mutants fit the code")
        return 0
    if not (outcomes := try_all(mutants, options.jobs)):
        return 1
    survivors = [outcome.mutant for outcome in outcomes if not outcome.is_killed]
    killed = len(outcomes) - len(survivors)
    print(f"\n{killed} of {len(outcomes)} mutants killed")
    for mutant in survivors:
        print(f"  survived: {mutant.title}: {mutant.survives or 'NO REASON GIVEN'}")
    is_good = killed >= LEAST_KILLED * len(outcomes) and all(mutant.survives for mutant in survivors)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
