"""Work between two steps: one at a time, and only when nobody runs dry, but soon in any case."""

import asyncio
from concurrent.futures import Future

import pytest

from bench.timed_model import CODE_S, TimedModel
from speech_engine import Audio, Context, SpeechJob
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings
from speech_engine.host.batch_rows import LONGEST_WAIT_S, ModelCalls
from tests.speech_engine.host import simulated_time
from tests.speech_engine.host.batches import job
from tests.speech_engine.host.fakes import FakeLog

CALL_S = 0.4


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


def added(calls: ModelCalls, clock: Clock, count: int, seconds: float = CALL_S) -> list[Future[None]]:
    return [calls.add(lambda: clock.work(seconds), is_counted=True) for _ in range(count)]


def begin(calls: ModelCalls, clock: Clock, slack_s: float) -> bool:
    call = calls.next_due(slack_s, clock.now)
    if call is not None:
        calls.run(call, clock)
    return call is not None


def test_calls_follow_each_other_while_everybody_has_enough_to_hear() -> None:
    calls, clock = ModelCalls(), Clock()
    added(calls, clock, 3)
    assert [begin(calls, clock, 2.0) for _ in range(4)] == [True, True, True, False]


def test_a_call_waits_while_somebody_would_run_dry_but_not_for_ever() -> None:
    calls, clock = ModelCalls(), Clock()
    added(calls, clock, 2)
    assert begin(calls, clock, 0.1)
    assert not begin(calls, clock, 0.1)
    clock.work(CALL_S)
    assert begin(calls, clock, 0.1)


def test_a_long_call_keeps_the_next_one_waiting_for_a_second_at_most() -> None:
    calls, clock = ModelCalls(), Clock()
    added(calls, clock, 2, seconds=20.0)
    assert begin(calls, clock, 0.0)
    clock.work(LONGEST_WAIT_S)
    assert begin(calls, clock, 0.0)


def test_a_call_that_was_given_up_is_passed_over() -> None:
    calls, clock = ModelCalls(), Clock()
    first, second = added(calls, clock, 2)
    first.cancel()
    assert begin(calls, clock, 1.0)
    assert (second.done(), len(calls)) == (True, 0)


@pytest.mark.parametrize("count", [2, 8])
def test_however_many_voices_are_made_nobody_hears_more_than_one_silence_at_a_time(count: int) -> None:
    """A step makes sound for exactly as long as it takes, so nobody can have heard ahead."""
    silences: list[float] = []

    async def play() -> None:
        model = TimedModel(CODE_S, 0.0)
        loop: BatchLoop[None, object] = BatchLoop(
            model,  # type: ignore[arg-type]  # a row of it is no plain object
            BatchSettings(),
            Context(FakeLog()),
            CODE_S,
            model.now,
        )
        text = job("long", "x" * 200)
        listening = asyncio.create_task(_listen(loop, text, silences))
        made: list[asyncio.Task[None]] = []

        def make_voice() -> None:
            model.took_s += CALL_S

        while not listening.done():
            await asyncio.sleep(0)
            loop.turn()
            took_s, model.took_s = model.took_s, 0.0
            await asyncio.sleep(took_s)
            if len(silences) == 5 and not made:
                made += [asyncio.create_task(loop.call(make_voice)) for _ in range(count)]
        await asyncio.gather(listening, *made)

    simulated_time.run(play())
    # A piece has eight codes, and codes go on between two calls for as long as a call takes.
    assert max(silences) <= 8 * CODE_S + 2 * CALL_S


async def _listen(loop: BatchLoop[None, object], text: SpeechJob, silences: list[float]) -> None:
    clock = asyncio.get_running_loop()
    last = clock.time()
    async for event in loop.speak(text, None):
        if isinstance(event, Audio):
            silences.append(clock.time() - last)
            last = clock.time()
