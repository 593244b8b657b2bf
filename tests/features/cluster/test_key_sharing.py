"""Several gateways that share the keys of a provider in a real Redis. Each has engines and a connection."""

import asyncio
import secrets
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from policies.breaker import CLOSED, MOST_FAULTS
from proxy.access.limits import open_limits
from proxy.config.sections import VaultSection
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.providers.provider_key import ProviderKey
from proxy.features.cluster import key_sharing as sharing
from proxy.features.cluster import provider_states
from proxy.features.cluster.key_sharing import KeySharing
from proxy.features.cluster.provider_states import ProviderStates
from proxy.file_store.master_keys import MasterKeySource
from speech_engine import EngineError, EngineExhausted, EngineFailed, EngineLimited, EngineUnavailable
from tests.proxy.api.inside import inside
from tests.proxy.engines.keys import WELL, RecordedMetrics, Turns, cloud_engine, count_audio, job, later
from tests.redis_server import RedisServer, redis_server
from tests.waiting import soon

pytestmark = pytest.mark.slow

FAULTY = (EngineFailed("it broke"),)
LOOK_S = sharing.LOOK_S
SHARED_S = 2.0
"""What one gateway learns is known to the others within this time."""


class Gateway(NamedTuple):
    provider: Turns
    cloud: CloudEngine
    metrics: RecordedMetrics
    states: ProviderStates

    @property
    def key(self) -> ProviderKey:
        return self.cloud.keys[0]

    async def speak(self, account: str = "acc_1", deadline_s: float = 5.0) -> EngineError | None:
        try:
            assert await count_audio(self.cloud, job(deadline_s, account))
        except EngineError as error:
            return error
        return None


@asynccontextmanager
async def gateway(
    url: str, provider: Turns, rpm: int | None = None, engine: str = "cloud"
) -> AsyncIterator[Gateway]:
    metrics = RecordedMetrics()
    cloud = cloud_engine(provider, metrics=metrics, rpm=rpm)
    async with open_limits(url) as limits:
        assert isinstance(limits.providers, ProviderStates)
        shared = KeySharing(limits.providers)
        shared.share_key(cloud.keys[0], engine, "")
        async with shared.exchanging():
            yield Gateway(provider, cloud, metrics, limits.providers)


@asynccontextmanager
async def gateways(
    url: str, *providers: Turns, rpm: int | None = None, engine: str = ""
) -> AsyncIterator[Sequence[Gateway]]:
    """Open a gateway for each provider. Without a name, their engine is one that no other test has."""
    engine = engine or secrets.token_hex(4)
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(gateway(url, each, rpm, engine)) for each in providers]
        for each in opened:
            each.key.pace.divide(len(opened))
            # Each asks every second from now on.
            await seen(each)
        yield opened


async def seen(each: Gateway) -> None:
    await soon(lambda: each.states._last_records)


async def rests(each: Gateway) -> None:
    await soon(lambda: each.cloud.state == "resting")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LOOK_S", 0.05)
    monkeypatch.setattr(provider_states, "CLAIM_MS", 400)


async def passed(each: Gateway, times: int) -> int:
    results = await asyncio.gather(*(each.speak(f"acc_{number}", 0.5) for number in range(times)))
    assert {type(result) for result in results} <= {type(None), EngineLimited}
    return results.count(None)


async def test_three_gateways_together_keep_the_limit_of_a_minute(shared_redis: RedisServer) -> None:
    providers = [Turns(WELL, slots=30) for _ in range(3)]
    async with gateways(shared_redis.url, *providers, rpm=7) as opened:
        assert sum(await asyncio.gather(*(passed(each, 10) for each in opened))) == 7
        refusal = await opened[0].speak(deadline_s=1.0)
        assert isinstance(refusal, EngineLimited)
        assert 50 < (refusal.retry_after_s or 0.0) <= 60
    assert sum(len(provider.jobs) for provider in providers) == 7
    async with gateways(shared_redis.url, Turns(WELL, slots=30), Turns(WELL), rpm=6) as (busy, idle):
        # One alone may send all of it.
        assert [await passed(busy, 10), await passed(idle, 3)] == [6, 0]


@pytest.mark.clock
async def test_a_breaker_opens_and_closes_in_all_gateways_within_two_seconds(
    shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "LOOK_S", LOOK_S)
    broken = Turns(*[FAULTY] * MOST_FAULTS, WELL)
    async with gateways(shared_redis.url, broken, Turns(WELL), Turns(WELL)) as opened:
        first, second, third = opened
        for number in range(MOST_FAULTS):
            assert isinstance(await first.speak(f"acc_{number % 2}"), EngineFailed)
        assert first.cloud.state == "resting"
        async with asyncio.timeout(SHARED_S):
            await rests(second)
            await rests(third)
        for each in (second, third):
            assert each.cloud.reason == "it broke"
            assert each.key.breaker.open_s == first.key.breaker.open_s
            assert abs(each.key.breaker.since - first.key.breaker.since) < 0.1
            assert isinstance(await each.speak(), EngineUnavailable)
        later(first.cloud)
        assert await first.speak() is None
        async with asyncio.timeout(SHARED_S):
            await soon(lambda: all(each.cloud.state == "ready" for each in opened))
        assert await second.speak() is None


async def test_a_refused_key_rests_everywhere_and_alarms_once(shared_redis: RedisServer) -> None:
    refused = Turns([EngineExhausted("no credit")])
    async with gateways(shared_redis.url, refused, Turns(WELL)) as (first, second):
        assert isinstance(await first.speak(), EngineExhausted)
        await soon(lambda: second.key.breaker.is_refused)
        assert second.key.opens_in_s("acc_1") > 290
        assert (first.metrics.alarms, second.metrics.alarms) == (["cloud EngineExhausted"], [])


async def test_a_gateway_that_cannot_reach_the_provider_rests_alone(shared_redis: RedisServer) -> None:
    cut_off = Turns(*[FAULTY] * MOST_FAULTS)
    async with gateways(shared_redis.url, cut_off, Turns(WELL)) as (first, second):
        for number in range(MOST_FAULTS):
            await first.speak(f"acc_{number % 2}")
        assert first.cloud.state == "resting"
        before = dict(second.states._last_records)
        assert await second.speak() is None
        second.key.spoke_at += 0.5
        await soon(lambda: second.states._last_records != before)
        assert second.cloud.state == "ready"


async def test_accounts_open_no_breaker_while_another_gateway_is_answered(shared_redis: RedisServer) -> None:
    async with gateways(shared_redis.url, Turns(FAULTY), Turns(WELL)) as (first, second):
        assert await second.speak() is None
        await soon(lambda: first.key._shared_spoke_at > 0)
        for number in range(2 * MOST_FAULTS):
            await first.speak(f"acc_{number % 2}")
        assert first.key.breaker.is_closed


async def open_everywhere(opened: Sequence[Gateway]) -> None:
    """Open the breaker in the first gateway, and let its time pass in all."""
    for number in range(MOST_FAULTS):
        await opened[0].speak(f"acc_{number % 2}")
    for each in opened:
        await rests(each)
        later(each.cloud)


def gated(gate: asyncio.Event, faults: int = 0) -> Turns:
    return Turns(*[FAULTY] * faults, [gate.wait, *WELL])


async def test_an_account_has_one_probe_in_all_gateways(shared_redis: RedisServer) -> None:
    gate = asyncio.Event()
    providers = gated(gate, MOST_FAULTS), gated(gate), gated(gate)
    async with gateways(shared_redis.url, *providers) as opened:
        await open_everywhere(opened)
        before = sum(len(each.jobs) for each in providers)
        # Two at once in each gateway. A refused one is not tried again within its time.
        asked = [asyncio.create_task(each.speak("acc_9", 0.9)) for each in opened for _ in range(2)]
        done, probes = await asyncio.wait(asked, timeout=0.5)
        assert (len(done), len(probes)) == (5, 1)
        assert {type(each.result()) for each in done} == {EngineUnavailable}
        other = asyncio.create_task(opened[1].speak("acc_8"))
        await soon(lambda: sum(len(each.jobs) for each in providers) == before + 2)
        gate.set()
        assert [await each for each in (*probes, other)] == [None, None]
        await soon(lambda: all(each.key.breaker.is_closed for each in opened))


async def test_a_probe_that_ends_makes_way_at_once(shared_redis: RedisServer) -> None:
    gate = asyncio.Event()
    async with gateways(shared_redis.url, gated(gate, MOST_FAULTS), Turns(WELL)) as opened:
        await open_everywhere(opened)
        first, second = opened
        first.provider.asked.clear()
        probe = asyncio.create_task(first.speak())
        await first.provider.asked.wait()
        assert isinstance(await second.speak(), EngineUnavailable)
        probe.cancel()
        await asyncio.wait([probe])
        assert first.key.may_try("acc_1")
        await soon(lambda: not first.states._claims_ms)
        assert await second.speak() is None


async def _is_heard(each: Gateway) -> bool:
    return await each.speak() is None


async def test_the_probe_of_a_killed_worker_ends_and_a_living_one_stays(shared_redis: RedisServer) -> None:
    gate, engine = asyncio.Event(), secrets.token_hex(4)
    async with gateway(shared_redis.url, Turns(WELL), engine=engine) as second:
        async with gateway(shared_redis.url, gated(gate, MOST_FAULTS), engine=engine) as first:
            await open_everywhere([first, second])
            first.provider.asked.clear()
            probe = asyncio.create_task(first.speak())
            await first.provider.asked.wait()
            await asyncio.sleep(2 * provider_states.CLAIM_MS / 1000)
            assert isinstance(await second.speak(), EngineUnavailable)
        # Nothing renews its claim any more, and nothing ends it.
        await soon(lambda: _is_heard(second))
        probe.cancel()
        await asyncio.wait([probe])


async def test_the_probe_of_an_accounts_own_breaker_is_the_only_one(shared_redis: RedisServer) -> None:
    gate = asyncio.Event()
    async with gateways(shared_redis.url, gated(gate, MOST_FAULTS), gated(gate, MOST_FAULTS)) as opened:
        for each in opened:
            for _ in range(MOST_FAULTS):
                assert isinstance(await each.speak(), EngineFailed)
            own = each.key._own_breakers["acc_1"]
            each.key._own_breakers["acc_1"] = type(own)(own.faults, own.open_s, own.since - 1000)
        asked = [asyncio.create_task(each.speak()) for each in opened]
        done, probes = await asyncio.wait(asked, timeout=1.0)
        assert [type(each.result()) for each in done] == [EngineUnavailable]
        gate.set()
        assert await next(iter(probes)) is None


async def test_a_pause_that_a_provider_asks_for_is_kept_by_all(shared_redis: RedisServer) -> None:
    limited = Turns([EngineLimited("slower", retry_after_s=30.0)])
    async with gateways(shared_redis.url, limited, Turns(WELL)) as (first, second):
        assert isinstance(await first.speak(), EngineLimited)
        await soon(lambda: second.key.pace.paused_until)
        pause = await second.speak()
        assert isinstance(pause, EngineLimited)
        assert 25 < (pause.retry_after_s or 0.0) <= 30
        assert second.provider.jobs == []


@contextmanager
def stopped(server: RedisServer) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@pytest.mark.parametrize("harm", ["frozen", "killed"])
async def test_while_redis_is_away_each_gateway_goes_on_with_its_part(harm: str) -> None:
    with redis_server() as server:
        providers = gated(asyncio.Event(), MOST_FAULTS), *(Turns(WELL, slots=30) for _ in range(2))
        async with gateways(server.url, *providers, rpm=3 * MOST_FAULTS, engine="cloud") as opened:
            first, second, third = opened
            with server.frozen() if harm == "frozen" else stopped(server):
                parts = [await passed(each, 10) for each in (second, third)]
                assert parts == [MOST_FAULTS, MOST_FAULTS]
                for number in range(MOST_FAULTS):
                    assert isinstance(await first.speak(f"acc_{number % 2}"), EngineFailed)
                assert [each.cloud.state for each in opened] == ["resting", "ready", "ready"]
            await soon(lambda: not any(each.states.is_away for each in opened))
            # What was learnt meanwhile is told, unless the provider has spoken elsewhere since then.
            for each in (second, third):
                each.key.spoke_at = -1000.0
            await soon(lambda: first.key.news is None)
            async with gateway(server.url, Turns(WELL), engine="cloud") as fourth:
                await rests(fourth)
            assert first.cloud.state == "resting"


async def test_of_two_news_the_later_stays_whichever_came_first() -> None:
    with redis_server() as server:
        refused = Turns([EngineExhausted("no")])
        async with gateways(server.url, refused, Turns([EngineExhausted("no")], WELL)) as (first, second):
            server.stop()
            await soon(lambda: first.states.is_away and second.states.is_away)
            await second.speak()
            await first.speak()
            later(second.cloud)
            assert await second.speak() is None
            # The first one opened before the provider spoke to the second.
            assert first.key.news is not None
            first.key.news = first.key.news[0], first.key.news[1] - 1.0
            server.start()
            await soon(lambda: first.key.breaker == CLOSED)
            assert second.key.breaker == CLOSED


async def test_all_that_is_kept_in_redis_ends() -> None:
    gate = asyncio.Event()
    with redis_server() as server:
        providers = gated(gate, MOST_FAULTS), Turns(WELL)
        async with gateways(server.url, *providers, rpm=100) as opened:
            await open_everywhere(opened)
            opened[0].key.spoke_at = asyncio.get_running_loop().time()
            probe = asyncio.create_task(opened[0].speak())
            await soon(lambda: opened[0].states._claims_ms)
            opened[1].key.pace.pause(1.0)
            await soon(lambda: opened[0].key.pace.paused_until)
            with server.client() as client:
                keys: Any = client.keys("voxgate:provider/*")
                lives: dict[str, Any] = {key.split("/", 2)[-1]: client.pttl(key) for key in keys}
            assert lives.keys() >= {"breaker", "pause", "quiet", "probe/acc_1"}
            assert all(0 < life <= 360_000 for life in lives.values()), lives
            gate.set()
            await probe


def _name(secret: bytes, folder: Path, key: str) -> str:
    section = VaultSection(master_key=b64encode(secret).decode())
    states: Any = object()
    cloud = cloud_engine(Turns(WELL))
    KeySharing(states, MasterKeySource(section, folder)).share_key(cloud.keys[0], "cloud", key)
    return cloud.keys[0].pace.name


def test_a_name_is_equal_under_one_master_key_and_does_not_reveal_the_providers(tmp_path: Path) -> None:
    ours, theirs = b"1" * 32, b"2" * 32
    name = _name(ours, tmp_path / "a", "sk-secret")
    assert name == _name(ours, tmp_path / "b", "sk-secret")
    assert name not in {_name(theirs, tmp_path, "sk-secret"), _name(ours, tmp_path, "sk-rotated")}
    assert len(bytes.fromhex(name)) == 32


async def test_keys_are_named_as_elsewhere_as_soon_as_a_first_start_has_made_the_master_key(
    tmp_path: Path, shared_redis: RedisServer
) -> None:
    """Before, and with a file that cannot be read, a worker has its part of the limit."""
    masters, cloud = MasterKeySource(VaultSection(), tmp_path), cloud_engine(Turns(WELL), rpm=4)
    pace = cloud.keys[0].pace
    async with open_limits(shared_redis.url) as limits:
        assert limits.providers is not None
        shared = KeySharing(limits.providers, masters)
        shared.share_key(cloud.keys[0], "cloud", "sk-secret")
        async with shared.exchanging():
            assert pace.states is None
            (tmp_path / "master-key").write_text("spoilt")
            await asyncio.sleep(2 * sharing.LOOK_S)
            assert pace.states is None
            (tmp_path / "master-key").write_bytes(b64encode(b"1" * 32))
            await soon(lambda: pace.states)
    assert pace.name == _name(b"1" * 32, tmp_path, "sk-secret")


async def test_records_of_another_version_and_of_a_clock_that_was_ahead_stop_no_sharing() -> None:
    odd = [b'1 other ["new"]', b'%d other [{"faults":9,"open_s":5},"it broke"]' % (time.time() + 3600)]
    with redis_server() as server:
        for record in odd:
            async with gateways(server.url, gated(asyncio.Event(), MOST_FAULTS), Turns(WELL)) as opened:
                first, second = opened
                with server.client() as client:
                    client.set(first.states._key(f"{first.key.pace.name}/breaker"), record)
                await asyncio.sleep(3 * sharing.LOOK_S)
                assert (first.key.breaker, second.key.breaker) == (CLOSED, CLOSED)
                await open_everywhere(opened)


CONFIG = """
[limits]
url = "{url}"
[server]
default_model = "cloud"
[engines.cloud]
rpm = 4
concurrency = 16
[models]
cloud = ["cloud/m"]
[voices.alloy]
cloud = "v"
"""


async def test_two_whole_gateways_share_what_their_engine_may_do(
    tmp_path: Path, shared_redis: RedisServer
) -> None:
    provider = Turns(WELL, slots=64)
    body = {"model": "cloud", "voice": "alloy", "response_format": "pcm"}
    (tmp_path / "key").write_bytes(b64encode(b"1" * 32))
    async with AsyncExitStack() as stack:
        servers = []
        for name in "ab":
            (tmp_path / name).mkdir()
            vault = f"[vault]\nmaster_key = 'file:{tmp_path}/key'\n"
            text = f"{CONFIG.format(url=shared_redis.url)}{vault}[storage]\n"
            servers.append(
                await stack.enter_async_context(inside(tmp_path / name, text, {"cloud": provider}))
            )
        asked = [
            server.ask("POST", "/v1/audio/speech", body={**body, "input": f"Text {number}."})
            for server in servers
            for number in range(5)
        ]
        statuses = sorted(answer.status_code for answer in await asyncio.gather(*asked))
        engines = servers[0].worker.engines
        slots = [engines["cloud"].slots]
        for workers in (3, 100, 1):
            engines.divide_limits(workers)
            slots.append(engines["cloud"].slots)
    assert (statuses.count(200), len(provider.jobs)) == (4, 4)
    assert slots == [16, 5, 1, 16]
