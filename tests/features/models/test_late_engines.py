"""Engines that are late with their first audio rest until an idle probe finds them quick."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from policies.routing import Candidate, Model, move_late_last
from proxy.engines.hosts.in_process import InProcessEngine
from proxy.features.models.late_engines import PROBE_S, LateEngines
from speech_engine import EngineVoice, ModelInfo, Sample, Samples, Speak, VoiceInfo
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.engines.keys import job
from tests.speech_engine.host import simulated_time
from tests.speech_engine.host.fakes import read
from tests.tables import each_row

WITHIN_S = 5.4


class Slow(Scripted):
    """Its first audio takes `takes_s`."""

    takes_s = 9.0

    def __init__(self, **stated: object) -> None:
        super().__init__(lambda: asyncio.sleep(self.takes_s), *spoken(0.5), **stated)


class Mute(Slow):
    def voices(self) -> tuple[VoiceInfo, ...]:
        return ()


def candidate(engine: str, *, is_trained: bool = True, voice: Any = None) -> Candidate:
    info = ModelInfo(id="m", languages=(), sample_rate_hz=24_000, is_trained=is_trained)
    return Candidate(Model(engine, info), voice or EngineVoice("v"))


def simulated(play: Callable[[LateEngines, Slow, InProcessEngine], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        slow = Slow()
        engine = InProcessEngine(slow, 9)
        late = LateEngines({"slow": engine}.__getitem__)
        try:
            await play(late, slow, engine)
        finally:
            await late.aclose()

    simulated_time.run(run())


def test_two_misses_within_a_minute_are_too_many() -> None:
    async def play(late: LateEngines, _slow: Slow, _engine: InProcessEngine) -> None:
        for pause_s in (60.0, 70.0, 59.0):
            assert not late.names
            late.note_miss(candidate("slow"), "en", WITHIN_S)
            await asyncio.sleep(pause_s)
        assert not late.names
        late.note_miss(candidate("slow"), "en", WITHIN_S)
        assert late.names == {"slow"}

    simulated(play)


def miss_twice(late: LateEngines) -> None:
    for _ in range(2):
        late.note_miss(candidate("slow"), "en", WITHIN_S)
    assert late.names == {"slow"}


def test_it_rests_until_one_probe_succeeds() -> None:
    async def play(late: LateEngines, slow: Slow, engine: InProcessEngine) -> None:
        miss_twice(late)
        await asyncio.sleep(60.0)
        assert late.names == {"slow"}
        assert {(each.urgency, round(each.deadline_s, 3)) for each in slow.jobs} == {("idle", WITHIN_S)}
        slow.takes_s = 1.0
        await asyncio.sleep(WITHIN_S + PROBE_S + 1.1)
        assert (late.names, slow.open, (await engine.health()).running) == (set(), 0, 0)
        # It takes two misses again.
        late.note_miss(candidate("slow"), "en", WITHIN_S)
        assert not late.names

    simulated(play)


def test_a_busy_engine_is_not_probed() -> None:
    async def play(late: LateEngines, slow: Slow, engine: InProcessEngine) -> None:
        slow.takes_s = 120.0
        speaking = asyncio.create_task(read(engine.open(Speak(job(deadline_s=1000.0)))))
        await asyncio.sleep(1.0)
        miss_twice(late)
        await asyncio.sleep(100.0)
        assert [each.id for each in slow.jobs] == ["req_1"]
        slow.takes_s = 0.0
        await speaking
        await asyncio.sleep(2 * PROBE_S)
        assert (late.names, [each.id for each in slow.jobs]) == (set(), ["req_1", "probe"])

    simulated(play)


def test_recordings_of_an_account_are_not_for_probes() -> None:
    async def play(late: LateEngines, slow: Slow, _engine: InProcessEngine) -> None:
        slow.takes_s = 0.0
        own = Samples((Sample("digest"),))
        for _ in range(2):
            late.note_miss(candidate("slow", voice=own), "en", WITHIN_S)
        await asyncio.sleep(2 * PROBE_S)
        assert [each.voice for each in slow.jobs] == [EngineVoice("v")]
        mute = LateEngines({"slow": InProcessEngine(Mute(), 9)}.__getitem__)
        for _ in range(2):
            mute.note_miss(candidate("slow", voice=own), "en", WITHIN_S)
        assert not mute.names

    simulated(play)


@each_row(
    ("order", "tried"),
    [
        (["late", "well", "ROBOT"], ["well", "late", "ROBOT"]),
        # Where no other natural one is before the robot, the late one is tried.
        (["late", "ROBOT"], ["late", "ROBOT"]),
        (["late", "ROBOT", "well"], ["late", "ROBOT", "well"]),
        (["well", "late"], ["well", "late"]),
    ],
)
def test_a_late_engine_is_behind_its_natural_neighbours(order: list[str], tried: list[str]) -> None:
    candidates = [candidate(name, is_trained=name.islower()) for name in order]
    assert [each.model.engine for each in move_late_last(candidates, {"late"})] == tried
