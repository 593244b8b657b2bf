"""The engines of a worker, whichever way they live: each by itself, with its state and its reason."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping

import pytest
from structlog.testing import capture_logs

from proxy.config.sections import Config, EngineSection
from proxy.engines import registry
from proxy.engines.engine_list import Engines, open_engines
from proxy.telemetry.metrics import Metrics
from speech_engine import EngineBusy, EngineFailed, EngineVoice, Finished, Segment, Speak, SpeechJob
from speech_engine.host.pipe_messages import (
    HostState,
)
from tests.speech_engine.host.fakes import read
from tests.tables import each_row

INSIDE = EngineSection("tone", hosted=False, queue=1, settings={"slots": 1})


def _job(voice: str, deadline_s: float = 5.0) -> SpeechJob:
    return SpeechJob(
        id="job_1",
        tenant="acc_1",
        model="standard",
        voice=EngineVoice(voice),
        segments=(Segment("Hello.", 0, 6),),
        language="en",
        deadline_s=deadline_s,
    )


async def _states(sections: Mapping[str, EngineSection]) -> dict[str, tuple[str, str]]:
    async with open_engines(registry.load(), Config(engines=dict(sections)), Metrics().engines) as engines:
        return {status.name: (status.state, status.reason) for status in await engines.statuses()}


async def test_an_engine_that_cannot_be_configured_is_failed_with_its_reason_and_the_others_live() -> None:
    states = await _states({"good": INSIDE, "bad": EngineSection("tone", settings={"slots": 0})})
    assert states["good"] == ("ready", "")
    assert states["bad"][0] == "failed"
    assert states["bad"][1].startswith("engines.bad.slots: must be")


async def test_a_hosted_engine_is_starting_until_the_supervisor_says_more() -> None:
    async with open_engines(
        registry.load(), Config(engines={"tone": EngineSection("tone")}), Metrics().engines
    ) as engines:
        assert engines["tone"].state == "starting"
        await engines.wait_until_started(0.01)  # returns although nothing has come up
        engines.update_host(HostState("tone", 0, 1, "failed", "it is torn"))
        await asyncio.wait_for(engines.wait_until_started(3600.0), 5.0)
        assert (engines["tone"].state, engines["tone"].reason) == ("failed", "it is torn")


async def test_news_of_an_engine_that_is_not_configured_is_ignored() -> None:
    async with open_engines(registry.load(), Config(engines={"tone": INSIDE}), Metrics().engines) as engines:
        engines.update_host(HostState("nobody", 0, 1, "ready"))
        engines.update_host(HostState("tone", 0, 1, "failed"))
        assert "nobody" not in engines
        assert engines["tone"].state == "ready"


@each_row(
    "hello",
    [b"\xc1garbage", b"\x81\xacapi_version\xff", b"\x81\xa1x" + b"\x91" * 100_000],
    ids=["no msgpack", "of another version", "deep"],
)
async def test_a_state_that_cannot_be_used_ends_itself_alone(hello: bytes) -> None:
    sections = {"tone": EngineSection("tone"), "inside": INSIDE}
    async with open_engines(registry.load(), Config(engines=sections), Metrics().engines) as engines:
        with capture_logs() as logged:
            engines.update_host(HostState("tone", 0, 1, "unloaded", hello=hello))
        assert [each["event"] for each in logged] == ["engine.host.failed", "host.hello.refused"]
        assert (engines["tone"].state, engines["inside"].state) == ("failed", "ready")
        assert engines["tone"].reason.startswith("its host's state cannot be used: ")
        engines.introduce("tone", hello)  # what another server has written into the database
        engines.update_host(HostState("tone", 0, 1, "starting"))
        assert engines["tone"].state == "starting"


@pytest.mark.parametrize("voice", ["bug", "no-finish"])
async def test_an_engine_in_the_server_that_breaks_has_failed_and_frees_its_slot(voice: str) -> None:
    async with open_engines(registry.load(), Config(engines={"tone": INSIDE}), Metrics().engines) as engines:
        with pytest.raises(EngineFailed):
            await read(engines["tone"].open(Speak(_job(voice))))
        assert (await engines["tone"].health()).running == 0
        assert isinstance(await _end(engines, _job("tone")), Finished)


async def test_an_engine_in_the_server_has_slots_and_a_queue_too() -> None:
    async with open_engines(registry.load(), Config(engines={"tone": INSIDE}), Metrics().engines) as engines:
        speaking = engines["tone"].open(Speak(_job("hang-late")))
        await speaking.next_event()
        waiting = asyncio.create_task(_end(engines, _job("tone")))
        await asyncio.sleep(0)
        with pytest.raises(EngineBusy):
            await _end(engines, _job("tone"))
        (status,) = await engines.statuses()
        assert (status.slots, status.running, status.waiting) == (1, 1, 1)
        await speaking.close()
        assert isinstance(await waiting, Finished)


async def _end(engines: Engines, job: SpeechJob) -> object:
    return (await read(engines["tone"].open(Speak(job))))[-1]


def test_a_worker_loads_no_grpc_before_it_has_an_engine_in_a_host() -> None:
    program = "import sys, proxy.processes.worker; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
