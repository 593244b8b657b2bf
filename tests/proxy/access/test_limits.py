"""Requests a minute: one body over memory and a real Redis, and what a Redis that is away does."""

import asyncio
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from policies.limits import Caps
from policies.plans import Plan, Terms, build_terms
from policies.rate import Window
from proxy.access.limits import Limits, MemoryWindows, open_limits, rate_headers
from proxy.access.windows import Limit, address_limits
from proxy.errors import CannotServe, LimitsUnavailable, RateLimited
from tests.proxy.api.inside import TONE, inside
from tests.redis_server import RedisServer, redis_server


def _terms(rpm: int | None = None, key_rpm: int | None = None) -> Terms:
    return build_terms(Plan(name="basic", rpm=rpm), caps=Caps(rpm=key_rpm))


@pytest.fixture
def account() -> str:
    return f"acc_{secrets.token_hex(8)}"


@pytest.fixture(params=["memory", "redis"])
async def limits(request: pytest.FixtureRequest) -> AsyncIterator[Limits]:
    url = "memory" if request.param == "memory" else request.getfixturevalue("shared_redis").url
    async with open_limits(url) as opened:
        yield opened


async def _refused(limits: Limits, account: str, key: str, terms: Terms, further: int = 0) -> RateLimited:
    with pytest.raises(RateLimited) as refusal:
        await limits.admit(account, key, terms, further)
    return refusal.value


async def test_without_a_limit_nothing_is_counted(limits: Limits, account: str) -> None:
    for _ in range(100):
        assert await limits.admit(account, "k", _terms()) is None


@pytest.mark.clock
async def test_the_limit_is_exact_and_says_what_is_left(limits: Limits, account: str) -> None:
    left = [await limits.admit(account, "k", _terms(3)) for _ in range(3)]
    assert [(window.limit, window.remaining) for window in left if window] == [(3, 2), (3, 1), (3, 0)]
    # The one just counted is the last to go, a minute from now.
    assert all(window is not None and 59 < window.reset_s <= 60 for window in left)
    refusal = await _refused(limits, account, "k", _terms(3))
    assert 59 <= (refusal.retry_after_s or 0) <= 60
    assert refusal.message == (
        "Rate limit reached for your plan 'basic': 3 requests a minute. "
        f"Try again in {refusal.retry_after_s:g} s."
    )
    assert refusal.headers["x-ratelimit-limit-requests"] == "3"
    assert refusal.headers["x-ratelimit-remaining-requests"] == "0"
    assert refusal.headers["x-ratelimit-reset-requests"].endswith("s")
    assert await limits.admit(f"{account}2", "k", _terms(3)) is not None


async def test_a_hundred_at_once_are_let_through_as_one_after_the_other(limits: Limits, account: str) -> None:
    async def ask() -> bool:
        try:
            await limits.admit(account, "k", _terms(60))
        except RateLimited:
            return False
        return True

    assert sum(await asyncio.gather(*(ask() for _ in range(100)))) == 60


async def test_a_refusal_by_the_keys_limit_leaves_the_accounts(limits: Limits, account: str) -> None:
    terms = _terms(10, key_rpm=2)
    windows = [await limits.admit(account, f"{account}a", terms) for _ in range(2)]
    assert [(window.limit, window.remaining) for window in windows if window] == [(2, 1), (2, 0)]
    for _ in range(20):
        refusal = await _refused(limits, account, f"{account}a", terms)
        assert "this key: 2 requests a minute" in refusal.message
    other = await limits.admit(account, f"{account}b", _terms(10))
    assert other is not None
    assert (other.limit, other.remaining) == (10, 7)


async def test_a_refusal_by_the_accounts_limit_leaves_the_keys(limits: Limits, account: str) -> None:
    await limits.admit(account, f"{account}a", _terms(1))
    for _ in range(5):
        refusal = await _refused(limits, account, f"{account}b", _terms(1, key_rpm=2))
        assert "your plan 'basic'" in refusal.message
    window = await limits.admit(f"{account}2", f"{account}b", _terms(9, key_rpm=2))
    assert window is not None
    assert (window.limit, window.remaining) == (2, 1)


async def test_a_request_at_once_with_others_is_counted_by_both_limits_or_by_none(
    limits: Limits, account: str
) -> None:
    async def ask(key: str) -> bool:
        try:
            await limits.admit(account, f"{account}{key}", _terms(40, key_rpm=15))
        except RateLimited:
            return False
        return True

    passed = await asyncio.gather(*(ask(key) for key in "abcd" * 25))
    assert sum(passed) == 40
    left = [await _left(limits, Limit("key", f"{account}{key}", 15)) for key in "abcd"]
    assert sum(15 - each for each in left) == 40


async def test_a_request_that_counts_as_several_takes_a_whole_minute_at_most(
    limits: Limits, account: str
) -> None:
    terms = _terms(10, key_rpm=4)
    assert await limits.admit(account, f"{account}a", terms) is not None
    window = await limits.admit(account, f"{account}a", terms, further=2)
    assert window is not None
    assert (window.limit, window.remaining) == (4, 1)
    # The account has room for two more, and its key has not: neither is counted.
    refusal = await _refused(limits, account, f"{account}a", terms, further=2)
    assert "this key: 4 requests a minute, and this one counts as 3" in refusal.message
    assert 1 <= (refusal.retry_after_s or 0) <= 60
    assert await _left(limits, Limit("account", account, 10)) == 7
    # As large as it may be, it is a whole minute of a small plan.
    assert await limits.admit(f"{account}2", f"{account}b", _terms(10)) is not None
    window = await limits.admit(f"{account}2", f"{account}b", _terms(10), further=39)
    assert window is not None
    assert window.remaining == 0
    # A limit of one request a minute has no more than that.
    assert await limits.admit(f"{account}3", f"{account}c", _terms(1), further=39) is None


async def _left(limits: Limits, limit: Limit) -> int:
    left = 0
    while await limits.count_request(limit) is None:
        left += 1
    return left


async def test_a_limit_that_changes_keeps_the_count(limits: Limits, account: str) -> None:
    for _ in range(4):
        await limits.admit(account, "k", _terms(4))
    window = await limits.admit(account, "k", _terms(6))
    assert window is not None
    assert (window.limit, window.remaining) == (6, 1)
    await _refused(limits, account, "k", _terms(2))


@pytest.mark.clock
async def test_a_limit_of_nothing_refuses_everything(limits: Limits, account: str) -> None:
    refusal = await _refused(limits, account, "k", _terms(0))
    assert 59 <= (refusal.retry_after_s or 0) <= 60


@pytest.mark.clock
async def test_a_limit_says_beforehand_what_may_be_taken(limits: Limits, account: str) -> None:
    limit = Limit("address", account, 2)
    assert await limits.find_full(limit) is None
    assert [await limits.count_request(limit) is None for _ in range(3)] == [True, True, False]
    full = await limits.find_full(limit)
    assert full is not None
    assert 59 < full.wait_s <= 60


@pytest.mark.parametrize("network", ["2001:db8:{kind:x}:{:x}::1", "198.51.{kind}.{}"], ids=["/48", "/24"])
async def test_a_wider_network_may_do_three_times_as_much(limits: Limits, network: str) -> None:
    # A Redis of all tests has the counts of a minute.
    kind, taken = secrets.token_hex(4), 0
    for number in range(5):
        own = address_limits(kind, network.format(number, kind=7), 12)
        while await limits.count_request(*own) is None:
            taken += 1
    assert taken == 36, "three of five got their twelve"
    full = await limits.find_full(*address_limits(kind, network.format(77, kind=7), 12))
    assert full is not None
    assert full.limit.most == 36
    assert await limits.find_full(*address_limits(kind, network.format(77, kind=8), 12)) is None


async def test_one_window_may_have_a_part_that_others_leave(limits: Limits, account: str) -> None:
    some, all_ = Limit("mails", account, 3), Limit("mails", account, 4)
    assert [await limits.count_request(some) is None for _ in range(5)] == [True] * 3 + [False] * 2
    assert [await limits.count_request(all_) is None for _ in range(3)] == [True, False, False]


async def test_a_store_of_counts_that_answers_is_healthy(limits: Limits) -> None:
    await limits.check()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def _asked(limits: Limits, rpm: int) -> float | None:
    """Return how long each refused request must wait, or None for one that passed."""
    try:
        await limits.admit("a", "k", _terms(rpm))
    except RateLimited as refusal:
        return refusal.retry_after_s
    return None


async def test_the_window_moves_with_every_second() -> None:
    clock = Clock()
    limits = Limits(MemoryWindows(clock))
    admitted: list[float] = []
    for _ in range(600):
        clock.now += 0.25
        wait_s = await _asked(limits, 30)
        if wait_s is None:
            admitted.append(clock.now)
        else:
            # Who waits for as long as was said gets through, and would not have a second earlier.
            free = admitted[-30] + 60
            assert free <= clock.now + wait_s <= free + 1
    assert all(sum(first <= at < first + 60 for at in admitted) <= 30 for first in admitted)
    assert len(admitted) == 90, "the window was full at once, and again after each minute"


async def test_keys_of_the_last_minute_alone_are_kept_in_memory() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    limits = Limits(windows)
    for number in range(1000):
        await limits.count_request(Limit("address", str(number), 5))
    assert len(windows._windows) == 1000
    clock.now += 61
    for number in range(1000):
        await limits.count_request(Limit("address", f"late {number}", 5))
    assert len(windows._windows) == 1000
    assert await limits.count_request(Limit("address", "late 0", 1)) is not None


async def test_a_busy_window_stays_when_others_come() -> None:
    clock = Clock()
    limits = Limits(MemoryWindows(clock))
    busy = Limit("key", "busy", 3)
    for passed_s in (0, 50, 0):
        clock.now += passed_s
        assert await limits.count_request(busy) is None
    clock.now += 11
    for number in range(5):
        assert await limits.count_request(Limit("key", str(number), 3)) is None
    assert [await limits.count_request(busy) is None for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("ages_s", "most", "left"),
    [
        ([], 3, 2),
        ([70.0], 3, 2),
        ([30.0, 70.0], 3, 1),
        ([1.0, 30.0, 59.0, 61.0, 62.0, 100.0], 5, 1),
        ([1.0, 2.0, 3.0, 61.0], 4, 0),
        ([1.0, *(61.0 + each for each in range(1000))], 1000, 998),
    ],
)
async def test_what_is_older_than_a_minute_leaves_the_window_in_redis(
    ages_s: list[float], most: int, left: int, shared_redis: RedisServer, account: str
) -> None:
    name = f"voxgate:account/{account}"
    with shared_redis.client() as client:
        now = time.time()
        if ages_s:
            client.rpush(name, *(now - age_s for age_s in ages_s))
        async with open_limits(shared_redis.url) as limits:
            window = await limits.admit(account, "k", _terms(most))
            assert window is not None
            assert (window.remaining, client.llen(name)) == (left, most - left)


@pytest.mark.clock
async def test_a_full_window_in_redis_says_when_it_has_room(shared_redis: RedisServer, account: str) -> None:
    with shared_redis.client() as client:
        now = time.time()
        client.rpush(f"voxgate:account/{account}", *(now - age_s for age_s in (10.0, 20.0, 50.0, 70.0)))
    async with open_limits(shared_redis.url) as limits:
        full = await limits.find_full(Limit("account", account, 3))
        assert full is not None
        assert 9 < full.wait_s <= 10
        refusal = await _refused(limits, account, "k", _terms(2))
        assert 39 < (refusal.retry_after_s or 0) <= 40
        assert 49 < float(refusal.headers["x-ratelimit-reset-requests"].rstrip("s")) <= 50


async def test_a_request_is_one_question_to_redis(shared_redis: RedisServer, account: str) -> None:
    async with open_limits(shared_redis.url) as limits:
        await limits.admit(account, account, _terms(5, key_rpm=5))
        with shared_redis.client() as client:
            before = _evalsha_calls(client)
            await limits.admit(account, account, _terms(5, key_rpm=5))
            assert _evalsha_calls(client) == before + 1
            windows: Any = client.keys(f"*{account}*")
            lives = [client.ttl(each) for each in windows]
            assert len(lives) == 2
            assert set(lives) <= {59, 60}, "a count is not forgotten before its minute is over"


def _evalsha_calls(client: redis.Redis) -> int:
    # The library has no type for an answer that may also be awaited.
    stats: Any = client.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


_PROCESS = """
import asyncio, sys
from policies.plans import Plan, build_terms
from proxy.errors import RateLimited
from proxy.access.limits import open_limits

async def main(url, account):
    admitted = 0
    async with open_limits(url) as limits:
        sys.stdin.readline()
        for _ in range(100):
            try:
                await limits.admit(account, "k", build_terms(Plan(name="p", rpm=60)))
                admitted += 1
            except RateLimited:
                pass
    print(admitted)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
def test_several_processes_share_one_count(shared_redis: RedisServer, account: str) -> None:
    command = [sys.executable, "-c", _PROCESS, shared_redis.url, account]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    admitted = [int(worker.communicate(timeout=30.0)[0]) for worker in workers]
    assert sum(admitted) == 60, admitted


@asynccontextmanager
async def _own_redis(*options: str) -> AsyncIterator[tuple[RedisServer, Limits]]:
    with redis_server(*options) as server:
        async with open_limits(server.url) as limits:
            yield server, limits


async def _expect_unavailable(limits: Limits) -> None:
    for call in (limits.admit("a", "k", _terms(1000)), limits.check()):
        with pytest.raises(LimitsUnavailable) as failure:
            await call
        assert (failure.value.status, failure.value.retry_after_s) == (503, 2.0)


async def test_a_redis_that_is_away_refuses_and_is_found_again() -> None:
    async with _own_redis() as (server, limits):
        await limits.admit("a", "k", _terms(1000))
        server.stop()
        await _expect_unavailable(limits)
        server.start()
        await limits.admit("a", "k", _terms(1000))
        await limits.check()


@pytest.mark.slow
async def test_a_frozen_redis_is_not_waited_for_by_anybody() -> None:
    async with _own_redis() as (server, limits):
        await limits.admit("a", "k", _terms(1000))
        with server.frozen():
            calls = [limits.admit("a", "k", _terms(1000)) for _ in range(100)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(answer) for answer in answers} == {LimitsUnavailable}
            await _expect_unavailable(limits)
        window = await limits.admit("a", "k", _terms(1000))
        assert window is not None


def _fill(server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("maxmemory", "1")


def _make_copy(server: RedisServer) -> None:
    with server.client() as client:
        client.replicaof("127.0.0.1", "1")


@pytest.mark.parametrize("harm", [_fill, _make_copy])
async def test_a_redis_that_takes_no_writes_lets_nothing_through(harm: Callable[[RedisServer], None]) -> None:
    async with _own_redis("--maxmemory-policy", "noeviction") as (server, limits):
        await limits.admit("a", "k", _terms(1000))
        harm(server)
        await _expect_unavailable(limits)
        with server.client() as client:
            client.config_set("maxmemory", "0")
            client.replicaof("NO", "ONE")
        await limits.admit("a", "k", _terms(1000))


async def test_a_wrong_password_is_unavailable_too() -> None:
    async with _own_redis() as (server, limits):
        with server.client() as client:
            client.config_set("requirepass", "hunter2")
        await _expect_unavailable(limits)


def test_headers_are_openais() -> None:
    assert rate_headers(Window(30, 7, 59.2)) == [
        (b"x-ratelimit-limit-requests", b"30"),
        (b"x-ratelimit-remaining-requests", b"7"),
        (b"x-ratelimit-reset-requests", b"59.2s"),
    ]


async def test_redis_counts_also_with_the_feature_cluster_off(
    shared_redis: RedisServer, tmp_path: Path
) -> None:
    few = f'[limits]\nurl = "{shared_redis.url}"\n[features]\noff = ["cluster"]\n[plans.few]\nrpm = 1\n'
    async with inside(tmp_path, f"{TONE}\n{few}", plan="few") as server:
        assert server.worker.parts.limits.providers is not None
        assert [(await server.speech()).status_code for _ in range(2)] == [200, 429]


async def test_a_server_without_what_counts_in_redis_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.access.limits._REDIS", "proxy.features.gone.provider_states")
    with pytest.raises(CannotServe, match="names a Redis"):
        async with open_limits("redis://127.0.0.1:1"):
            pass
