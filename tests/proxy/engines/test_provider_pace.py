"""An engine's pace: so many a minute, pauses that its provider asks for, and nobody who waits in vain."""

import asyncio

import pytest

from proxy.engines.providers.provider_key import ProviderPace
from speech_engine import EngineLimited
from tests.proxy.engines.keys import WELL, Turns, cloud_engine, count_audio, job
from tests.speech_engine.host.simulated_time import simulated


async def taken(pace: ProviderPace, within_s: float = 0.0) -> bool:
    try:
        await pace.wait_for_key(within_s)
    except EngineLimited:
        return False
    return True


@simulated
async def test_requests_within_the_pace_go_at_once_and_the_next_is_told_when() -> None:
    pace = ProviderPace(3)
    assert [await taken(pace) for _ in range(4)] == [True, True, True, False]
    with pytest.raises(EngineLimited) as raised:
        await pace.wait_for_key(5.0)
    assert raised.value.retry_after_s == 60.0


@simulated
async def test_those_that_wait_go_when_the_window_lets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.provider_waits.WINDOW_S", 0.2)
    pace, loop, moments = ProviderPace(2), asyncio.get_running_loop(), []

    async def go() -> None:
        await pace.wait_for_key(60.0)
        moments.append(loop.time())

    await asyncio.gather(*(go() for _ in range(6)))
    assert len(moments) == 6
    began = moments[0]
    assert [each - began for each in moments] == pytest.approx([0.0, 0.0, 0.2, 0.2, 0.4, 0.4])


@simulated
async def test_a_job_that_leaves_while_waiting_takes_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.provider_waits.WINDOW_S", 0.2)
    pace = ProviderPace(1)
    await pace.wait_for_key(0.0)
    waiting = asyncio.create_task(pace.wait_for_key(60.0))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await pace.wait_for_key(60.0)  # its turn is the next one's
    assert not await taken(pace)


async def test_without_a_limit_nothing_is_waited_for_or_remembered() -> None:
    pace = ProviderPace(None)
    for _ in range(1000):
        await pace.wait_for_key(0.0)
    assert not pace._request_times


@pytest.mark.parametrize(("told_s", "pause_s"), [(30.0, 30.0), (None, 1.0), (0.0, 1.0), (86_400.0, 60.0)])
@pytest.mark.parametrize("most", [None, 100])
@simulated
async def test_a_provider_that_says_so_is_left_alone(
    told_s: float | None, pause_s: float, most: int | None
) -> None:
    pace = ProviderPace(most)
    engine = cloud_engine(Turns([EngineLimited("x", retry_after_s=told_s)]), pace=pace)
    with pytest.raises(EngineLimited):
        await count_audio(engine, job(deadline_s=0.5))
    with pytest.raises(EngineLimited) as raised:
        await pace.wait_for_key(0.5)
    # A second try may come in between.
    assert pause_s - 0.5 <= (raised.value.retry_after_s or 0.0) <= pause_s


@simulated
async def test_a_pause_is_never_made_shorter_by_another() -> None:
    pace = ProviderPace(None)
    pace.pause(30.0)
    pace.pause(2.0)
    with pytest.raises(EngineLimited) as raised:
        await pace.wait_for_key(1.0)
    assert raised.value.retry_after_s == 30.0


@simulated
async def test_a_job_that_would_be_late_never_reaches_the_provider() -> None:
    cloud = Turns(WELL)
    engine = cloud_engine(cloud, rpm=1)
    assert await count_audio(engine)
    with pytest.raises(EngineLimited):
        await count_audio(engine, job(deadline_s=1.0))
    assert len(cloud.jobs) == 1
    assert (await engine.health()).running == 0
