"""`make soak` in slices: each takes ten minutes or less on two cores, and its last result is written down.

`python -m tests.suite.soak` runs the slice whose result is the oldest, `… all` each of them, `… NAME …` the
slices of these names, and `… stale` prints those that were not run for a week. A file belongs to the slice
whose file, pattern of files or folder is the nearest, at last to `.`. `JOBS=1` runs in one process.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePath

import pytest

from tests.suite.folders import SOAK, TESTS, may_hold
from tests.suite.prove_once import engine_of

RESULTS = Path(__file__).parent / "soak_results.txt"
"""A line for each slice: when, seconds, outcome, commit, slice."""
LIMIT_S, _END_S = 600, 60
STALE = timedelta(days=7)
SLICES = {
    SOAK: (
        *(".", "clients", "corpus", "deploy", "docs", "examples", "faults", "faults/test_kill_points.py"),
        *(
            "faults/test_[ab]*",
            "faults/test_c*",
            "faults/test_[d-h]*",
            "faults/test_hostile_uploads.py",
            "faults/test_lost_hosts.py",
            "faults/test_drain.py",
            "faults/test_erasure_storm.py",
        ),
        *("features/cluster/test_existing.py", "features/console/test_reached.py"),
        *(
            "faults/test_speech_fuzz.py",
            "faults/test_cluster_kills.py",
            "faults/test_upgrades.py",
            "features",
        ),
        *("features/clones", "features/cluster", "features/console", "features/erasure", "features/jobs"),
        *(
            "features/jobs/training",
            "features/payments",
            "features/payments/test_cancel_kills.py",
            "heard",
            "heard/soak/test_joe.py",
            "heard/soak/test_kokoro.py",
            "plugins",
            "plugins/espeak",
            "plugins/rvc",
        ),
        *("plugins/xtts", "plugins/pocket", "policies", "proxy", "proxy/audio", "proxy/engines"),
        *("proxy/ledger", "soak", "soak/test_ray.py", "soak/test_neural_cases.py", "speech_engine"),
    ),
    "torch": ("plugins/f5tts", "plugins/pocket", "plugins/rvc", "plugins/xtts"),
    "properties": (
        *(".", "features", "features/jobs", "features/payments", "plugins", "plugins/openai"),
        *("plugins/espeak", "policies", "policies/routing", "proxy", "proxy/audio", "proxy/config"),
        *(
            "proxy/http",
            "proxy/ledger",
            "proxy/speech",
            "proxy/storage",
            "speech_engine",
            "speech_engine/host",
        ),
    ),
}
"""Of each kind, the folders and files of its slices: what is long, engines with torch, and the properties,
which get 3,000 examples."""
_HAS_PROPERTIES = re.compile(
    rb"^(from|import) (hypothesis|tests.policies.routing.worlds|tests.plugins.front_ends)", re.M
)
_OPTIONS = {
    SOAK: ("-m", SOAK),
    "torch": ("-m", "torch and not soak"),
    "properties": ("-m", "not soak", "--hypothesis-profile=soak"),
}


def is_of(kind: str, file: Path) -> bool:
    """Whether a file holds tests of a kind."""
    if kind == SOAK:
        return may_hold(file, SOAK)
    return bool(engine_of(file)) if kind == "torch" else bool(_HAS_PROPERTIES.search(file.read_bytes()))


@cache
def slices() -> dict[str, list[Path]]:
    """All slices, with their files."""
    found: dict[str, list[Path]] = {
        f"{kind} {place}": [] for kind, places in SLICES.items() for place in places
    }
    for file in sorted(TESTS.rglob("test_*.py")):
        inside = file.relative_to(TESTS)
        for kind, places in SLICES.items():
            if is_of(kind, file):
                found[f"{kind} {_nearest(inside, places)}"].append(file)
    return {name: files for name, files in found.items() if files}


def _nearest(file: PurePath, places: Iterable[str]) -> str:
    above = [place for place in places if file.is_relative_to(place) or fnmatch(str(file), place)]
    return max(above, key=lambda place: (place.count("/"), "*" not in place, place != "."))


def oldest(lines: str, names: Sequence[str]) -> list[str]:
    """These slices, the one whose last result is the oldest first: what has none, and then by time."""
    times = _times(lines)
    return sorted(names, key=lambda name: times.get(name, ""))


def stale(lines: str, names: Sequence[str], now: datetime) -> list[str]:
    """The slices without a result of the last week."""
    times = _times(lines)
    return [name for name in names if times.get(name, "") < _time(now - STALE)]


def with_result(lines: str, name: str, row: str) -> str:
    """The lines with a new result of a slice, in the order of time."""
    others = [line for line in lines.splitlines() if line.split(" ", 4)[-1] != name]
    return "".join(f"{line}\n" for line in sorted([*others, f"{row} {name}"]))


def run(name: str) -> bool:
    """Run a slice and write down what came of it."""
    options = _OPTIONS[name.partition(" ")[0]]
    jobs = int(os.environ.get("JOBS", "2"))
    program = [sys.executable, "-m", "pytest", "-n", str(jobs), "--dist", "loadfile", *options]
    git = ["git", "rev-parse", "--short=8", "HEAD"]
    commit = subprocess.run(git, cwd=TESTS.parent, capture_output=True, text=True, check=False).stdout.strip()
    began = time.monotonic()
    # What is skipped was not run.
    environ = {**os.environ, "CI": "true"}
    command = [*program, *map(str, slices()[name])]
    with subprocess.Popen(command, cwd=TESTS.parent, env=environ, start_new_session=True) as process:
        try:
            outcome = outcome_of(process.wait(LIMIT_S * 2 // min(jobs, 2)))
        except subprocess.TimeoutExpired:
            outcome = "over-its-time"
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        finally:
            # A process of tests lives on while a thread of a test does, beside the next slice.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    row = f"{_time(datetime.now(UTC))} {time.monotonic() - began:.0f} {outcome} {commit or '-'}"
    RESULTS.write_text(with_result(_lines(), name, row))
    print(f"{name}: {row}")
    return outcome == "passed"


def outcome_of(status: int) -> str:
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        return "nothing-collected"
    return f"failed-{status}" if status else "passed"


def main(words: Sequence[str]) -> int:
    names = [*slices()]
    if words == ["stale"]:
        late = stale(_lines(), names, datetime.now(UTC))
        print(f"soak: {len(late)} of {len(names)} slices were not run for a week: {', '.join(late)}")
        return 0
    chosen = oldest(_lines(), names)
    if words != ["all"]:
        chosen = [*words] or chosen[:1]
    if unknown := {*chosen}.difference(names):
        raise SystemExit(f"there is no slice {', '.join(sorted(unknown))}. There are: {', '.join(names)}")
    passed = [run(name) for name in chosen]
    return int(not all(passed))


def _times(lines: str) -> dict[str, str]:
    rows = (line.split(" ", 4) for line in lines.splitlines())
    return {row[4]: row[0] for row in rows}


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _lines() -> str:
    return RESULTS.read_text() if RESULTS.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
