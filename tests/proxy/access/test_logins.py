"""Failed authentication is slowed, by address and by the beginning of the key; who is known passes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from proxy.access.callers import CACHED_S, Caller, Callers
from proxy.access.limits import Limits, open_limits
from proxy.access.logins import MOST_BY_ADDRESS, MOST_BY_PREFIX, Logins
from proxy.errors import InvalidKey, LimitsUnavailable, RateLimited, RequestFailed
from proxy.features.cluster import limits_redis
from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.store import Store
from tests.proxy.storage.watched import WatchedStore
from tests.redis_server import redis_server
from tests.speech_engine.host.simulated_time import simulated

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"])

HOME, AWAY = "198.51.100.7", "203.0.113.9"


@pytest.fixture
async def limits() -> AsyncIterator[Limits]:
    async with open_limits("memory") as opened:
        yield opened


async def _key(store: Store, name: str = "ada") -> str:
    account = await accounts.create(store, name=name, plan="free")
    secret = api_key.mint()
    await key_records.create(store, secret, NewKeyRecord(account=account.id))
    return secret.reveal()


async def _fail(logins: Logins, address: str, times: int, secret: str = "") -> None:
    for _ in range(times):
        with pytest.raises(InvalidKey):
            await logins.identify(secret or api_key.mint().reveal(), address)


async def _refusal(logins: Logins, address: str, secret: str = "") -> RateLimited:
    with pytest.raises(RateLimited) as refused:
        await logins.identify(secret or api_key.mint().reveal(), address)
    assert (refused.value.status, refused.value.code) == (429, "rate_limit_exceeded")
    assert 1 <= (refused.value.retry_after_s or 0) <= 60
    return refused.value


async def test_an_address_may_fail_twenty_times_a_minute(store: Store, limits: Limits) -> None:
    logins = Logins(Callers(store), limits)
    await _fail(logins, HOME, MOST_BY_ADDRESS)
    assert "from your address: more than 20 within a minute" in (await _refusal(logins, HOME)).message
    await _fail(logins, AWAY, 1)


async def test_a_text_that_cannot_be_a_key_counts_for_the_address(store: Store, limits: Limits) -> None:
    logins = Logins(Callers(store), limits)
    await _fail(logins, HOME, MOST_BY_ADDRESS, "sk-proj-of-another-service")
    await _refusal(logins, HOME)
    # Many send that: it is not counted for its beginning.
    await _fail(logins, AWAY, 1, "sk-proj-of-another-service")


async def _statuses(logins: Logins, address: str, *secrets: str) -> Counter[int]:
    """Count the statuses of requests that come at the same moment."""
    identifications = (logins.identify(secret, address) for secret in secrets)
    answers = await asyncio.gather(*identifications, return_exceptions=True)
    assert all(isinstance(answer, Caller | InvalidKey | RateLimited) for answer in answers)
    return Counter(answer.status if isinstance(answer, RequestFailed) else 200 for answer in answers)


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_the_first_of_many_wrong_keys_at_once_are_told_so(
    store: Store, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Redis has one process for twenty connections at once, on a machine that has other work.
    monkeypatch.setattr(limits_redis, "_SOCKET_S", 60.0)
    monkeypatch.setattr(limits_redis, "_ANSWER_S", 60.0)
    with ExitStack() as stack:
        url = "memory" if kind == "memory" else stack.enter_context(redis_server()).url
        async with open_limits(url) as limits:
            logins, known = Logins(Callers(store), limits), await _key(store)
            await logins.identify(known, HOME)
            wrong = [api_key.mint().reveal() for _ in range(200)]
            statuses = await _statuses(logins, HOME, *wrong, known)
            assert statuses == {401: MOST_BY_ADDRESS, 429: 200 - MOST_BY_ADDRESS, 200: 1}
            same = [api_key.mint().reveal()] * 50
            statuses = await _statuses(logins, AWAY, *same)
            assert statuses == {401: MOST_BY_PREFIX, 429: 50 - MOST_BY_PREFIX}


async def test_many_good_keys_at_once_are_all_let_in(store: Store, limits: Limits) -> None:
    logins = Logins(Callers(store), limits)
    good = [await _key(store, f"account-{number}") for number in range(3 * MOST_BY_ADDRESS)]
    assert await _statuses(logins, HOME, *good) == {200: len(good)}


@simulated
async def test_unknown_keys_are_looked_up_together(store: Store, limits: Limits) -> None:
    watched = WatchedStore(store, 0)
    logins = Logins(Callers(watched), limits)
    watched.may_answer.clear()
    async with asyncio.TaskGroup() as tasks:
        wrong = (api_key.mint().reveal() for _ in range(200))
        statuses = tasks.create_task(_statuses(logins, HOME, *wrong))
        await watched.was_asked.wait()
        watched.may_answer.set()
    assert statuses.result() == {401: MOST_BY_ADDRESS, 429: 200 - MOST_BY_ADDRESS}
    assert watched.reads == 1


async def test_guesses_at_one_key_from_many_addresses_are_slowed(store: Store, limits: Limits) -> None:
    logins, wrong = Logins(Callers(store), limits), api_key.mint().reveal()
    for number in range(MOST_BY_PREFIX):
        await _fail(logins, f"192.0.2.{number}", 1, wrong)
    refusal = await _refusal(logins, AWAY, wrong)
    assert "that begin like this one: more than 10 within a minute" in refusal.message
    assert wrong not in refusal.message
    await _fail(logins, AWAY, 1)


async def test_a_known_key_passes_where_others_are_refused(store: Store, limits: Limits) -> None:
    logins, known, new = Logins(Callers(store), limits), await _key(store), await _key(store, "grace")
    caller = await logins.identify(known, HOME)
    await _fail(logins, HOME, MOST_BY_ADDRESS)
    assert await logins.identify(known, HOME) == caller
    await _refusal(logins, HOME, new)
    assert (await logins.identify(new, AWAY)).account != caller.account
    # From now on it is known, wherever it comes from.
    await logins.identify(new, HOME)


async def test_a_key_revoked_elsewhere_is_not_known_any_more_once_looked_at(
    store: Store, limits: Limits
) -> None:
    now = 0.0
    logins, secret = Logins(Callers(store, lambda: now), limits), await _key(store)
    caller = await logins.identify(secret, HOME)
    await key_records.revoke(store, caller.key)
    now = 2 * CACHED_S
    await _fail(logins, HOME, 1, secret)
    await _fail(logins, HOME, MOST_BY_ADDRESS - 1)
    await _refusal(logins, HOME, secret)


async def test_good_keys_are_not_counted(store: Store, limits: Limits) -> None:
    logins, secret = Logins(Callers(store), limits), await _key(store)
    for _ in range(3 * MOST_BY_ADDRESS):
        await logins.identify(secret, HOME)
    await _fail(logins, HOME, MOST_BY_ADDRESS)


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("unknown", "unknown", True),
        ("unknown", "hidden", False),
        ("", "198.51.100.7", False),
        ("x" * 5000, "x" * 4000, True),
    ],
)
async def test_an_address_is_a_network_of_ipv6_and_one_of_ipv4(
    store: Store, limits: Limits, one: str, other: str, are_one: bool
) -> None:
    logins = Logins(Callers(store), limits)
    await _fail(logins, one, MOST_BY_ADDRESS)
    if are_one:
        await _refusal(logins, other)
    else:
        await _fail(logins, other, 1)


async def test_without_redis_known_keys_pass_and_others_are_told_to_come_again(store: Store) -> None:
    with redis_server() as server:
        async with open_limits(server.url) as limits:
            logins, known, new = Logins(Callers(store), limits), await _key(store), await _key(store, "b")
            caller = await logins.identify(known, HOME)
            server.stop()
            assert await logins.identify(known, HOME) == caller
            for secret in (new, api_key.mint().reveal(), "sk-nothing"):
                with pytest.raises(LimitsUnavailable):
                    await logins.identify(secret, HOME)
            server.start()
            assert (await logins.identify(new, HOME)).account != caller.account
