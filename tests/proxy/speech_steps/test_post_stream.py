"""Two engines in one stream: what the first one speaks, the second one repeats while it is spoken."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import pairwise

import pytest
import structlog

from proxy.audio.formats import OUTPUT_RATE_HZ
from proxy.speech.attempt import RepeaterAway
from proxy.speech_steps.post_stream import MOST_WAITING, PostStream
from speech_engine import (
    Audio,
    Convert,
    Encoded,
    EngineBusy,
    EngineCannot,
    EngineError,
    EngineFailed,
    EngineLimited,
    EngineUnavailable,
    EngineVoice,
    Event,
    Finished,
    ProviderCount,
    Segment,
    Speak,
    SpeechJob,
    Started,
    UnsupportedOption,
    UnusableSample,
    VoiceNotFound,
    Word,
    Words,
)
from speech_engine.host.engine_stream import EngineStream, SlotStream
from speech_engine.host.slots import Slots
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound, spoken
from tests.proxy.speech_steps.repeating import Repeating
from tests.tables import each_row

JOB = SpeechJob(
    id="j",
    tenant="t",
    deadline_s=20.0,
    model="m",
    voice=EngineVoice("v"),
    segments=(Segment("Hi.", 0, 3), Segment("You.", 4, 8)),
    language="en",
)


_log = structlog.get_logger()


class Pair:
    """Two engines, each in slots of its own, and the stream of both."""

    def __init__(self, first: Scripted, second: Repeating, *, hears_all_first: bool = False) -> None:
        self.first, self.second = first, second
        self.slots = Slots(1, 1), Slots(1, 1)
        opened = self._open(Speak(JOB), first, self.slots[0])
        self.stream = PostStream(opened, self._repeat, hears_all_first=hears_all_first)

    def _repeat(self, pcm: AsyncIterator[bytes]) -> EngineStream:
        return SlotStream(self.second, self.slots[1], Convert(JOB), _log, pcm=pcm)

    def _open(self, work: Speak, engine: Scripted, slots: Slots) -> EngineStream:
        return SlotStream(engine, slots, work, _log)

    async def all(self, events: list[Event] | None = None) -> list[Event]:
        events = [] if events is None else events
        while (event := await self.stream.next_event()) is not None:
            events.append(event)
        return events

    async def until_it_breaks(self) -> tuple[list[Event], EngineError]:
        events: list[Event] = []
        with pytest.raises(EngineError) as broken:
            await self.all(events)
        return events, broken.value

    def check_all_is_free(self) -> None:
        assert (self.first.open, self.second.open) == (0, 0)
        for slots in self.slots:
            assert (slots.health().running, slots.health().waiting) == (0, 0)


def seconds(events: list[Event], rate_hz: int = RATE_HZ) -> float:
    return sum(len(each.pcm) for each in events if isinstance(each, Audio)) / 2 / rate_hz


@each_row("spoken_hz", [8_000, 22_050, 24_000, 44_100, 48_000])
async def test_all_of_the_speech_is_repeated_at_the_rate_of_who_repeats(spoken_hz: int) -> None:
    pair = Pair(Scripted(*spoken(1.3, spoken_hz)), Repeating(rate_hz=16_000))
    events = await pair.all()
    assert events[0] == Started(16_000)
    assert events[-1] == Finished()
    assert seconds(events, 16_000) == pytest.approx(1.3, abs=0.01)
    assert pair.stream.spoken.seconds == pytest.approx(1.3)
    await pair.stream.close()
    pair.check_all_is_free()


async def test_words_and_sentences_are_where_the_first_engine_has_them() -> None:
    first = Scripted(
        Started(22_050),
        Words((Word(0, 0, 2),), 0),
        *sound(0.5, 22_050),
        Words((Word(13_230, 0, 3),), 1),
        *sound(0.5, 22_050, segment=1),
        Finished(),
    )
    pair = Pair(first, Repeating(window=3, rate_hz=16_000))
    events = await pair.all()
    assert [each for each in events if isinstance(each, Words)] == [
        Words((Word(0, 0, 2),), 0),
        Words((Word(9_600, 0, 3),), 1),
    ]
    audio = [each for each in events if isinstance(each, Audio)]
    assert seconds([each for each in audio if each.segment == 0], 16_000) == pytest.approx(0.5)
    assert all(before.segment <= after.segment for before, after in pairwise(audio))
    await pair.stream.close()


async def test_each_engine_counts_for_itself() -> None:
    first = Scripted(Started(RATE_HZ), *sound(0.2), ProviderCount(3.0), Finished(7.0))
    pair = Pair(first, Repeating(ProviderCount(1.0), Finished(2.0)))
    events = await pair.all()
    assert pair.stream.spoken.units == 7.0
    assert events[-2:] == [ProviderCount(1.0), Finished(2.0)]
    await pair.stream.close()


class Steps:
    """A first engine that makes one piece of 100 ms at each step, and counts them."""

    def __init__(self, pieces: int) -> None:
        self.made = 0
        self._may = asyncio.Semaphore(0)
        self.script: list[Step] = [Started(RATE_HZ)]
        for piece in sound(pieces / 10):
            self.script += [self._step, piece]
        self.script.append(Finished())

    async def _step(self) -> None:
        await self._may.acquire()
        self.made += 1

    async def step(self) -> None:
        """Make one piece, and let everybody do what follows from it."""
        self._may.release()
        for _ in range(50):
            await asyncio.sleep(0)


@each_row("window", [1, 2, 5])
async def test_the_first_sound_comes_with_the_first_window_and_no_step_later(window: int) -> None:
    steps = Steps(8)
    pair = Pair(Scripted(*steps.script), Repeating(window=window))
    heard: list[Event] = []

    async def read() -> None:
        while (event := await pair.stream.next_event()) is not None:
            heard.append(event)

    reading = asyncio.create_task(read())
    first_at = 0
    for number in range(1, 9):
        await steps.step()
        if not first_at and seconds(heard):
            first_at = number
    await asyncio.wait_for(reading, 20.0)
    assert first_at == window
    await pair.stream.close()
    pair.check_all_is_free()


async def test_nothing_is_asked_of_who_repeats_before_there_is_a_sound() -> None:
    steps = Steps(1)
    pair = Pair(Scripted(*steps.script), Repeating())
    reading = asyncio.create_task(pair.stream.next_event())
    for _ in range(50):
        await asyncio.sleep(0)
    assert (pair.first.open, pair.second.jobs) == (1, [])
    reading.cancel()
    await asyncio.wait((reading,))
    closing = asyncio.create_task(pair.stream.close())
    for _ in range(50):
        await asyncio.sleep(0)
    is_closed = closing.done()
    if pair.stream._reading is not None:
        pair.stream._reading.cancel()  # else a stream that does not close would hold the test
    await closing
    assert is_closed
    pair.check_all_is_free()


async def test_a_reader_who_waits_stops_both_engines() -> None:
    steps = Steps(60)
    pair = Pair(Scripted(*steps.script), Repeating())
    for _ in range(60):
        steps._may.release()
    while not isinstance(await pair.stream.next_event(), Audio):
        pass
    for _ in range(200):
        await asyncio.sleep(0)
    assert pair.second.heard == 1
    # One more waits to be put.
    assert steps.made <= MOST_WAITING + 3
    assert seconds(await pair.all()) == pytest.approx(5.9, abs=0.1)
    await pair.stream.close()


async def test_what_was_spoken_before_a_failure_is_heard_before_it() -> None:
    first = Scripted(Started(RATE_HZ), *sound(0.5), EngineUnavailable("the first is gone"))
    pair = Pair(first, Repeating(window=2))
    events, error = await pair.until_it_breaks()
    assert (type(error), error.message) == (EngineUnavailable, "the first is gone")
    assert seconds(events) == pytest.approx(0.5, abs=0.01)
    await pair.stream.close()
    pair.check_all_is_free()


class Uploading(Repeating):
    """It hears all, and only then begins."""

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        self.jobs.append(job)
        self.open += 1
        try:
            pieces = [piece async for piece in pcm]
            self.heard = len(pieces)
            yield Started(RATE_HZ)
            yield self._sound(pieces)
            yield Finished()
        finally:
            self.open -= 1


async def test_who_hears_all_first_gets_no_end_of_a_speech_that_fails() -> None:
    first = Scripted(Started(RATE_HZ), *sound(0.5), EngineFailed("the first is gone"))
    pair = Pair(first, Uploading(), hears_all_first=True)
    events, error = await asyncio.wait_for(pair.until_it_breaks(), 20.0)
    assert (events, error.message, error.may_fall_back) == ([], "the first is gone", True)
    await pair.stream.close()
    assert (len(pair.second.jobs), pair.second.heard, pair.stream.spoken.was_read_to_the_end) == (1, 0, False)
    pair.check_all_is_free()


async def test_who_hears_all_first_repeats_a_whole_speech() -> None:
    pair = Pair(Scripted(*spoken(2.5)), Uploading(), hears_all_first=True)
    assert seconds(await pair.all()) == pytest.approx(2.5, abs=0.01)
    assert pair.stream.spoken.was_read_to_the_end
    await pair.stream.close()
    pair.check_all_is_free()


@pytest.mark.parametrize("begins", [False, True])
async def test_an_error_of_who_hears_all_first_is_its_own(begins: bool) -> None:
    script = Repeating(EngineBusy("its queue is full"), window=1 if begins else 1000)
    pair = Pair(Scripted(*spoken(0.3)), script, hears_all_first=True)
    _, error = await pair.until_it_breaks()
    assert type(error) is RepeaterAway
    await pair.stream.close()
    pair.check_all_is_free()


async def test_a_reader_who_leaves_while_all_is_heard_ends_both_engines() -> None:
    never = asyncio.Event()
    pair = Pair(Scripted(Started(RATE_HZ), *sound(0.2), never.wait), Uploading(), hears_all_first=True)
    reading = asyncio.create_task(pair.all())
    for _ in range(100):
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait((reading,))
    assert reading.cancelled()
    await pair.stream.close()
    pair.check_all_is_free()


async def test_a_failure_of_the_first_is_not_blamed_on_who_repeats() -> None:
    first = Scripted(Started(RATE_HZ), *sound(0.1), EngineUnavailable("the first is gone"))
    pair = Pair(first, Repeating(UnusableSample("too short")))
    _, error = await pair.until_it_breaks()
    assert error.message == "the first is gone"
    await pair.stream.close()


@each_row(
    ("raised", "kind"),
    [
        (EngineLimited("too many requests"), EngineLimited),
        (EngineBusy("its queue is full"), RepeaterAway),
        (EngineUnavailable("gone"), RepeaterAway),
        (EngineCannot("no such work"), RepeaterAway),
        (VoiceNotFound("no such voice"), EngineFailed),
        (UnusableSample("no speech in it"), EngineFailed),
        (UnsupportedOption("this voice has no pitch", detail="pitch"), EngineFailed),
    ],
)
async def test_no_request_is_to_blame_for_who_repeats(raised: EngineError, kind: type) -> None:
    pair = Pair(Scripted(*spoken(0.3)), Repeating(raised))
    _, error = await pair.until_it_breaks()
    assert type(error) is kind
    assert error.may_fall_back
    await pair.stream.close()
    pair.check_all_is_free()


async def test_a_first_that_fails_before_any_sound_is_repeated_by_nobody() -> None:
    pair = Pair(Scripted(VoiceNotFound("no such voice")), Repeating())
    events, error = await pair.until_it_breaks()
    assert (events, type(error), pair.second.jobs) == ([], VoiceNotFound, [])
    await pair.stream.close()
    pair.check_all_is_free()


async def test_a_speech_without_sound_is_whole_without_who_repeats() -> None:
    pair = Pair(Scripted(Started(RATE_HZ), Finished()), Repeating())
    assert await pair.all() == [Started(OUTPUT_RATE_HZ), Finished()]
    assert pair.second.jobs == []
    await pair.stream.close()


class Mute(Repeating):
    def _sound(self, pieces: list[bytes]) -> Audio:
        return Audio(0, b"")


class Early(Repeating):
    """It ends after one piece, whatever is still to come."""

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        yield self._sound([await anext(pcm)])
        yield Finished()


NO_CONTRACT: list[tuple[Scripted, Repeating]] = [
    (Scripted(*spoken(0.3)), Mute()),
    (Scripted(*spoken(5.0)), Early()),
    (Scripted(*spoken(0.3)), Repeating(ProviderCount(1.0))),
    (Scripted(Audio(0, bytes(200)), Finished()), Repeating()),
    (Scripted(Started(1), Finished()), Repeating()),
    (Scripted(Words((Word(0, 0, 1),), 0), Finished()), Repeating()),
    (Scripted(Started(RATE_HZ), *sound(0.1, segment=1), *sound(0.1), Finished()), Repeating()),
    (Scripted(Started(RATE_HZ), *sound(0.1), Encoded("mp3", b"x")), Repeating()),
    (Scripted(Started(RATE_HZ), *sound(0.1)), Repeating()),
    # An engine that changes its rate in the middle.
    (Scripted(*spoken(0.3)[:-1], *spoken(0.3, 16_000)), Repeating()),
]


@each_row(("first", "second"), NO_CONTRACT)
async def test_what_breaks_the_contract_has_failed(first: Scripted, second: Repeating) -> None:
    pair = Pair(first, second)
    _, error = await pair.until_it_breaks()
    assert type(error) is EngineFailed
    await pair.stream.close()
    pair.check_all_is_free()


@each_row("taken", [0, 1, 2, 5])
async def test_a_client_that_leaves_ends_both_engines(taken: int) -> None:
    pair = Pair(Scripted(*spoken(5.0)), Repeating(window=2))
    for _ in range(taken):
        await pair.stream.next_event()
    await pair.stream.close()
    await pair.stream.close()
    pair.check_all_is_free()
    assert await pair.stream.next_event() is None


@pytest.mark.parametrize("hangs", ["first", "second"])
async def test_a_reader_that_is_cancelled_ends_both_engines(hangs: str) -> None:
    never = asyncio.Event()
    first = Scripted(Started(RATE_HZ), *sound(0.2), never.wait if hangs == "first" else Finished())
    pair = Pair(first, Repeating(never.wait))
    reading = asyncio.create_task(pair.all())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not reading.done()
    reading.cancel()
    await asyncio.wait((reading,))
    closing = asyncio.create_task(pair.stream.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait((closing,))
    assert closing.cancelled()
    pair.check_all_is_free()


async def test_what_no_engine_may_raise_reaches_the_reader() -> None:
    class Faulty(Scripted):
        async def next_event(self) -> Event | None:
            raise ZeroDivisionError("a fault of ours")

        async def close(self) -> None:
            """It holds nothing."""

    stream = PostStream(Faulty(), lambda _pcm: pytest.fail("there is nothing to repeat"))
    with pytest.raises(ZeroDivisionError):
        await stream.next_event()
    await stream.close()


@pytest.mark.parametrize("end", [(UnusableSample("too short"),), ()])
async def test_a_fault_of_ours_is_not_hidden_by_what_follows_from_it(end: tuple[Step, ...]) -> None:
    class Faulty(Scripted):
        def __init__(self) -> None:
            super().__init__()
            self._events = iter([Started(RATE_HZ), *sound(0.1)])

        async def next_event(self) -> Event | None:
            if (event := next(self._events, None)) is None:
                raise ZeroDivisionError("a fault of ours")
            return event

        async def close(self) -> None:
            await asyncio.sleep(0.01)

    second = Repeating(*end)
    slots = Slots(1, 1)
    stream = PostStream(Faulty(), lambda pcm: SlotStream(second, slots, Convert(JOB), _log, pcm=pcm))
    events = [await stream.next_event() for _ in range(2)]
    assert isinstance(events[1], Audio)
    with pytest.raises(ZeroDivisionError):
        await stream.next_event()
    await stream.close()
    assert second.open == 0
