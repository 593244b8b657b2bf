"""Asking a provider what it has: what is learnt, what it says of a key, and what it cannot say."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from msgspec.structs import replace

from policies.breaker import MOST_FAULTS
from proxy.engines.providers import refreshing
from proxy.engines.providers.cloud_engine import CloudEngine
from speech_engine import (
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineUnauthorized,
    EngineUnavailable,
    ModelInfo,
)
from tests.proxy.engines.keys import WELL, RecordedMetrics, Turns, cloud_engine, count_audio, job
from tests.speech_engine.host.simulated_time import simulated
from tests.waiting import forever, soon


class Asked(Turns):
    """It can be asked: `finds` has what comes of it, one after the other, the last one again and again."""

    def __init__(self, *finds: Exception | str | None, speaks: object = None) -> None:
        super().__init__(WELL if speaks is None else [speaks])  # type: ignore[list-item] # a step of a script
        self.looks = 0
        self._finds = finds
        self._names: tuple[str, ...] = ()

    def models(self) -> tuple[ModelInfo, ...]:
        (model,) = super().models()
        return tuple(replace(model, id=name) for name in self._names)

    async def refresh(self) -> None:
        found = self._finds[min(self.looks, len(self._finds) - 1)]
        self.looks += 1
        if isinstance(found, Exception):
            raise found
        if found is None:
            await forever()
        else:
            self._names = (found,)

    async def is_over(self, looks: int) -> None:
        """So many looks are over, and what came of them is known."""
        await soon(lambda: self.looks > looks)


def opened(
    *engines: Asked, metrics: RecordedMetrics | None = None
) -> tuple[CloudEngine, AbstractAsyncContextManager[None]]:
    cloud = cloud_engine(*engines, metrics=metrics)
    return cloud, refreshing.keep_refreshed(cloud)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "REFRESH_S", 0.01)
    monkeypatch.setattr(refreshing, "PROBE_S", 0.01)


@simulated
async def test_a_refreshed_list_is_known_when_the_server_serves() -> None:
    cloud, block = opened(Asked("first"))
    assert cloud.models() == ()
    async with block:
        assert [model.id for model in cloud.models()] == ["first"]


@simulated
async def test_a_new_model_is_learnt(often: None) -> None:
    engine = Asked("old", "new")
    cloud, block = opened(engine)
    async with block:
        await engine.is_over(2)
        assert [model.id for model in cloud.models()] == ["new"]


@simulated
async def test_a_known_model_stays_known_where_nobody_answers(often: None) -> None:
    engine = Asked("old", EngineUnavailable("away"))
    cloud, block = opened(engine)
    async with block:
        await engine.is_over(3)
        assert [model.id for model in cloud.models()] == ["old"]


@pytest.mark.parametrize(
    "finds", [None, EngineUnavailable("away"), ZeroDivisionError("a fault of the plugin")]
)
@simulated
async def test_the_server_starts_without_an_answer(
    finds: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "GREETING_S", 0.05 if finds is None else 60.0)
    engine = Asked(finds)
    cloud, block = opened(engine)
    async with asyncio.timeout(5.0), block:
        assert (cloud.state, engine.looks) == ("ready", 1)


@simulated
async def test_a_provider_that_never_answers_is_asked_again(
    often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "ANSWER_S", 0.01)
    engine = Asked(None, "m")
    cloud, block = opened(engine)
    async with block:
        await engine.is_over(2)
        assert [model.id for model in cloud.models()] == ["m"]


@simulated
async def test_a_fault_of_the_plugin_ends_nothing(often: None) -> None:
    engine = Asked(ZeroDivisionError("x"), "m")
    cloud, block = opened(engine)
    async with block:
        await engine.is_over(2)
        assert [model.id for model in cloud.models()] == ["m"]


@simulated
async def test_failures_in_a_row_put_a_key_to_rest_and_the_first_answer_wakes_it(often: None) -> None:
    metrics = RecordedMetrics()
    engine = Asked(*[EngineFailed("down")] * (MOST_FAULTS + 1), "m")
    cloud, block = opened(engine, metrics=metrics)
    async with block:
        await engine.is_over(MOST_FAULTS)
        assert (cloud.state, cloud.reason) == ("resting", "down")
        await engine.is_over(MOST_FAULTS + 2)
        assert cloud.state == "ready"
    assert metrics.resting == [(1, True), (1, False)]


@simulated
async def test_an_engine_that_requests_found_broken_is_looked_at_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refreshing, "PROBE_S", 0.01)
    engine, metrics = Asked("m", speaks=EngineFailed("x")), RecordedMetrics()
    cloud, block = opened(engine, metrics=metrics)
    async with block:
        for number in range(MOST_FAULTS):
            with pytest.raises(EngineFailed):
                await count_audio(cloud, job(tenant=f"acc_{number % 2}"))
        assert cloud.state == "resting"
        await asyncio.wait_for(metrics.woke.wait(), 5.0)
        assert (cloud.state, engine.looks) == ("ready", 2)


@simulated
async def test_a_good_answer_knows_nothing_of_credit(often: None) -> None:
    metrics = RecordedMetrics()
    engine = Asked("m", speaks=EngineExhausted("no credit"))
    cloud, block = opened(engine, metrics=metrics)
    async with block:
        with pytest.raises(EngineExhausted):
            await count_audio(cloud)
        await engine.is_over(engine.looks + 3)
        assert cloud.state == "resting"
    assert metrics.alarms == ["cloud EngineExhausted"]


@pytest.mark.parametrize("error", [EngineUnauthorized("wrong key"), EngineExhausted("plan is over")])
@simulated
async def test_a_key_that_is_refused_at_the_start_rests_and_alarms_once(
    error: EngineError, often: None
) -> None:
    metrics = RecordedMetrics()
    engine = Asked(error)
    cloud, block = opened(engine, metrics=metrics)
    async with block:
        assert (cloud.state, cloud.reason) == ("resting", error.message)
        await engine.is_over(5)
    assert metrics.alarms == [f"cloud {type(error).__name__}"]


@simulated
async def test_each_key_is_asked_for_itself() -> None:
    cloud, block = opened(Asked(EngineUnauthorized("wrong key")), Asked("m"))
    async with block:
        assert cloud.reason == "key 1: wrong key"
        assert [model.id for model in cloud.models()] == ["m"]
        assert await count_audio(cloud) > 0


@simulated
async def test_nothing_is_asked_once_the_server_has_stopped(often: None) -> None:
    engine = Asked("m")
    _, block = opened(engine)
    async with block:
        await engine.is_over(1)
    looks = engine.looks
    await asyncio.sleep(0.05)
    assert engine.looks == looks
