"""A job whose host has died waits for the next life if that comes in time, and else is free for others."""

import asyncio
from contextlib import nullcontext
from pathlib import Path

import pytest
from msgspec.structs import replace

from speech_engine import EngineUnavailable, Finished, Speak
from speech_engine.host.pipe_messages import HostState
from tests.proxy.hosts.host_rig import hosted, spoken, state
from tests.speech_engine.host.fakes import FakeEngine, host, job, short_folder
from tests.tables import each_row


@pytest.mark.clock
async def test_a_job_is_told_at_once_if_its_host_will_load_for_longer_than_it_can_wait() -> None:
    async with hosted() as engine:
        engine.update_host(replace(state("", "restarting"), loads_s=60.0))
        async with asyncio.timeout(2.0):
            with pytest.raises(EngineUnavailable) as told:
                await spoken(engine, job(deadline_s=20.0))
    assert told.value.retry_after_s == pytest.approx(40.0, abs=2.0)


@each_row(
    ("of_host", "is_expected"),
    [
        (replace(state("", "restarting"), loads_s=60.0), False),
        (replace(state("", "restarting"), loads_s=5.0), True),
        (state("", "starting"), True),
        (state("", "failed", reason="no memory"), False),
        (state("", "waiting", reason="waits for memory"), False),
        (state("", "unloaded"), False),
        (replace(state("", "unloaded"), loads_on_demand=True, loads_s=60.0), False),
        (replace(state("", "unloaded"), loads_on_demand=True, loads_s=5.0), True),
    ],
)
async def test_it_is_told_before_a_job_whether_there_is_hope_for_it(
    of_host: HostState, is_expected: bool
) -> None:
    asked: list[str] = []
    async with hosted() as engine:
        engine.on_wanted = asked.append
        engine.update_host(of_host)
        with nullcontext() if is_expected else pytest.raises(EngineUnavailable):
            engine.check_available(Speak(job(deadline_s=20.0)))
    # Who loads on demand is asked for.
    assert asked == (["fake"] if of_host.loads_on_demand else [])


async def test_a_job_waits_for_a_host_that_will_load_in_time() -> None:
    with short_folder() as folder:
        address = Path(folder) / "s"
        async with hosted() as engine, host(FakeEngine(), address):
            engine.update_host(replace(state("", "restarting"), loads_s=5.0))
            waiting = asyncio.create_task(spoken(engine, job(deadline_s=20.0)))
            await asyncio.sleep(0)
            engine.update_host(replace(state(""), state="starting", loads_s=5.0, loaded=0.5))
            assert engine.load_progress == 0.5
            engine.update_host(state(address))
            assert isinstance((await waiting)[-1], Finished)
            assert engine.load_progress is None


async def test_a_host_that_never_loaded_is_waited_for() -> None:
    with short_folder() as folder:
        address = Path(folder) / "s"
        async with hosted() as engine, host(FakeEngine(), address):
            engine.update_host(state("", "starting"))
            waiting = asyncio.create_task(spoken(engine, job(deadline_s=20.0)))
            await asyncio.sleep(0)
            engine.update_host(state(address))
            assert isinstance((await waiting)[-1], Finished)
