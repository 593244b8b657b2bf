"""What each special voice of the tone engine does: it fails, hangs, freezes, crashes, or takes its time."""

import asyncio
import select
import subprocess
import sys

import pytest
import structlog

from plugins.tone.decode import decode
from plugins.tone.plugin import ToneSettings
from plugins.tone.voices import CRASH_STATUS, RETRY_AFTER_S, SPECIAL
from plugins.tone.worker import create
from speech_engine import (
    Audio,
    Context,
    Engine,
    EngineError,
    Event,
    Finished,
    Started,
)
from speech_engine.errors import error_named
from speech_engine.testing import collect, job, speaking
from speech_engine.testing.recordings import PcmRecording, input_of
from tests.plugins.tone.ears import pcm_of, tone, until_it_fails
from tests.tables import each_row

TEXT = "Hello there, world."


def voices_that_fail() -> list[tuple[str, str]]:
    names = [(voice, behaviour.fail) for voice, behaviour in SPECIAL.items()]
    return [(voice, name) for voice, name in names if type(error_named(name, "")).__name__ == name]


@each_row(("voice", "error"), voices_that_fail())
async def test_a_failing_voice_raises_its_error_without_the_text(voice: str, error: str) -> None:
    async with tone() as engine:
        events, raised = await until_it_fails(engine, voice, TEXT)
    assert type(raised).__name__ == error
    assert TEXT not in str(raised)
    assert bool(events) is voice.endswith("-late")


@each_row(("voice", "error"), voices_that_fail())
async def test_a_conversion_fails_when_speech_would(voice: str, error: str) -> None:
    async with tone() as engine:
        recording = input_of(await collect(engine, job(TEXT)))
        for pcm in (recording, recording[:4_800]):
            events: list[Event] = []

            async def convert(pcm: bytes, events: list[Event]) -> None:
                async for event in engine.convert(job(voice=voice), PcmRecording(pcm)):
                    events.append(event)

            with pytest.raises(EngineError) as raised:
                await convert(pcm, events)
            assert type(raised.value).__name__ == error
            is_late = voice.endswith("-late")
            heard = min(7_200, len(pcm) // 2) if is_late else 0
            assert len(pcm_of(tuple(events))) == pytest.approx(heard, abs=2)
            assert bool(events) is is_late


async def test_a_late_conversion_waits_with_ticks() -> None:
    ticks: list[None] = []
    context = Context(structlog.get_logger(), lambda: ticks.append(None))
    async with create("tone", ToneSettings(delay_s=0.02), context) as engine:
        events = [e async for e in engine.convert(job(), PcmRecording(bytes(4_800)))]
    assert (len(ticks), type(events[-1])) == (1, Finished)


async def test_a_busy_engine_says_when_to_come_back() -> None:
    async with tone() as engine:
        _, busy = await until_it_fails(engine, "busy", TEXT)
        _, failed = await until_it_fails(engine, "fail", TEXT)
    assert (busy.retry_after_s, failed.retry_after_s) == (RETRY_AFTER_S, None)


async def test_a_late_failure_comes_after_three_tenths_of_a_second() -> None:
    async with tone() as engine:
        events, _ = await until_it_fails(engine, "fail-late", TEXT)
    assert len(pcm_of(tuple(events))) == 24_000 * 3 // 10
    assert not any(isinstance(event, Finished) for event in events)


async def test_a_failure_due_after_the_end_comes_at_the_end() -> None:
    async with tone(ToneSettings(fail="EngineTimeout", fail_at_s=3600.0)) as engine:
        events, raised = await until_it_fails(engine, "tone", TEXT)
    assert type(raised).__name__ == "EngineTimeout"
    assert decode(pcm_of(tuple(events)), 24_000) == (TEXT,)


async def test_an_answer_may_lack_its_end() -> None:
    async with tone() as engine:
        events = await collect(engine, job(TEXT, voice="no-finish"))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Audio)


async def test_a_bug_is_no_engine_error() -> None:
    async with tone() as engine:
        with pytest.raises(ZeroDivisionError):
            await collect(engine, job(TEXT, voice="bug"))


@pytest.mark.parametrize(("voice", "heard_before"), [("hang", 0), ("hang-late", 5)])
async def test_a_hanging_voice_hangs_until_it_is_cancelled(voice: str, heard_before: int) -> None:
    heard: list[Event] = []

    async def listen(engine: Engine) -> None:
        async with speaking(engine, job(TEXT, voice=voice)) as stream:
            async for event in stream:
                heard.append(event)

    async with tone() as engine:
        listener = asyncio.create_task(listen(engine))
        # Many more turns of the loop than the whole text would take.
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert not listener.done()
        assert repr(engine) == "<ToneEngine tone, 24000 Hz, 1 speaking>"
        listener.cancel()
        await asyncio.wait([listener])
        assert listener.cancelled()
        assert repr(engine) == "<ToneEngine tone, 24000 Hz, 0 speaking>"
    # Started, Words and three chunks, or nothing at all.
    assert len(heard) == heard_before


async def test_silence_is_as_long_as_speech() -> None:
    async with tone() as engine:
        silence = pcm_of(await collect(engine, job(TEXT, voice="silent")))
        speech = pcm_of(await collect(engine, job(TEXT)))
    assert len(silence) == len(speech)
    assert not silence.any()


SPEAK = """
import asyncio, sys
from plugins.tone.plugin import ToneSettings
from plugins.tone.worker import ToneEngine
from speech_engine import Context
from speech_engine.host.log import HostLogger
from speech_engine.testing import collect, job

async def main():
    asyncio.get_running_loop().call_later(0.05, lambda: print("the loop turns", flush=True))
    engine = ToneEngine("tone", ToneSettings(), Context(HostLogger("tone")))
    await collect(engine, job("Hi there.", voice=sys.argv[1]))

print("speaking", flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("voice", ["crash", "crash-late"])
def test_a_voice_can_take_its_process_along(voice: str) -> None:
    assert subprocess.run([sys.executable, "-c", SPEAK, voice], check=False).returncode == CRASH_STATUS


@pytest.mark.parametrize(("voice", "turns"), [("hang", True), ("freeze", False)])
def test_a_frozen_voice_stops_the_loop_where_a_hanging_one_does_not(voice: str, turns: bool) -> None:
    command = [sys.executable, "-c", SPEAK, voice]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "speaking\n"
            if turns:
                assert process.stdout.readline() == "the loop turns\n"
            assert select.select([process.stdout], [], [], 0.3)[0] == []
        finally:
            process.kill()


async def test_a_slow_voice_takes_as_long_as_it_sounds() -> None:
    loop = asyncio.get_running_loop()
    async with tone() as engine:
        began = loop.time()
        events = await collect(engine, job("Hi", voice="slow", max_samples=4_800))
    assert len(pcm_of(events)) == 4_800
    assert loop.time() - began >= 0.19
