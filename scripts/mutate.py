"""Break the code on purpose, one place at a time, and see whether the tests notice.

    .venv/bin/python scripts/mutate.py [--jobs N] [NAME …]

Each file in `scripts/mutations` lists mutants: a path, the old text, the new text, and the tests that must
fail then, each of which `make test` or `make slow` collects. A mutant is applied in a copy of the tree, so
the checkout stays as it is. A test kills it if it fails with the mutant and passes without. A run over its
time is not judged: it is run again, alone. If it is over its time there, too, and its tests pass without the
mutant, it hangs, and is killed: `make test` ends what hangs, and is red. A mutant that no test notices has
survived; it is expected to survive where its list gives a reason. One that cannot be imported counts as a
survivor, since no assertion saw it. The status is 1 when fewer than 19 of 20 are killed, when one lives
without a reason, or when a test fails without any.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache, partial
from hashlib import sha256
from pathlib import Path, PurePath
from typing import NamedTuple

import psutil

ROOT = Path(__file__).parents[1]
LISTS = Path(__file__).parent / "mutations"
COMMANDS = {"make test": "not slow and not soak", "make slow": "slow and not soak"}
"""What CI runs for each commit, with the markers of the tests."""
HANGS, SURVIVED, NOT_JUDGED = "hangs", "SURVIVED", "not judged"
LEAST_KILLED = 0.95
_PYTHON = Path(".venv/bin/python")
_ALONE = 3
"""So many times the limit has a run that is alone."""
_PASSED, _FAILED, _NONE_RAN = 0, 1, 5
"""What pytest ends with. All else means that the tests could not run."""
_TREE = "VOXGATE_MUTATED_TREE"
"""All processes of a run have it in their environment, those that tests start as well."""


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

    @property
    def room(self) -> str:
        folders = PurePath(self.path).parts[:-1]
        return "/".join(folders[: 3 if folders[:2] == ("proxy", "features") else 2])


class Outcome(NamedTuple):
    """`verdict` is the command that kills the mutant, or `HANGS`, `SURVIVED` or `NOT_JUDGED`."""

    mutant: Mutant
    verdict: str
    detail: str = ""

    @property
    def is_killed(self) -> bool:
        return self.verdict in (*COMMANDS, HANGS)


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
    lost = [test for test in mutant.tests if not any(test in names for names in collected().values())]
    return f"{' and '.join(COMMANDS)} do not collect {', '.join(lost)}" if lost else ""


def nameless(mutants: list[Mutant]) -> Iterator[str]:
    """The mutants that any test would kill, since their new code has an unknown name or is no Python."""
    with tempfile.TemporaryDirectory() as folder:
        for number, mutant in enumerate(mutants):
            if mutant.path.endswith(".py"):
                mutated = (ROOT / mutant.path).read_text().replace(mutant.old, mutant.new)
                (Path(folder) / f"{number}.py").write_text(mutated)
        ruff = (Path(sys.executable).with_name("ruff"), "check", "--isolated", "--no-cache", "--select=F821")
        said = subprocess.run((*ruff, "--output-format=concise", folder), capture_output=True, text=True)
    for number, what in re.findall(r"(\d+)\.py:\d+:\d+: (.*)", said.stdout):
        yield f"{mutants[int(number)].title}: {what}"


@cache
def collected() -> dict[str, set[str]]:
    """By command, the names that stand for something that it collects. pytest says so, once for each text."""
    shared = [*ROOT.glob("tests/**/conftest.py"), *ROOT.glob("tests/suite/*.py"), ROOT / "pyproject.toml"]
    digest = sha256(b"".join(file.read_bytes() for file in sorted(shared)))
    notes = {file: _note_of(file, digest.hexdigest()) for file in _listed_files()}
    if unknown := [file for file, note in notes.items() if not note.exists()]:
        with ThreadPoolExecutor() as pool:
            found = dict(zip(COMMANDS, pool.map(partial(_collect, unknown), COMMANDS.values()), strict=True))
        for file in unknown:
            ids = {each: [id_ for id_ in found[each] if id_.startswith(f"{file}::")] for each in COMMANDS}
            notes[file].parent.mkdir(parents=True, exist_ok=True)
            notes[file].write_text(json.dumps(ids))
    known = [json.loads(note.read_text()) for note in notes.values()]
    return {each: {name for ids in known for id_ in ids[each] for name in names_of(id_)} for each in COMMANDS}


def _listed_files() -> list[str]:
    paths = {ROOT / test.partition("::")[0] for mutant in read_mutants([]) for test in mutant.tests}
    files = {file for path in paths for file in (path.rglob("test_*.py") if path.is_dir() else [path])}
    return sorted(str(file.relative_to(ROOT)) for file in files if file.is_file())


def _note_of(file: str, shared: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = sha256(f"{shared} {file} ".encode() + (ROOT / file).read_bytes())
    return Path(base) / "voxgate" / "collected" / f"{digest.hexdigest()[:32]}.json"


def _collect(files: list[str], marks: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-m", marks]
    # A person's own options would change what pytest prints.
    plain = {**os.environ, "PYTEST_ADDOPTS": ""}
    run = subprocess.run([*command, *files], cwd=ROOT, env=plain, capture_output=True, text=True, check=False)
    if run.returncode not in (_PASSED, _NONE_RAN):
        raise SystemExit(f"pytest cannot collect the listed tests:\n{run.stdout}{run.stderr}")
    return [line for line in run.stdout.splitlines() if "::" in line]


def names_of(id_: str) -> Iterator[str]:
    """The names by which a list may mean a test: its id, its functions and classes, its file and folders."""
    path, *names = id_.partition("[")[0].split("::")
    yield id_
    yield from itertools.accumulate([path, *names], "{}::{}".format)
    yield from map(str, PurePath(path).parents)


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


class Tree:
    """A copy of the files, in which one mutant after another is tried."""

    _times = itertools.count(1_000_000_000)

    def __init__(self, root: Path, passing: dict[str, bool]) -> None:
        self._root = copy_tree(root)
        self._passing = passing
        """Whether a test passes without a mutant: all trees know it of those that have failed with one."""

    def judge(self, mutant: Mutant, limit_s: float, *, is_alone: bool = False) -> Outcome:
        """Run the tests with the mutant, those of `make test` first. What fails without it is left out."""
        left_out: list[str] = []
        for command, marks in COMMANDS.items():
            tests = [test for test in mutant.tests if test in collected()[command]]
            while tests:
                with self._mutated(mutant):
                    status, failed = self._run(limit_s, "-m", marks, *left_out, *tests)
                if status in (_PASSED, _NONE_RAN):
                    break
                if status is None:
                    hangs = is_alone and self._run(limit_s, "-m", marks, *left_out, *tests)[0] == _PASSED
                    return Outcome(mutant, HANGS if hangs else NOT_JUDGED, f"over {limit_s:g} s")
                if status != _FAILED:
                    return Outcome(mutant, SURVIVED, f"no test ran: pytest ended with status {status}")
                if failed not in self._passing:
                    self._passing[failed] = self._run(limit_s, failed)[0] == _PASSED
                if self._passing[failed]:
                    return Outcome(mutant, command, failed)
                print(f"{failed} fails without a mutant", flush=True)
                left_out.append(f"--deselect={failed}")
        return Outcome(mutant, SURVIVED)

    @contextmanager
    def _mutated(self, mutant: Mutant) -> Iterator[None]:
        file = self._root / mutant.path
        original = file.read_text()
        self._write(file, original.replace(mutant.old, mutant.new))
        try:
            yield
        finally:
            self._write(file, original)

    def _write(self, file: Path, text: str) -> None:
        """Each text has a time of its own: Python knows compiled code by the second and the length."""
        file.write_text(text)
        os.utime(file, (time := next(self._times), time))

    def _run(self, limit_s: float, *options: str) -> tuple[int | None, str]:
        """Return pytest's status, None over the limit, and the first test that failed."""
        notes = self._root / ".pytest_cache"
        shutil.rmtree(notes, ignore_errors=True)
        command = [str(self._root / _PYTHON), "-m", "pytest", "-q", "-x", "-o", f"cache_dir={notes}"]
        process = subprocess.Popen(
            [*command, *options],
            cwd=self._root,
            env={**os.environ, "TMPDIR": str(self._root.parent), _TREE: str(self._root)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            self._end(process)
        failed = notes / "v" / "cache" / "lastfailed"
        return status, next(iter(json.loads(failed.read_text())), "") if failed.exists() else ""

    def _end(self, run: subprocess.Popen[bytes]) -> None:
        """End all that the run started, also in another session and without a parent."""
        started = psutil.Process(run.pid).children(recursive=True) if run.returncode is None else []
        run.kill()
        run.wait()
        for process in {*started, *psutil.process_iter()}:
            with suppress(psutil.Error):
                if process in started or process.environ().get(_TREE) == str(self._root):
                    process.kill()


def try_all(mutants: list[Mutant], jobs: int, limit_s: float) -> tuple[list[Outcome], list[str]]:
    """The outcomes in the order of the mutants, and the tests that fail without a mutant."""
    passing: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as folder:
        # Tests have their temporary files there, and root's PostgreSQL runs as another user.
        os.chmod(folder, 0o711)
        trees: queue.SimpleQueue[Tree] = queue.SimpleQueue()
        for number in range(jobs):
            trees.put(Tree(Path(folder) / str(number), passing))

        def judge(mutant: Mutant, limit_s: float, *, is_alone: bool = False) -> Outcome:
            tree = trees.get()
            try:
                return tree.judge(mutant, limit_s, is_alone=is_alone)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(jobs) as pool:
            outcomes = [_shown(each) for each in pool.map(judge, mutants, itertools.repeat(limit_s))]
        for number, outcome in enumerate(outcomes):
            if outcome.verdict == NOT_JUDGED:
                outcomes[number] = _shown(judge(outcome.mutant, limit_s * _ALONE, is_alone=True))
    return outcomes, [test for test, passes in passing.items() if not passes]


def _shown(outcome: Outcome) -> Outcome:
    print(f"{outcome.verdict:10}", outcome.mutant.title, outcome.detail, flush=True)
    return outcome


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """By the room of the code: how many mutants there are, and what came of them."""
    verdicts = (*COMMANDS, HANGS, SURVIVED, NOT_JUDGED)
    rooms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        for room in (outcome.mutant.room, "all"):
            rooms[room][outcome.verdict] += 1
    yield f"{'':28}{'mutants':>11}" + "".join(f"{each:>11}" for each in verdicts)
    for room, counts in sorted(rooms.items(), key=lambda row: (row[0] == "all", row[0])):
        yield f"{room:28}{counts.total():11}" + "".join(f"{counts[each]:11}" for each in verdicts)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument(
        "--limit", type=float, default=120, help="the seconds of a run; alone, three times that"
    )
    parser.add_argument("--check", action="store_true", help="only see whether they fit the code")
    parser.add_argument("names", nargs="*", help="lists; all if none is named")
    options = parser.parse_args()
    mutants = read_mutants(options.names)
    stale = [f"{mutant.title}: {wrong}" for mutant in mutants if (wrong := fault(mutant))]
    stale += nameless(mutants)
    if stale:
        print("These mutants do not fit the code any more:", *stale, sep="\n  ")
        return 1
    if options.check:
        print(f"{len(mutants)} mutants fit the code")
        return 0
    outcomes, failing = try_all(mutants, options.jobs, options.limit)
    print("", *table(outcomes), sep="\n")
    lived = [outcome for outcome in outcomes if not outcome.is_killed]
    for outcome in lived:
        print(f"  {outcome.verdict}: {outcome.mutant.title}: {outcome.mutant.survives or 'NO REASON GIVEN'}")
    print(*(f"  fails without a mutant: {test}" for test in failing), sep="\n")
    are_enough = len(outcomes) - len(lived) >= LEAST_KILLED * len(outcomes)
    return 0 if are_enough and not failing and all(outcome.mutant.survives for outcome in lived) else 1


if __name__ == "__main__":
    sys.exit(main())
