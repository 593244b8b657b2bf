"""Real kills of gateways, workers, PostgreSQL and Redis under load: all accounts and jobs go on."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.databases import Postgres, postgres
from tests.faults import cluster_kills
from tests.faults.cluster_kills import Jobs, under_load
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.slow

SHORT = {
    "PYTHONPATH": str(Path(__file__).parent / "kill_points"),
    "KILL_HOLD_S": "3",
    "KILL_LEASE_S": "3",
}
"""Lives of holds and leases, so that those of the dead end soon."""
KILLS = 40
"""A round takes ten seconds. The moments are others in each run."""
MOST_ADMITTED_S, MOST_WENT_ON_S = 25, 30


class Place(NamedTuple):
    database: Postgres
    redis: RedisServer


@pytest.fixture
def place() -> Iterator[Place]:
    with postgres() as database, redis_server() as redis:
        yield Place(database, redis)


def test_a_killed_gateway_and_a_killed_worker_harm_no_account_and_no_job(
    tmp_path: Path,
    shared_postgres: Postgres,
    shared_redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Jobs, "steps", 4)
    monkeypatch.setattr(cluster_kills, "CLIENTS", 1)
    with under_load(tmp_path, shared_postgres, shared_redis, SHORT) as killing:
        killing.round("a", "worker of b")


@pytest.mark.soak
@pytest.mark.clock
def test_forty_kills_at_random_moments(tmp_path: Path, place: Place) -> None:
    chosen, waited = random.Random(), []
    with under_load(tmp_path, *place, {}) as killing:
        while len(killing.site.killed) < KILLS:
            time.sleep(chosen.uniform(0, 1))
            victims = chosen.sample(killing.site.names, chosen.choice((1, 2)))
            waited.append(killing.round(*victims))
            print(*victims, *(f"{each:.1f} s" for each in waited[-1]), flush=True)
    print(Counter(killing.site.killed))
    assert max(each.admitted_s for each in waited) < MOST_ADMITTED_S
    assert max(each.went_on_s for each in waited) < MOST_WENT_ON_S
