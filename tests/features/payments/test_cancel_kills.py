"""A stop at each commit and around each call of the provider while orders are cancelled, on both stores."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import forked
from tests.databases import ALL_STORES, Postgres
from tests.features.mail.receiver import receiver
from tests.features.payments.stops import NEVER, arrived, with_a_stop
from tests.tables import soak

FOUND = {
    "granted": 500.0,
    "sums": {"pay": 500_000_000},
    "credited": 500,
    "payments": 2,
    "is booked": True,
    "mails that wait": 0,
    "ended": 3,
    "cancelled": [{"state": each, "url": "", "many": 1} for each in ("open", "paid", "refunded")],
    "months": [],
    "contradictions": [],
}
MAILS = Counter({"Receipt: 500 credits": 2})
FEW = 60
"""Every so many points in each run, every tenth in a slow one."""


@pytest.fixture(params=ALL_STORES)
def new_url(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Gives the address of a database with empty tables, another one each time."""
    with ExitStack() as lent:

        def give() -> str:
            if request.param == "sqlite":
                return "sqlite"
            server: Postgres = request.getfixturevalue("shared_postgres")
            lent.close()
            return server.url(search_path=lent.enter_context(server.lent_schema()))

        yield give


@pytest.mark.parametrize("every", [FEW, pytest.param(10, marks=pytest.mark.slow), *soak(1)])
async def test_a_stop_while_orders_are_cancelled_loses_and_doubles_nothing(
    new_url: Callable[[], str], tmp_path: Path, every: int
) -> None:
    expected, points = await with_a_stop(new_url(), tmp_path / "whole", NEVER, "cancelled")
    assert {"before the end", "after the end"} <= set(points.names)
    assert {name: expected[name] for name in FOUND} == FOUND
    assert expected["mails"] == MAILS
    struck = range(every // 2 or 1, points.passed, every)
    for point in struck:
        found, _ = await with_a_stop(new_url(), tmp_path / str(point), point, "cancelled")
        assert found == expected, (point, points.names[point - 1])
    print(f"{len(struck)} stops of {points.passed}")


@pytest.mark.soak
async def test_a_kill_while_orders_are_cancelled_loses_and_doubles_nothing(
    new_url: Callable[[], str], tmp_path: Path
) -> None:
    """A process is killed at a point, and another one goes on: so at each point."""
    point = 0
    code = -signal.SIGKILL
    while code != 0:
        point += 1
        url, folder = new_url(), tmp_path / str(point)
        folder.mkdir(0o700)
        async with receiver() as served:
            code, found = await _run(url, folder, point, served.url)
            if code != 0:
                ended, found = await _run(url, folder, NEVER, served.url)
                assert ended == 0, point
        assert {name: found[name] for name in FOUND} == FOUND, point
        assert arrived(served) == MAILS, point
    print(f"{point - 1} kills")


async def _run(url: str, folder: Path, point: int, smtp_url: str) -> tuple[int, dict[str, Any]]:
    program = "tests.features.payments.stops"
    ended = await forked.run(program, url, str(folder), str(point), "cancelled", smtp_url)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stdout
    return ended.returncode, {} if ended.returncode else msgspec.json.decode(ended.stdout.splitlines()[-1])
