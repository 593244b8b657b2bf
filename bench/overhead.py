"""What voxgate adds to a bare server that answers the same bytes: `python -m bench.overhead`. Needs wrk.

Every rung runs in each round, one after the other, so that whatever else the machine does is shared out;
the figures are medians over the rounds, and ratios to the bare rung of the same round.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.load import Measured, Target, measured, show
from bench.rung import RUNGS
from bench.shipped import shipped
from tests.databases import postgres
from tests.redis_server import redis_server

SHIPPED = "espeak"
"""The last rung: `voxgate serve` as it comes, in all its processes, speaking and encoding for real."""

SHARED = "shared"
"""The ledger's rung over a real PostgreSQL and a real Redis, whose own CPU is not counted."""

ROUNDS = 3


def main() -> None:
    """All rungs, or those that are named after the command."""
    found: dict[str, list[Measured]] = {rung: [] for rung in sys.argv[1:] or (*RUNGS, SHIPPED)}
    for _ in range(ROUNDS):
        for rung in found:
            with tempfile.TemporaryDirectory() as folder, server(rung, Path(folder)) as target:
                found[rung].append(measured(target, Path(folder)))
    show(found, next(iter(found)))


@contextmanager
def server(rung: str, folder: Path) -> Iterator[Target]:
    if rung == SHIPPED:
        with shipped(folder) as found:
            yield Target(*found)
        return
    if rung == SHARED:
        with postgres() as database, redis_server() as redis:
            yield from _rung(rung, folder, database.url(), redis.url)
        return
    yield from _rung(rung, folder)


def _rung(rung: str, folder: Path, *urls: str) -> Iterator[Target]:
    command = [sys.executable, "-m", "bench.rung", rung, str(folder), *urls]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            port, key = process.stdout.readline().split()
            yield Target(process.pid, int(port), key)
        finally:
            process.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
