"""A host over its real Unix socket, as the server talks to it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from speech_engine import (
    API_VERSION,
    Audio,
    ContentRefused,
    Convert,
    EngineBusy,
    Event,
    Finished,
    Speak,
    SpeechJob,
    Started,
    VoiceMade,
    VoiceNotFound,
    Work,
)
from speech_engine.host import messages
from speech_engine.host.messages import Begin, Failed, HealthQuestion, HealthReport, Hello, HelloReply, Pcm
from speech_engine.host.pipe_messages import (
    Tick,
)
from speech_engine.host.pulse import Pulse
from speech_engine.host.sample_cache import SampleCache
from tests.speech_engine.host.fakes import (
    CHUNK,
    MODEL,
    RATE_HZ,
    FakeEngine,
    Studio,
    clone,
    delete,
    host,
    job,
    short_folder,
    speak_briefly,
    speak_for_ever,
)
from tests.waiting import soon

LONG = 1_000
_DECODE = messages.decoder(messages.Frame)


async def speak_long(job: SpeechJob) -> AsyncGenerator[Event, None]:
    yield Started(RATE_HZ)
    for number in range(LONG):
        yield Audio(number, CHUNK)
    yield Finished()


async def refuse(job: SpeechJob) -> AsyncGenerator[Event, None]:
    if job.id:
        raise ContentRefused("Not this.")
    yield Started(RATE_HZ)


class NotInVerse(ContentRefused):
    """An engine's own kind of refusal."""


async def refuse_in_its_own_words(job: SpeechJob) -> AsyncGenerator[Event, None]:
    if job.id:
        raise NotInVerse("Not this.")
    yield Started(RATE_HZ)


async def have_a_bug(job: SpeechJob) -> AsyncGenerator[Event, None]:
    yield Started(RATE_HZ)
    raise KeyError(job.segments[0].spoken)


async def just_end(job: SpeechJob) -> AsyncGenerator[Event, None]:
    yield Started(RATE_HZ)


@pytest.fixture
def address() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder / "host.sock"


class Caller:
    def __init__(self, channel: Any) -> None:
        self._channel = channel

    async def ask(self, name: str, message: Any, answer: type[Any]) -> Any:
        call = self._channel.unary_unary(messages.method(name), messages.encode, messages.decoder(answer))
        return await call(message, timeout=10.0)

    def speak(self, wanted: SpeechJob) -> Any:
        return self.run(Speak(wanted), wanted.id)

    def run(self, work: Work, call: str = "call_1") -> Any:
        method = messages.method(messages.RUN)
        return self._channel.unary_stream(method, messages.encode, _DECODE)(Begin(call, work))

    def run_with_input(self, inputs: AsyncIterator[Any]) -> Any:
        method = messages.method(messages.RUN_WITH_INPUT)
        return self._channel.stream_stream(method, messages.encode, _DECODE)(inputs)

    async def health(self) -> HealthReport:
        found: HealthReport = await self.ask("Health", HealthQuestion(), HealthReport)
        assert found.device == "cpu"
        # What the process of this test uses is no matter here.
        return msgspec.structs.replace(found, device="", memory_gb=0.0)

    async def is_at(self, wanted: HealthReport) -> bool:
        return await self.health() == wanted


@asynccontextmanager
async def caller(address: Path) -> AsyncIterator[Caller]:
    async with grpc.aio.insecure_channel(f"unix:{address}", options=messages.CHANNEL_OPTIONS) as channel:
        yield Caller(channel)


async def test_hello_tells_version_slots_and_models(address: Path) -> None:
    async with host(FakeEngine(slots=3), address), caller(address) as server:
        assert await server.ask("Hello", Hello(API_VERSION), HelloReply) == HelloReply(
            API_VERSION, 3, (MODEL,), ()
        )


async def test_an_answer_is_the_engines_events(address: Path) -> None:
    async with host(FakeEngine(), address), caller(address) as server:
        frames = [frame async for frame in server.speak(job())]
    assert frames == [event async for event in speak_briefly(job())]


@pytest.mark.parametrize(
    ("speak", "failed", "may_fall_back"),
    [
        (refuse, Failed("ContentRefused", "Not this."), False),
        (refuse_in_its_own_words, Failed("ContentRefused", "Not this."), False),
        (have_a_bug, Failed("EngineFailed", "The engine broke while speaking."), True),
        (just_end, Failed("EngineFailed", "The engine ended without finishing."), True),
    ],
)
async def test_a_failure_is_the_last_frame(
    address: Path, speak: Any, failed: Failed, may_fall_back: bool
) -> None:
    async with host(FakeEngine(speak), address), caller(address) as server:
        frames = [frame async for frame in server.speak(job())]
        assert frames[-1] == failed
        assert failed.to_error().may_fall_back == may_fall_back
        assert await server.health() == HealthReport(slots=2, running=0, waiting=0)


async def test_a_bug_is_logged_by_its_place_and_without_the_text(address: Path) -> None:
    async with host(FakeEngine(have_a_bug), address) as log, caller(address) as server:
        _ = [frame async for frame in server.speak(job("job_7"))]
    (line,) = log.lines
    assert (line["job"], line["error"]) == ("job_7", "KeyError")
    assert any("have_a_bug" in place for place in line["where"])
    assert "Canary" not in str(line)


async def test_a_call_that_is_cancelled_frees_its_slot(address: Path) -> None:
    async with host(FakeEngine(speak_for_ever, slots=1), address), caller(address) as server:
        speaking = server.speak(job("job_1"))
        assert await speaking.read() == Started(RATE_HZ)
        waiting = server.speak(job("job_2"))
        await soon(lambda: server.is_at(HealthReport(slots=1, running=1, waiting=1)))
        speaking.cancel()
        assert await waiting.read() == Started(RATE_HZ)
        waiting.cancel()
        await soon(lambda: server.is_at(HealthReport(slots=1, running=0, waiting=0)))


async def test_a_reader_that_stalls_holds_no_slot_and_misses_nothing(address: Path) -> None:
    async with host(FakeEngine(speak_long, slots=1), address), caller(address) as server:
        stalled = aiter(server.speak(job()))
        assert await anext(stalled) == Started(RATE_HZ)
        await soon(lambda: server.is_at(HealthReport(slots=1, running=0, waiting=0)))
        frames = [frame async for frame in stalled]
    assert frames == [*(Audio(number, CHUNK) for number in range(LONG)), Finished()]


async def test_a_stalled_answer_that_is_cancelled_is_let_go(address: Path) -> None:
    """More than the spool holds: the engine waits in the middle, and must not wait for ever."""

    async def speak_too_much(_job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        while True:
            yield Audio(0, bytes(1 << 20))

    async with host(FakeEngine(speak_too_much, slots=1), address), caller(address) as server:
        stalled = server.speak(job())
        assert await stalled.read() == Started(RATE_HZ)
        assert (await server.health()).running == 1
        stalled.cancel()
        await soon(lambda: server.is_at(HealthReport(slots=1, running=0, waiting=0)))


async def test_a_full_queue_says_busy(address: Path) -> None:
    async with host(FakeEngine(speak_for_ever, slots=1), address, queue=0), caller(address) as server:
        speaking = server.speak(job())
        assert await speaking.read() == Started(RATE_HZ)
        (failed,) = [frame async for frame in server.speak(job(tenant="acc_2"))]
        assert isinstance(failed.to_error(), EngineBusy)
        assert failed.retry_after_s is not None
        speaking.cancel()


async def test_a_voice_is_made_and_deleted_over_the_socket(address: Path) -> None:
    studio = Studio()
    async with host(studio, address), caller(address) as server:
        assert [frame async for frame in server.run(clone("anna"))] == [VoiceMade("anna"), Finished()]
        assert studio.voices_made == ["anna"]
        assert [frame async for frame in server.run(delete("anna"))] == [Finished()]
        (failed,) = [frame async for frame in server.run(delete("anna"))]
        assert isinstance(failed.to_error(), VoiceNotFound)
        assert await server.health() == HealthReport(slots=2, running=0, waiting=0)


async def test_a_conversion_is_heard_while_its_recording_still_comes(address: Path) -> None:
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def inputs() -> AsyncGenerator[Any, None]:
        yield Begin("call_1", Convert(job()))
        while (piece := await pieces.get()) is not None:
            yield Pcm(piece)

    async with host(Studio(), address), caller(address) as server, aclosing(inputs()) as sent:
        converting = server.run_with_input(sent)
        assert await converting.read() == Started(RATE_HZ)
        for piece in (b"ab", b"cd"):
            pieces.put_nowait(piece)
            assert await converting.read() == Audio(0, piece)
        pieces.put_nowait(None)
        assert await converting.read() == Finished()
        assert await converting.read() is grpc.aio.EOF


async def test_a_conversion_that_is_cancelled_frees_its_slot(address: Path) -> None:
    async def inputs() -> AsyncGenerator[Any, None]:
        yield Begin("call_1", Convert(job()))
        await asyncio.Event().wait()

    async with host(Studio(), address), caller(address) as server, aclosing(inputs()) as sent:
        converting = server.run_with_input(sent)
        assert await converting.read() == Started(RATE_HZ)
        assert (await server.health()).running == 1
        converting.cancel()
        await soon(lambda: server.is_at(HealthReport(slots=2, running=0, waiting=0)))


@pytest.mark.slow
@pytest.mark.clock
async def test_a_call_whose_input_still_comes_lasts_until_its_reader_has_the_last_frame(
    address: Path,
) -> None:
    pieces = asyncio.Queue[Any]()
    pieces.put_nowait(Begin("call_1", Convert(job())))

    async def inputs() -> AsyncGenerator[Any, None]:
        while (piece := await pieces.get()) is not None:
            yield piece

    async with host(FakeEngine(), address), caller(address) as server:
        converting = server.run_with_input(inputs())
        assert isinstance(await converting.read(), Failed)
        assert (await server.health()).running == 0
        end = asyncio.create_task(converting.read())
        await asyncio.sleep(0.1)
        assert not end.done()
        converting.cancel()
        await asyncio.wait([end])


@pytest.mark.parametrize("work", [clone("anna"), delete("anna")], ids=["clone", "delete"])
async def test_work_that_an_engine_cannot_do_is_a_failure(address: Path, work: Work) -> None:
    async with host(FakeEngine(), address), caller(address) as server:
        (failed,) = [frame async for frame in server.run(work)]
        assert failed.error == "EngineCannot"


async def test_a_call_is_told_to_the_supervisor_when_its_turn_begins_and_when_it_has_ended(
    address: Path,
) -> None:
    ticks: list[Tick] = []
    engine = FakeEngine(speak_for_ever, slots=1)
    async with host(engine, address, tell=ticks.append), caller(address) as server:
        speaking = server.run(Speak(job("job_1")), "call_1")
        assert await speaking.read() == Started(RATE_HZ)
        waiting = server.run(Speak(job("job_2")), "call_2")
        await soon(lambda: server.is_at(HealthReport(slots=1, running=1, waiting=1)))
        assert {tick.begun for tick in ticks} == {"call_1"}
        waiting.cancel()
        speaking.cancel()
        await soon(lambda: server.is_at(HealthReport(slots=1, running=0, waiting=0)))
    assert [tick.begun for tick in ticks if tick.begun] == ["call_1"]
    assert [tick.ended for tick in ticks if tick.ended] == ["call_1"]
    assert ticks[-1].working == 0


async def test_a_job_that_waits_inside_of_its_engine_is_no_work(address: Path) -> None:
    ticks: list[Tick] = []
    pulse, gate = Pulse(ticks.append), asyncio.Event()

    async def wait_for_room(job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        with pulse.waiting_here():
            await gate.wait()
        async for event in speak_briefly(job):
            yield event

    async with host(FakeEngine(wait_for_room, slots=2), address, pulse=pulse), caller(address) as server:
        calls = [server.run(Speak(job(f"job_{number}")), f"call_{number}") for number in range(2)]
        for call in calls:
            assert await call.read() == Started(RATE_HZ)
        await soon(lambda: not ticks[-1].working)
        assert [tick.ended for tick in ticks if tick.ended] == []
        gate.set()
        for call in calls:
            while not isinstance(await call.read(), Finished):
                pass
    assert ticks[-1].working == 0


async def test_a_drop_is_answered_when_the_engine_has_forgotten_too(address: Path) -> None:
    sample_cache, told = SampleCache(), asyncio.Event()
    forgetting = asyncio.get_running_loop().create_future()

    def forget(_digests: Collection[str]) -> asyncio.Future[Any]:
        told.set()
        return forgetting

    sample_cache.on_drop(forget)
    async with host(FakeEngine(), address, sample_cache=sample_cache), caller(address) as server:
        drop = messages.DropSamples(("a",))
        answer = asyncio.create_task(server.ask(messages.DROP, drop, messages.DropReply))
        await told.wait()
        await server.health()
        assert not answer.done()
        forgetting.set_result(None)
        assert await answer == messages.DropReply()


async def test_a_method_of_another_version_is_unknown_and_not_a_crash(address: Path) -> None:
    async with host(FakeEngine(), address), caller(address) as server:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.ask("Train", HealthQuestion(), HealthReport)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert (await server.health()).running == 0
