"""When an engine counts as asked: not in our own lines, and not for what its provider did not do."""

import asyncio
from pathlib import Path

import pytest

from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.hosts.hosted import HostedEngine
from speech_engine import EngineStumbled, Speak, Started
from tests.proxy.engines.keys import SILENT, WELL, Turns, cloud_engine, job
from tests.proxy.hosts.host_rig import hosted
from tests.speech_engine.host.fakes import FakeEngine, host, read, speak_for_ever
from tests.speech_engine.host.fakes import job as hosted_job
from tests.waiting import soon


class DispatchLog:
    """What the engine said of one job: `said` has each call, `has_call` is set by the first."""

    def __init__(self) -> None:
        self.said: list[bool] = []
        self.has_call = asyncio.Event()

    def __call__(self, is_dispatched: bool) -> None:
        self.said.append(is_dispatched)
        self.has_call.set()


async def shows(engine: CloudEngine | HostedEngine, *, running: int, waiting: int) -> None:
    """Returns when so many are at work, and so many in line."""
    await soon(lambda: engine.health(), lambda found: (found.running, found.waiting) == (running, waiting))


async def test_an_engine_is_not_asked_while_its_job_waits_for_a_slot() -> None:
    cloud, first, second = Turns(SILENT, slots=1), DispatchLog(), DispatchLog()
    engine = cloud_engine(cloud)
    async with asyncio.TaskGroup() as group:
        speaking = group.create_task(read(engine.open(Speak(job()), first)))
        await first.has_call.wait()
        waiting = group.create_task(read(engine.open(Speak(job()), second)))
        await shows(engine, running=1, waiting=1)
        waiting.cancel()
        speaking.cancel()
    assert (first.said, second.said, len(cloud.jobs)) == ([True], [], 1)


async def test_an_engine_is_not_asked_while_its_job_waits_for_the_pace() -> None:
    cloud, second = Turns(WELL), DispatchLog()
    engine = cloud_engine(cloud, rpm=1)
    await read(engine.open(Speak(job())))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(read(engine.open(Speak(job(deadline_s=90.0)), second)))
        await shows(engine, running=1, waiting=0)
        waiting.cancel()
    assert (second.said, len(cloud.jobs)) == ([], 1)


async def test_a_job_that_the_provider_did_not_do_is_in_line_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.provider_waits.retry_delay_s", lambda *_: 0.0)
    told = DispatchLog()
    await read(cloud_engine(Turns([EngineStumbled("x")], WELL)).open(Speak(job()), told))
    assert told.said == [True, False, True]


async def test_a_host_is_known_to_be_at_work_when_something_comes_out_of_it(tmp_path: Path) -> None:
    first, second = DispatchLog(), DispatchLog()
    async with host(FakeEngine(speak_for_ever, slots=1), tmp_path / "1"), hosted(tmp_path / "1") as voice:
        speaking = voice.open(Speak(hosted_job("job_1")), first)
        assert isinstance(await speaking.next_event(), Started)
        waiting = asyncio.create_task(read(voice.open(Speak(hosted_job("job_2")), second)))
        await shows(voice, running=1, waiting=1)
        waiting.cancel()
        await asyncio.wait([waiting])
        await speaking.close()
    assert (first.said, second.said) == ([True], [])
