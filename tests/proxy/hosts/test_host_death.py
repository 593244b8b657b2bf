"""A host that dies under its jobs: which of them go to its next life, and which are lost."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from proxy.hosts import host_process
from proxy.hosts.hosted import HostedEngine
from speech_engine import (
    Audio,
    Clone,
    CloneRequest,
    Convert,
    EngineUnavailable,
    Event,
    Finished,
    Speak,
    SpeechJob,
    Started,
    UnsupportedText,
    Work,
)
from speech_engine.host.pipe_messages import (
    Tick,
)
from speech_engine.pcm import PcmInMemory
from tests.proxy.engines.test_dispatch import shows
from tests.proxy.hosts.host_rig import hosted, spoken, state
from tests.speech_engine.host.fakes import RATE_HZ, FakeEngine, host, job, read, short_folder, speak_for_ever
from tests.waiting import soon


class Lives:
    """The lives of one host. `begun` is what its supervisor knows of the running one."""

    def __init__(self, engine: HostedEngine, folder: Path, stack: AsyncExitStack) -> None:
        self.engine = engine
        self.begun: set[str] = set()
        self._folder = folder
        self._stack = stack
        self._count = 0
        self._life = AsyncExitStack()

    async def begin(self, voice: FakeEngine) -> None:
        self._count += 1
        self.begun.clear()
        self._life = await self._stack.enter_async_context(AsyncExitStack())
        address = self._folder / str(self._count)
        await self._life.enter_async_context(host(voice, address, tell=self._note))
        self.engine.update_host(state(address))

    async def end(self, noticed_first_by: str = "the supervisor", killer: str = "") -> None:
        """End the life: its transport breaks, and the supervisor says what had begun, and who killed it."""
        begun = tuple(self.begun)
        if noticed_first_by == "the transport":
            await self._life.aclose()
        self.engine.update_host(state("", "restarting", reason="it fell over", begun=begun, killer=killer))
        await self._life.aclose()

    def _note(self, tick: Tick) -> None:
        if tick.begun:
            self.begun.add(tick.begun)
        self.begun.discard(tick.ended)


@pytest.fixture
async def lives() -> AsyncIterator[Lives]:
    with short_folder() as folder:
        async with AsyncExitStack() as stack, hosted() as engine:
            yield Lives(engine, folder, stack)


@pytest.fixture(params=["the transport", "the supervisor"])
def noticed_first_by(request: pytest.FixtureRequest) -> Iterator[str]:
    return request.param  # type: ignore[no-any-return]


async def silent_for_ever(_job: SpeechJob) -> AsyncGenerator[Event, None]:
    await asyncio.Event().wait()
    yield Started(RATE_HZ)


async def start_for_ever(_job: SpeechJob) -> AsyncGenerator[Event, None]:
    yield Started(RATE_HZ)
    await asyncio.Event().wait()


async def test_jobs_in_the_line_of_a_dead_host_run_in_its_next_life(
    lives: Lives, noticed_first_by: str
) -> None:
    first, reborn = FakeEngine(speak_for_ever, slots=1), FakeEngine(slots=1)
    await lives.begin(first)
    lost = lives.engine.open(Speak(job("job_0")))
    while not isinstance(await lost.next_event(), Audio):
        pass
    waiting = [asyncio.create_task(spoken(lives.engine, job(f"job_{n}", f"acc_{n}"))) for n in (1, 2)]
    await shows(lives.engine, running=1, waiting=2)
    await lives.end(noticed_first_by)
    await lives.begin(reborn)
    for each in waiting:
        assert isinstance((await each)[-1], Finished)
    with pytest.raises(EngineUnavailable):
        await lost.next_event()
    assert await lost.next_event() is None
    assert sorted(reborn.jobs) == ["job_1", "job_2"]


async def test_a_job_that_had_not_begun_outlives_any_number_of_hosts(lives: Lives) -> None:
    await lives.begin(FakeEngine(silent_for_ever))
    speaking = asyncio.create_task(spoken(lives.engine, job(deadline_s=30.0)))
    for _ in range(3):
        await soon(lambda: len(lives.begun) == 1)
        lives.begun.clear()  # as if it had been in the line
        await lives.end()
        await lives.begin(FakeEngine(silent_for_ever))
    await soon(lambda: len(lives.begun) == 1)
    lives.begun.clear()
    await lives.end()
    await lives.begin(FakeEngine())
    assert isinstance((await speaking)[-1], Finished)


@pytest.mark.parametrize("speak", [silent_for_ever, start_for_ever], ids=["silent", "started"])
async def test_a_job_that_had_begun_without_audio_is_asked_once_more(
    lives: Lives, noticed_first_by: str, speak: object
) -> None:
    reborn = FakeEngine()
    await lives.begin(FakeEngine(speak))  # type: ignore[arg-type] # a function of this file
    speaking = asyncio.create_task(spoken(lives.engine, job()))
    await soon(lambda: len(lives.begun) == 1)
    await lives.end(noticed_first_by)
    await lives.begin(reborn)
    assert isinstance((await speaking)[-1], Finished)
    assert reborn.jobs == ["job_1"]


async def test_a_job_that_sees_three_hosts_die_is_lost_and_the_fourth_never_has_it(lives: Lives) -> None:
    fourth = FakeEngine()
    await lives.begin(FakeEngine(silent_for_ever))
    speaking = asyncio.create_task(spoken(lives.engine, job()))
    for life in (FakeEngine(silent_for_ever), FakeEngine(silent_for_ever), fourth):
        await soon(lambda: len(lives.begun) == 1)
        await lives.end()
        await lives.begin(life)
    with pytest.raises(EngineUnavailable) as lost:
        await speaking
    assert lost.value.retry_after_s == 1.0
    assert isinstance((await spoken(lives.engine, job("job_2")))[-1], Finished)
    assert fourth.jobs == ["job_2"]


@pytest.mark.parametrize("speak", [silent_for_ever, speak_for_ever], ids=["silent", "heard"])
async def test_a_job_that_has_certainly_killed_its_host_is_at_fault(
    lives: Lives, noticed_first_by: str, speak: object
) -> None:
    reborn = FakeEngine()
    await lives.begin(FakeEngine(speak))  # type: ignore[arg-type] # a function of this file
    speaking = asyncio.create_task(spoken(lives.engine, job()))
    await soon(lambda: len(lives.begun) == 1)
    (killer,) = lives.begun
    await lives.end(noticed_first_by, killer)
    await lives.begin(reborn)
    with pytest.raises(UnsupportedText, match="'input'"):
        await speaking
    assert reborn.jobs == []


async def test_a_job_with_audio_out_is_never_asked_again(lives: Lives, noticed_first_by: str) -> None:
    reborn = FakeEngine()
    await lives.begin(FakeEngine(speak_for_ever))
    speaking = lives.engine.open(Speak(job()))
    while not isinstance(await speaking.next_event(), Audio):
        pass
    lives.begun.clear()  # its engine may have ended, and its audio still be on the way
    await lives.end(noticed_first_by)
    await lives.begin(reborn)
    with pytest.raises(EngineUnavailable):
        await speaking.next_event()
    assert reborn.jobs == []


@pytest.mark.clock
async def test_a_host_of_which_the_supervisor_says_nothing_is_not_waited_for_long(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_process, "DEATH_S", 0.05)
    await lives.begin(FakeEngine(silent_for_ever))
    speaking = asyncio.create_task(spoken(lives.engine, job(deadline_s=3600.0)))
    await soon(lambda: len(lives.begun) == 1)
    await lives._life.aclose()
    with pytest.raises(EngineUnavailable, match="The host is gone"):
        await asyncio.wait_for(speaking, 5.0)


async def test_a_job_is_not_asked_again_past_its_deadline(lives: Lives) -> None:
    await lives.begin(FakeEngine(silent_for_ever))
    speaking = asyncio.create_task(spoken(lives.engine, job(deadline_s=0.5)))
    await soon(lambda: len(lives.begun) == 1)
    await lives.end()
    with pytest.raises(EngineUnavailable, match="not ready yet"):
        await speaking


class Cloning(FakeEngine):
    """Begins to make a voice or to convert, and never ends."""

    async def clone(self, request: CloneRequest) -> str:
        self.jobs.append(request.name)
        await asyncio.Event().wait()
        return ""

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        self.jobs.append(job.id)
        async with aclosing(silent_for_ever(job)) as events:
            async for event in events:
                yield event


async def recording() -> AsyncGenerator[bytes, None]:
    yield bytes(4_800)


@pytest.mark.parametrize(
    "work",
    [
        Clone(id="a", tenant="t", deadline_s=5.0, request=CloneRequest(name="anna", samples=())),
        Convert(job("anna")),
    ],
    ids=["clone", "convert"],
)
async def test_a_clone_and_a_conversion_that_had_begun_are_never_repeated(lives: Lives, work: Work) -> None:
    first, reborn = Cloning(), Cloning()
    await lives.begin(first)
    async with aclosing(recording()) as pcm:
        stream = lives.engine.open(work, pcm=pcm if isinstance(work, Convert) else None)
        reading = asyncio.create_task(read(stream))
        await soon(lambda: first.jobs == ["anna"])
        if isinstance(work, Convert):
            lives.begun.clear()  # not even from the line: what another engine says is gone with the host
        await lives.end()
        await lives.begin(reborn)
        with pytest.raises(EngineUnavailable):
            await reading
    assert reborn.jobs == []


class Converting(FakeEngine):
    """Repeats all at its end."""

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        self.jobs.append(job.id)
        heard = b"".join([piece async for piece in pcm])
        yield Started(24_000)
        yield Audio(0, heard)
        yield Finished()


async def test_a_recording_in_memory_goes_to_the_next_life_from_its_beginning(lives: Lives) -> None:
    await lives.begin(Cloning())
    pcm = PcmInMemory(bytes(range(200)) * 24, 24_000)
    reading = asyncio.create_task(read(lives.engine.open(Convert(job("anna")), pcm=pcm)))
    await soon(lambda: len(lives.begun) == 1)
    lives.begun.clear()  # as if it had been in the line
    await lives.end()
    await lives.begin(reborn := Converting())
    assert (await reading)[1:] == [Audio(0, bytes(range(200)) * 24), Finished()]
    assert reborn.jobs == ["anna"]


async def test_a_recording_in_memory_whose_conversion_had_begun_is_lost(lives: Lives) -> None:
    await lives.begin(Cloning())
    pcm = PcmInMemory(bytes(4_800), 24_000)
    reading = asyncio.create_task(read(lives.engine.open(Convert(job("anna")), pcm=pcm)))
    await soon(lambda: len(lives.begun) == 1)
    await lives.end()
    await lives.begin(reborn := Converting())
    with pytest.raises(EngineUnavailable):
        await reading
    assert reborn.jobs == []
