"""A plugin of pytest: what each case sends to PostgreSQL. The list of slow twins is made from it.

    .venv/bin/python -m pytest -p tests.suite.statements -m "not soak" -k postgresql tests
    .venv/bin/python -m tests.suite.statements

The first writes the statements and the seconds of each case into a folder of the user's cache. The second
writes `slow_twins.txt`: the tests whose run on PostgreSQL is no race, and sends only what other cases of
`make test` send there. `Twins` gives that run the marker `slow`.
"""

import inspect
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Generator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import databases
from tests.clients.environments import cache_folder
from tests.suite.folders import SLOW_TWINS, name_of

_FOLDER = cache_folder().parent / "statements"
_SENT = re.compile(r"^@@LOG:  (?:statement|execute [^:]*): (.*(?:\n\t.*)*)", re.MULTILINE)
_NOT_OURS = re.compile(r"\s*(DO \$\$|SET session_replication_role|SELECT (relname|proname)|CREATE SCHEMA)")
_VALUES = re.compile(r"\$\d+(?:\s*,\s*\$\d+)*|'[^']*'|\btest_[0-9a-f]{16}\b|\b\d+\b")
_AT_ONCE = re.compile(
    r"gather\(|TaskGroup|create_task|Thread|\bsubprocess\b|\bkill|\brace|at_once|concurrent"
)
"""Where several parts of a test write at once, the database decides."""
_OF_STORES = re.compile(
    r"/test_(store|schema|stateful|settlements|in_doubt|lost_leases|exactly_once|older_versions)\.py"
)
"""What they look at is the database itself, or what it forgets."""


class Sent(NamedTuple):
    """What a case sent, as digests. `is_race` says that several of its parts may have written at once."""

    case: str
    statements: frozenset[str]
    seconds: float
    is_race: bool


class Recorder:
    def __init__(self) -> None:
        self._servers: list[databases.Postgres] = []
        self._file = _FOLDER / f"{os.getpid()}.jsonl"

    def pytest_configure(self) -> None:
        _FOLDER.mkdir(parents=True, exist_ok=True)
        holder: Any = databases.Postgres
        start = holder.start

        def start_logging(server: databases.Postgres) -> None:
            options = ("-c", "log_statement=all", "-c", "log_line_prefix=@@")
            server._options = (*server._options, *options)
            start(server)
            self._servers.append(server)

        holder.start = start_logging

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Generator[None, bool, bool]:
        before, begun = {server: _size(server) for server in self._servers}, time.monotonic()
        done = yield
        logs = (_read(server, before.get(server, 0)) for server in self._servers)
        sent = {digest for log in logs for digest in _digests(log)}
        if sent:
            is_race = bool(_AT_ONCE.search(inspect.getsource(item.function) + item.name + item.path.name))
            row = Sent(item.nodeid, frozenset(sent), time.monotonic() - begun, is_race)
            with self._file.open("a") as file:
                file.write(json.dumps(row._replace(statements=sorted(sent))) + "\n")  # type: ignore[arg-type]
        return done


def pytest_configure(config: pytest.Config) -> None:
    recorder = Recorder()
    recorder.pytest_configure()
    config.pluginmanager.register(recorder, "statements")


def _size(server: databases.Postgres) -> int:
    return _log(server).stat().st_size if _log(server).exists() else 0


def _read(server: databases.Postgres, start: int) -> str:
    if not _log(server).exists():
        return ""
    return _log(server).read_bytes()[start:].decode(errors="replace")


def _log(server: databases.Postgres) -> Path:
    return server.folder / "log"


def _digests(log: str) -> Iterator[str]:
    for sql in _SENT.findall(log):
        if not _NOT_OURS.match(sql):
            yield sha256(_VALUES.sub("?", " ".join(sql.split())).encode()).hexdigest()[:12]


def slow_twins(cases: list[Sent]) -> list[str]:
    """Return the tests of which `make test` needs no case on PostgreSQL, so that few seconds remain."""
    tests: dict[str, list[Sent]] = defaultdict(list)
    for case in cases:
        tests[name_of(case.case)].append(case)
    none = frozenset[str]()
    sent = {test: none.union(*(each.statements for each in rows)) for test, rows in tests.items()}
    seconds = {test: sum(each.seconds for each in rows) for test, rows in tests.items()}
    chosen = {
        test
        for test, rows in tests.items()
        if _OF_STORES.search(test) or any(each.is_race or "[" not in each.case for each in rows)
    }
    missing = none.union(*sent.values()).difference(*(sent[test] for test in chosen))
    while missing:
        best = max(sent, key=lambda test: (len(sent[test] & missing) / seconds[test], test))
        chosen.add(best)
        missing -= sent[best]
    return sorted(tests.keys() - chosen)


def main() -> None:
    rows = [json.loads(line) for file in sorted(_FOLDER.glob("*.jsonl")) for line in file.open()]
    cases = [Sent(case, frozenset(sent), seconds, race) for case, sent, seconds, race in rows]
    slow = slow_twins(cases)
    SLOW_TWINS.write_text("".join(f"{test}\n" for test in slow))
    spared = sum(case.seconds for case in cases if name_of(case.case) in slow)
    print(f"{len(slow)} tests, {spared:.0f} of {sum(case.seconds for case in cases):.0f} s")


if __name__ == "__main__":
    main()
