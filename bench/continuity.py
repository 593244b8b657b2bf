"""Listeners to one batched model, in simulated time: `python -m bench.continuity`.

The real slots, order of steps and admission, beside the order in which everybody came. Only the clock and the
model are simulated: one whose rows flow, and one whose segments are heard as a whole. A listener plays what
has come; each silence between its first and its last sound is a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, cast

from msgspec.structs import replace

from bench import timed_segments
from bench.fairness import jain
from bench.listeners import GAP_S, LENGTHS_S, SHARES, Heard, Visit, visits
from bench.timed_model import CHARACTER_S, WIDTH, TimedModel, capacity
from bench.timed_segments import SegmentsModel
from plugins.xtts.model_format import RATE_HZ
from speech_engine import (
    ANY_LANGUAGE,
    Audio,
    Context,
    EngineError,
    EngineVoice,
    Event,
    Language,
    ModelInfo,
    Segment,
    Speak,
    SpeechJob,
    Urgency,
)
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchModel, BatchSettings, Order
from speech_engine.host.engine_stream import SlotStream
from speech_engine.host.slots import Slots
from tests.speech_engine.host import simulated_time
from tests.speech_engine.host.fakes import FakeLog

DEADLINE_S = 9.0
IDLE_SEGMENTS = 1_000


class Kind(NamedTuple):
    """A model and its listeners, whose answers have parts of these lengths."""

    name: str
    model: Callable[[], TimedModel | SegmentsModel]
    settings: BatchSettings
    lengths_s: Sequence[float]
    capacity: float


FLOWING = Kind(
    "rows that flow", TimedModel, BatchSettings(slots=48, rows=64, width=WIDTH), LENGTHS_S, capacity(WIDTH)
)
WHOLE = Kind(
    "segments heard as a whole",
    SegmentsModel,
    timed_segments.SETTINGS,
    timed_segments.LENGTHS_S,
    timed_segments.capacity(visits(1.0, 1_000, lengths_s=timed_segments.LENGTHS_S)),
)


class Room:
    """One model with its slots and its listeners, in simulated time."""

    def __init__(self, model: TimedModel | SegmentsModel, settings: BatchSettings) -> None:
        self._is_ranked = settings.order == "slack"
        self._model = model
        self.batch: BatchLoop[Any, Any] = BatchLoop(
            cast(BatchModel[Any, Any], model), settings, Context(FakeLog()), model.step_s, model.now
        )
        self._slots = Slots(settings.slots, 1_000, self.batch)
        self._came = asyncio.Event()
        self.slots = settings.slots
        self.idle_s = 0.0

    def models(self) -> tuple[ModelInfo, ...]:
        language = Language(ANY_LANGUAGE)
        return (ModelInfo(id="m", languages=(language,), sample_rate_hz=RATE_HZ, licence="none"),)

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        events = self.batch.speak(job, self._model.voice_of(job))
        try:
            async for event in events:
                self._came.set()
                yield event
        finally:
            ending = asyncio.ensure_future(events.aclose())
            await asyncio.sleep(0)
            self._came.set()
            await ending

    async def run_device(self) -> None:
        warming = asyncio.create_task(self.batch.warm_up(self._model.warm_up_rows))
        await asyncio.sleep(0)
        self.batch.turn()
        await warming
        while True:
            self._came.clear()
            while self.batch.is_working:
                self.batch.turn()
                took_s, self._model.took_s = self._model.took_s, 0.0
                await asyncio.sleep(took_s)
            await self._came.wait()

    async def serve(self, visit: Visit) -> Heard:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(visit.at_s - loop.time())
        heard = Heard(visit, loop.time())
        try:
            await self._hear(heard, self._part(heard, 0), 0)
            heard.is_whole_answer = True
        except EngineError:
            pass
        return heard

    async def run_idle(self) -> None:
        segments = tuple(Segment("x" * 60, 0, 60) for _ in range(IDLE_SEGMENTS))
        job = _job(99, segments, "idle" if self._is_ranked else "live", share=1.0, deadline_s=1e6)
        async for event in self._events(job):
            self.idle_s += len(event.pcm) / 2 / RATE_HZ

    async def _hear(self, heard: Heard, sounds: AsyncGenerator[float, None], part: int) -> None:
        """Hear a part, and ask for the next one as soon as this one begins, as the server does."""
        ahead: asyncio.Queue[float | EngineError | None] = asyncio.Queue()
        reading: asyncio.Task[None] | None = None
        async for seconds in sounds:
            heard.hears(seconds, asyncio.get_running_loop().time())
            if reading is None and part + 1 < heard.visit.parts:
                reading = asyncio.create_task(_read(self._part(heard, part + 1), ahead))
        if reading is not None:
            await self._hear(heard, _queued(ahead), part + 1)

    async def _part(self, heard: Heard, part: int) -> AsyncGenerator[float, None]:
        visit = heard.visit
        urgency: Urgency = "whole" if visit.is_whole else "ahead" if part else "live"
        job = _job(
            visit.account,
            self._model.segments(visit.length_s),
            urgency if self._is_ranked else "live",
            share=SHARES[visit.account],
            plays_in_s=heard.plays_in_s(part),
            rate=visit.rate,
            follows_s=visit.length_s * (visit.parts - part - 1),
            id_=f"{visit.at_s}",
        )
        async for event in self._events(job):
            yield len(event.pcm) / 2 / RATE_HZ

    async def _events(self, job: SpeechJob) -> AsyncGenerator[Audio, None]:
        stream = SlotStream(self, self._slots, Speak(job), FakeLog())
        try:
            while (event := await stream.next_event()) is not None:
                if isinstance(event, Audio):
                    yield event
        finally:
            await stream.close()


async def _read(sounds: AsyncGenerator[float, None], into: asyncio.Queue[float | EngineError | None]) -> None:
    try:
        async for seconds in sounds:
            into.put_nowait(seconds)
        into.put_nowait(None)
    except EngineError as error:
        into.put_nowait(error)


async def _queued(sounds: asyncio.Queue[float | EngineError | None]) -> AsyncGenerator[float, None]:
    while (sound := await sounds.get()) is not None:
        if isinstance(sound, EngineError):
            raise sound
        yield sound


def _job(
    account: int,
    segments: tuple[Segment, ...],
    urgency: Urgency,
    share: float,
    deadline_s: float = DEADLINE_S,
    plays_in_s: float = 0.0,
    rate: float = 1.0,
    follows_s: float = 0.0,
    id_: str = "idle",
) -> SpeechJob:
    return SpeechJob(
        id=id_,
        tenant=f"account {account}",
        model="m",
        voice=EngineVoice("v"),
        segments=segments,
        language="en",
        deadline_s=deadline_s,
        estimated_s=sum(len(segment.spoken) for segment in segments) * CHARACTER_S,
        share=share,
        urgency=urgency,
        plays_in_s=plays_in_s,
        plays_rate=rate,
        follows_s=follows_s,
    )


class Result(NamedTuple):
    """What listeners had. `smooth` is the part of those with sound that had no gap.

    `least_served` is the part of its answers that the account with the fewest got. `idle` is the part of all
    sound that work for which nobody waits made.
    """

    served: float
    least_served: float
    first_audio_p50_s: float
    first_audio_p95_s: float
    first_audio_max_s: float
    smooth: float
    fairness: float
    idle: float
    step_width: float


def play(order: Order, load: float, count: int, kind: Kind = FLOWING) -> Result:
    heard: list[Heard] = []
    room: list[Room] = []

    async def simulate() -> None:
        room.append(Room(kind.model(), replace(kind.settings, order=order)))
        device = asyncio.create_task(room[0].run_device())
        idle = asyncio.create_task(room[0].run_idle())
        drawn = visits(load * kind.capacity, count, lengths_s=kind.lengths_s)
        heard.extend(await asyncio.gather(*map(room[0].serve, drawn)))
        for task in (idle, device):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task if task is device else None

    simulated_time.run(simulate())
    return _result(heard, room[0])


def _result(heard: Sequence[Heard], room: Room) -> Result:
    live = [each for each in heard if not each.visit.is_whole and each.first_audio_s is not None]
    firsts = sorted(each.first_audio_s or 0.0 for each in live)
    wanted = dict.fromkeys(range(len(SHARES)), 0.0)
    got = dict.fromkeys(range(len(SHARES)), 0.0)
    for each in heard:
        wanted[each.visit.account] += each.visit.length_s * each.visit.parts
        got[each.visit.account] += each.seconds
    return Result(
        _served(heard),
        min(_served([each for each in heard if each.visit.account == account]) for account in got),
        firsts[len(firsts) // 2],
        firsts[int(len(firsts) * 0.95)],
        firsts[-1],
        sum(each.gap_s <= GAP_S and each.is_whole_answer for each in live) / len(live),
        jain(got[account] / wanted[account] for account in got),
        room.idle_s / (room.idle_s + sum(got.values())),
        room.batch.figures()["step_width"],
    )


def _served(heard: Sequence[Heard]) -> float:
    return sum(each.is_whole_answer for each in heard) / len(heard)


def main() -> None:
    for kind in (FLOWING, WHOLE):
        show(kind)


def show(kind: Kind) -> None:
    print(
        f"{kind.name}: the model makes {kind.capacity:.1f} s of sound a second;"
        f" {IDLE_SEGMENTS} idle segments beside it"
    )
    print("load  order  served  first audio p50    p95  no gap  Jain   idle   width")
    for load in (0.7, 0.9, 1.1):
        for order in ("fifo", "slack"):
            each = play(order, load, 1_000, kind)
            print(
                f"{load:4.1f}  {order:5}  {each.served:5.1%}  {each.first_audio_p50_s:13.2f} s"
                f"  {each.first_audio_p95_s:4.2f} s  {each.smooth:5.1%}  {each.fairness:.3f}"
                f"  {each.idle:5.1%}  {each.step_width:5.1f}"
            )


if __name__ == "__main__":
    main()
