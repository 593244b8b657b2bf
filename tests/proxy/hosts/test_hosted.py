"""A hosted engine over real Unix sockets: greeted, spoken with, lost, and found again."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from policies.device_reservations import TRY_AGAIN_S
from proxy.hosts import host_process
from proxy.hosts.host_stream import HostStream
from proxy.hosts.hosted import HostedEngine
from speech_engine import (
    API_VERSION,
    Audio,
    EngineBusy,
    EngineUnavailable,
    Event,
    Finished,
    Speak,
    SpeechJob,
    Started,
)
from speech_engine.host import messages
from speech_engine.host.pipe_messages import HostState
from tests.fixtures import opened
from tests.proxy.hosts.host_rig import hosted, odd_host, spoken, state
from tests.speech_engine.host.fakes import (
    MODEL,
    RATE_HZ,
    FakeEngine,
    host,
    job,
    read,
    short_folder,
    speak_briefly,
    speak_for_ever,
)
from tests.speech_engine.host.visitors import steps
from tests.waiting import soon

pytestmark = pytest.mark.slow


folder = opened(short_folder)


async def test_a_hosted_engine_is_ready_once_greeted_and_speaks(folder: Path) -> None:
    engine = FakeEngine(slots=3)
    async with host(engine, folder / "1"), hosted(folder / "1") as voice:
        assert (voice.state, voice.reason, voice.slots) == ("ready", "", 3)
        assert voice.models() == (MODEL,)
        assert repr(voice) == "<HostedEngine fake: ready, 0 running>"
        events = await spoken(voice, job("job_7"))
    assert isinstance(events[-1], Finished)
    assert engine.jobs == ["job_7"]


async def test_an_engines_refusal_arrives_as_its_class(folder: Path) -> None:
    async with (
        host(FakeEngine(speak_for_ever, slots=1), folder / "1", queue=0),
        hosted(folder / "1") as voice,
    ):
        first = voice.open(Speak(job("job_1")))
        assert await first.next_event() == Started(RATE_HZ)
        with pytest.raises(EngineBusy) as busy:
            await spoken(voice, job("job_2", tenant="acc_2"))
        await first.close()
    assert busy.value.retry_after_s == 1.0


async def test_the_least_busy_of_several_processes_is_asked(folder: Path) -> None:
    one, two = FakeEngine(speak_for_ever), FakeEngine(speak_for_ever)
    async with host(one, folder / "1"), host(two, folder / "2"):
        async with hosted(folder / "1", folder / "2") as voice:
            speaking = [voice.open(Speak(job(f"job_{number}"))) for number in range(4)]
            for each in speaking:
                await each.next_event()
            assert len(one.jobs) == len(two.jobs) == 2
            health = await voice.health()
            assert (health.slots, health.running, health.waiting) == (4, 4, 0)
            for each in speaking:
                await each.close()
            assert repr(voice) == "<HostedEngine fake: ready, 0 running>"


async def test_a_job_cancelled_here_is_cancelled_there(folder: Path) -> None:
    async with host(FakeEngine(speak_for_ever), folder / "1"), hosted(folder / "1") as voice:
        speaking = asyncio.create_task(spoken(voice, job()))
        await soon(lambda: "1 running" in repr(voice))
        speaking.cancel()
        await asyncio.wait([speaking])
        assert speaking.cancelled()
        async with asyncio.timeout(10.0):
            while (await voice.health()).running:
                pass


async def test_a_host_gone_before_the_call_is_asked_again_in_its_next_life(folder: Path) -> None:
    reborn = FakeEngine()
    async with AsyncExitStack() as first_life:
        await first_life.enter_async_context(host(FakeEngine(), folder / "1"))
        async with hosted(folder / "1") as voice, host(reborn, folder / "2"):
            await first_life.aclose()
            # The supervisor has not noticed yet: this one is still said to be ready.
            speaking = asyncio.create_task(spoken(voice, job()))
            await steps()
            voice.update_host(state("", "restarting"))
            voice.update_host(state(folder / "2"))
            assert isinstance((await speaking)[-1], Finished)
    assert reborn.jobs == ["job_1"]


async def test_a_stream_breaks_off_when_its_host_is_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_process, "DEATH_S", 0.05)
    async with AsyncExitStack() as life:
        await life.enter_async_context(host(FakeEngine(speak_for_ever), folder / "1"))
        async with hosted(folder / "1") as voice:
            speaking = voice.open(Speak(job()))
            assert await speaking.next_event() == Started(RATE_HZ)
            assert isinstance(await speaking.next_event(), Audio)
            await life.aclose()
            with pytest.raises(EngineUnavailable):
                await read(speaking)
            assert repr(voice) == "<HostedEngine fake: ready, 0 running>"


async def test_where_every_process_is_failed_the_answer_is_at_once_and_has_the_reason(folder: Path) -> None:
    async with hosted() as voice:
        voice.update_host(state("", "failed", reason="its model is torn"))
        assert (voice.state, voice.reason) == ("failed", "its model is torn")
        with pytest.raises(EngineUnavailable, match="its model is torn"):
            await asyncio.wait_for(spoken(voice, job(deadline_s=3600.0)), 5.0)


def _idle(loads_s: float) -> HostState:
    hello = messages.encode(messages.HelloReply(API_VERSION, 4, (MODEL,), ()))
    return replace(state("", "unloaded"), loads_on_demand=True, loads_s=loads_s, hello=hello)


async def test_a_request_for_an_idle_engine_has_it_loaded_and_waits(folder: Path) -> None:
    wanted: list[str] = []
    async with hosted() as engine, host(FakeEngine(), folder / "s"):
        engine.on_wanted = wanted.append
        engine.update_host(_idle(loads_s=1.0))
        assert (engine.state, engine.can_load_now) == ("unloaded", True)
        assert [model.id for model in engine.models()] == [MODEL.id]  # known to a worker that never met it
        waiting = asyncio.create_task(
            engine.ready_process(Speak(job()), asyncio.get_running_loop().time() + 30.0)
        )
        await soon(lambda: wanted == ["fake"])
        engine.update_host(state("", "starting"))
        engine.update_host(state(folder / "s"))
        assert (await waiting).number is not None


@pytest.mark.clock
async def test_a_request_that_cannot_wait_so_long_goes_on_and_the_engine_loads_all_the_same() -> None:
    wanted: list[str] = []
    async with hosted() as engine:
        engine.on_wanted = wanted.append
        engine.update_host(_idle(loads_s=60.0))
        with pytest.raises(EngineUnavailable, match="fake is loading") as caught:
            await engine.ready_process(Speak(job()), asyncio.get_running_loop().time() + 10.0)
        assert caught.value.retry_after_s == pytest.approx(50.0, abs=1.0)
        assert wanted == ["fake"]
        engine.update_host(state("", "unloaded"))  # by an operator
        with pytest.raises(EngineUnavailable, match="fake is not loaded"):
            await engine.ready_process(Speak(job()), asyncio.get_running_loop().time() + 10.0)
        assert wanted == ["fake"]


async def test_an_engine_that_waits_for_memory_says_for_whose_at_once() -> None:
    async with hosted() as engine:
        engine.update_host(state("", "unloaded"))
        engine.update_host(state("", "waiting", process=1, reason="waits for 4.0 GB of cuda:0"))
        assert engine.state == "waiting"
        with pytest.raises(EngineUnavailable, match=r"fake waits for 4\.0 GB of cuda:0") as caught:
            await engine.ready_process(Speak(job()), asyncio.get_running_loop().time() + 60.0)
        assert caught.value.retry_after_s == TRY_AGAIN_S


@pytest.mark.parametrize("name", ["starting", "restarting"])
async def test_where_one_may_come_up_the_job_waits_for_as_long_as_it_has(folder: Path, name: str) -> None:
    async with hosted() as voice, host(FakeEngine(), folder / "1"):
        voice.update_host(state("", name))
        with pytest.raises(EngineUnavailable) as late:
            await spoken(voice, job(deadline_s=0.02))
        assert late.value.retry_after_s == 2.0
        speaking = asyncio.create_task(spoken(voice, job(deadline_s=30.0)))
        await soon(lambda: not speaking.done())
        voice.update_host(state(folder / "1"))
        assert isinstance((await speaking)[-1], Finished)


async def test_a_failed_process_leaves_the_work_to_the_others(folder: Path) -> None:
    async with host(FakeEngine(), folder / "1"), hosted(folder / "1") as voice:
        voice.update_host(state("", "failed", process=1, reason="it fell over"))
        assert voice.state == "ready"
        assert isinstance((await spoken(voice, job()))[-1], Finished)


@pytest.mark.parametrize(
    "answers",
    [
        (b"\xff\xff not a frame",),
        (b"",),
        (messages.encode({"type": "sorcery"}),),
        (messages.encode(Started(RATE_HZ)), b"\xc1"),
        (messages.encode({"type": "started", "sample_rate_hz": "fast"}),),
    ],
)
async def test_an_answer_that_is_no_frame_fails_the_job_and_nothing_else(
    folder: Path, answers: tuple[bytes, ...]
) -> None:
    async with odd_host(folder / "1", answers=answers), hosted(folder / "1") as voice:
        for _ in range(2):
            with pytest.raises(EngineUnavailable):
                await asyncio.wait_for(spoken(voice, job()), 5.0)
        assert (voice.state, voice.slots) == ("ready", 4)


def _speak_by_name(job: SpeechJob) -> AsyncGenerator[Event, None]:
    return speak_for_ever(job) if job.id == "long" else speak_briefly(job)


class _Pair(NamedTuple):
    """Two hosts of one slot each, after account 1 has begun an endless job and account 2 has spoken."""

    voice: HostedEngine
    endless: HostStream
    engines: tuple[FakeEngine, FakeEngine]

    @property
    def jobs(self) -> list[list[str]]:
        return sorted(engine.jobs for engine in self.engines)


@asynccontextmanager
async def _beside_an_endless_job(folder: Path) -> AsyncIterator[_Pair]:
    one, two = (FakeEngine(_speak_by_name, slots=1) for _ in range(2))
    async with (
        host(one, folder / "1"),
        host(two, folder / "2"),
        hosted(folder / "1", folder / "2") as voice,
    ):
        endless = voice.open(Speak(job("long", "acc_1")))
        await endless.next_event()
        await spoken(voice, job("neighbour", "acc_2"))
        yield _Pair(voice, endless, (one, two))
        await endless.close()


async def test_a_job_takes_an_idle_process_before_it_waits_in_vain(folder: Path) -> None:
    async with _beside_an_endless_job(folder) as pair:
        await spoken(pair.voice, job("second", "acc_1"))
        assert pair.jobs == [["long"], ["neighbour", "second"]]


async def test_a_job_leaves_an_idle_process_to_others_if_its_own_has_room_soon(folder: Path) -> None:
    async with _beside_an_endless_job(folder) as pair:
        waiting = asyncio.create_task(spoken(pair.voice, job("second", "acc_1")))
        await steps()
        await pair.endless.close()
        await waiting
        assert pair.jobs == [["long", "second"], ["neighbour"]]


async def test_a_job_that_is_cancelled_before_it_has_a_process_holds_nothing(folder: Path) -> None:
    async with _beside_an_endless_job(folder) as pair:
        waiting = asyncio.create_task(spoken(pair.voice, job("second", "acc_1")))
        await steps()
        waiting.cancel()
        await asyncio.wait([waiting])
        await pair.endless.close()
        assert repr(pair.voice) == "<HostedEngine fake: ready, 0 running>"
        assert pair.jobs == [["long"], ["neighbour"]]
