"""The breaker of one account: a provider that fails for it alone rests for it alone."""

import asyncio

import msgspec
import pytest

from policies.breaker import CLOSED, MOST_FAULTS
from proxy.engines.providers.cloud_engine import CloudEngine
from speech_engine import EngineError, EngineFailed, EngineUnavailable
from tests.proxy.api.scripted import RATE_HZ
from tests.proxy.engines.keys import SILENT, WELL, Turns, cloud_engine, count_audio, job

FAULTY = (EngineFailed("it broke"),)
WHOLE = RATE_HZ // 10 * 2


async def fail_alone(engine: CloudEngine, times: int) -> None:
    for _ in range(times):
        with pytest.raises(EngineFailed):
            await count_audio(engine, job(tenant="acc_alone"))


def own_later(engine: CloudEngine, seconds: float) -> None:
    """As if so much time had gone by since the account's own breaker opened."""
    own = engine.keys[0]._own_breakers["acc_alone"]
    engine.keys[0]._own_breakers["acc_alone"] = msgspec.structs.replace(own, since=own.since - seconds)


async def test_it_rests_for_the_one_account_that_saw_faults_and_for_it_alone() -> None:
    broken_for_one = Turns(FAULTY)
    engine = cloud_engine(broken_for_one)
    waits = []
    for _ in range(16):
        with pytest.raises(EngineError) as raised:
            await count_audio(engine, job(tenant="acc_alone"))
        waits.append(raised.value.retry_after_s)
    assert len(broken_for_one.jobs) == MOST_FAULTS
    assert isinstance(raised.value, EngineUnavailable)
    assert raised.value.message == "cloud is resting: it has failed for this account again and again"
    assert 1.0 <= (waits[-1] or 0.0) <= 5.0
    assert engine.state == "ready"
    key = engine.keys[0]
    assert (key.may_try("acc_alone"), key.may_try("acc_other")) == (False, True)


async def test_an_accounts_own_rest_grows_and_ends_as_any() -> None:
    gate = asyncio.Event()
    cloud = Turns(*[FAULTY] * (MOST_FAULTS + 1), [gate.wait, *WELL])
    engine = cloud_engine(cloud)
    key = engine.keys[0]
    await fail_alone(engine, MOST_FAULTS)
    for rest_s in (5.0, 10.0):
        assert rest_s - 1.0 < key.opens_in_s("acc_alone") <= rest_s
        own_later(engine, rest_s)
        assert key.may_try("acc_alone")
        if rest_s == 5.0:
            await fail_alone(engine, 1)
    # One try at a time, and it ends the rest.
    cloud.asked.clear()
    probe = asyncio.create_task(count_audio(engine, job(tenant="acc_alone")))
    await cloud.asked.wait()
    assert not key.may_try("acc_alone")
    gate.set()
    assert await probe == WHOLE
    assert key.may_try("acc_alone")
    assert not key._own_breakers


async def test_a_probe_of_an_account_that_leaves_gives_way_to_the_next() -> None:
    cloud = Turns(*[FAULTY] * MOST_FAULTS, SILENT)
    engine = cloud_engine(cloud)
    await fail_alone(engine, MOST_FAULTS)
    key = engine.keys[0]
    own_later(engine, 1000.0)
    cloud.asked.clear()
    probe = asyncio.create_task(count_audio(engine, job(tenant="acc_alone")))
    await cloud.asked.wait()
    assert not key.may_try("acc_alone")
    probe.cancel()
    await asyncio.wait([probe])
    assert key.may_try("acc_alone")


async def test_a_key_remembers_a_bounded_number_of_accounts() -> None:
    engine = cloud_engine(Turns(FAULTY))
    key = engine.keys[0]
    for number in range(1010):
        # A neighbour is heard in between: the faults are no one else's.
        key.breaker = CLOSED
        with pytest.raises(EngineError):
            await count_audio(engine, job(tenant=f"acc_{number}"))
    assert len(key._own_breakers) == 1000
