"""A gateway that is killed in the middle of an utterance, with the times that are shipped: the stream of the
account counts for a while, and is free again within a minute."""

import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from proxy.ledger.stored_holds import HOLD_S, RENEW_S
from tests.databases import Postgres
from tests.faults.cluster_kills import Gateway
from tests.faults.processes import kill, worker
from tests.features.cluster.gateways import FOLDER, SHARED
from tests.features.cluster.rig import key
from tests.features.sockets.native import talking
from tests.redis_server import RedisServer
from tests.server import ALONE
from tests.waiting import until

pytestmark = pytest.mark.soak

FREE_S = 60.0
KILLS = 6
SOLO = """
[plans.solo]
allowance = 1000000
streams = 1
prices.speech = { credits = 1, per = "second" }
"""
LONG = "He counted the boats, and then he counted them again, because one was missing. " * 10


def test_the_stream_of_a_killed_gateway_is_free_within_a_minute(
    tmp_path: Path, shared_postgres: Postgres, shared_redis: RedisServer
) -> None:
    (tmp_path / "key").write_text(key(1))
    url, vault = shared_postgres.url(search_path=shared_postgres.new_schema()), FOLDER.format(folder=tmp_path)
    shared = SHARED.format(url=url, redis=shared_redis.url, folder=tmp_path, vault=vault)
    chosen, took = random.Random(7), list[float]()
    with ExitStack() as stack:
        gateways = [Gateway(tmp_path / name, ALONE + shared + SOLO, {}) for name in "ab"]
        for each in gateways:
            stack.callback(each.stop)
        secret = gateways[0].server.mint_key("solo", plan="solo").secret
        for number in range(KILLS):
            dying, other = gateways[number % 2], gateways[1 - number % 2]
            # A hold is renewed every few seconds, and the kill comes at any moment in between.
            killed = _kill_speaking(dying, secret, chosen.uniform(0.5, 0.5 + RENEW_S))
            assert not _speaks(other, secret), "the stream counts until its hold expires"
            until(lambda other=other: _speaks(other, secret), FREE_S + 10)  # type: ignore[misc]
            took.append(time.monotonic() - killed)
            dying.start()
    print(f"{KILLS} kills: the stream was free after {', '.join(f'{each:.1f}' for each in took)} s")
    assert HOLD_S < FREE_S
    assert max(took) <= FREE_S


def _kill_speaking(gateway: Gateway, secret: str, after_s: float) -> float:
    """Kill all of a gateway while it speaks. Returns the moment."""
    with talking(gateway.server.url, secret, voice="tone/slow") as talker:
        talker.texts(LONG)
        talker.read_until("audio.start")
        talker.read_until(by=time.monotonic() + after_s)
        # The worker first: with its supervisor gone, it would end what it does.
        kill(worker(gateway.server))
        killed = time.monotonic()
        gateway.kill()
    return killed


def _speaks(gateway: Gateway, secret: str) -> bool:
    with talking(gateway.server.url, secret) as talker:
        spoken = talker.speak("One is here.")
    codes = [each["error"]["code"] for each in spoken.having("error")]
    assert codes in ([], ["rate_limit_exceeded"]), codes
    return not codes
