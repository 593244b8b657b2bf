"""Slots with a gate: who goes in, who waits, and who is told when there is room."""

import asyncio

import pytest

from speech_engine import EngineBusy, SpeechJob, Urgency
from speech_engine.host.slot_turn import SlotTurn
from speech_engine.host.slots import Slots
from speech_engine.values import EngineVoice
from tests.speech_engine.host import simulated_time


class Door:
    """A gate that a test opens: by name, how long a job does not fit."""

    predicts_waits = False

    def __init__(self) -> None:
        self.shut_s: dict[str, float] = {}
        self.admitted: tuple[str, ...] = ()
        self.begun: set[str] = set()

    def goes_on(self, job: SpeechJob) -> bool:
        return job.id in self.begun

    def fits_in_s(self, job: SpeechJob, admitted: tuple[SpeechJob, ...]) -> float:
        self.admitted = tuple(each.id for each in admitted)
        return self.shut_s.get(job.id, 0.0)

    def figures(self) -> dict[str, float]:
        return {}


def job(id_: str, urgency: Urgency = "live") -> SpeechJob:
    return SpeechJob(
        id=id_, tenant="", model="m", voice=EngineVoice("v"), segments=(), language="en", urgency=urgency
    )


def comes(
    slots: Slots, id_: str, tenant: str = "one", deadline_s: float = 9.0, urgency: Urgency = "live"
) -> asyncio.Task[SlotTurn]:
    return asyncio.create_task(slots.enter(tenant, deadline_s, 1.0, job=job(id_, urgency)))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_job_that_does_not_fit_waits_and_goes_in_when_it_does() -> None:
    async def play() -> None:
        door = Door()
        slots = Slots(4, 8, door)
        door.shut_s["late"] = 3.0
        first = await comes(slots, "first")
        late = comes(slots, "late")
        await asyncio.sleep(1.0)
        assert not late.done()
        assert door.admitted == ("first",)
        door.shut_s.clear()
        await asyncio.sleep(0.3)  # nobody left: the slots look again by themselves
        slots.leave(await late)
        slots.leave(first)
        assert (slots.running, slots.waiting) == (0, 0)

    simulated_time.run(play())


def test_a_job_that_will_not_fit_in_time_is_told_when_it_would() -> None:
    async def play() -> None:
        door = Door()
        door.shut_s["late"] = 20.0
        slots = Slots(4, 8, door)
        with pytest.raises(EngineBusy) as busy:
            await comes(slots, "late")
        assert busy.value.retry_after_s == 20.0
        assert (slots.running, slots.waiting) == (0, 0)

    simulated_time.run(play())


@pytest.mark.parametrize(("predicts_waits", "told_s"), [(False, 16.125), (True, 12.25)])
def test_jobs_in_line_are_told_as_soon_as_the_gate_will_stay_shut_too_long(
    predicts_waits: bool, told_s: float
) -> None:
    """A batch knows when a job fits, so that it need not come early."""

    async def play() -> None:
        door = Door()
        door.predicts_waits = predicts_waits
        slots = Slots(1, 8, door)
        first = await comes(slots, "first")
        late, patient = comes(slots, "late"), comes(slots, "patient", deadline_s=60.0)
        await asyncio.sleep(1.0)
        # No slot is free, so this is no news of a turn.
        door.shut_s["late"] = 20.0
        await asyncio.sleep(0.3)
        with pytest.raises(EngineBusy) as busy:
            await late
        assert busy.value.retry_after_s == told_s
        slots.leave(first)
        slots.leave(await patient)

    simulated_time.run(play())


def test_what_goes_on_and_what_nobody_waits_for_pass_a_job_that_does_not_fit() -> None:
    async def play() -> None:
        door = Door()
        door.shut_s["late"] = 5.0
        door.begun.add("ahead")
        slots = Slots(4, 8, door)
        late = comes(slots, "late", "one")
        await settle()
        ahead = comes(slots, "ahead", "two", urgency="ahead")
        idle = comes(slots, "idle", "three", urgency="idle")
        live = comes(slots, "live", "four")
        await settle()
        assert ahead.done()
        assert idle.done()
        assert not late.done()
        assert not live.done()  # between accounts the order stands
        door.shut_s.clear()
        for task in (late, ahead, idle, live):
            slots.leave(await task)

    simulated_time.run(play())


def test_a_part_of_an_answer_that_began_elsewhere_waits_as_newcomers_do() -> None:
    async def play() -> None:
        door = Door()
        door.shut_s["stranger"] = 5.0
        door.begun |= {"one of ours", "a whole one of ours"}
        slots = Slots(4, 8, door)
        stranger = comes(slots, "stranger", "one", urgency="ahead")
        await settle()
        assert not stranger.done()
        ours = comes(slots, "one of ours", "two", urgency="ahead")
        whole = comes(slots, "a whole one of ours", "three", urgency="whole")
        await settle()
        assert ours.done()
        assert whole.done()
        door.shut_s.clear()
        for task in (stranger, ours, whole):
            slots.leave(await task)

    simulated_time.run(play())


def test_a_cancelled_wait_at_the_gate_leaves_nothing_behind() -> None:
    async def play() -> None:
        door = Door()
        door.shut_s["late"] = 5.0
        slots = Slots(1, 8, door)
        late = comes(slots, "late")
        await settle()
        late.cancel()
        await asyncio.wait([late])
        assert (slots.running, slots.waiting) == (0, 0)
        slots.leave(await comes(slots, "next"))

    simulated_time.run(play())


def test_of_one_account_the_more_urgent_goes_first_and_gains_nothing_over_others() -> None:
    async def play() -> None:
        slots = Slots(1, 20)
        order: list[str] = []

        async def visit(id_: str, tenant: str, urgency: Urgency) -> None:
            turn = await slots.enter(tenant, 60.0, 1.0, job=job(id_, urgency))
            order.append(id_)
            await asyncio.sleep(1.0)
            slots.leave(turn)

        asks: list[tuple[str, str, Urgency]] = [
            ("first", "one", "live"),
            ("idle", "one", "idle"),
            ("whole", "one", "whole"),
            ("ahead", "one", "ahead"),
            ("live", "one", "live"),
            ("other", "two", "idle"),
        ]
        await asyncio.gather(*(visit(*ask) for ask in asks))
        assert [each for each in order if each != "other"] == ["first", "live", "ahead", "whole", "idle"]
        assert set(order[-2:]) == {"idle", "other"}, "idle work comes after all who listen"

    simulated_time.run(play())


def test_idle_work_never_takes_all_slots() -> None:
    async def play() -> None:
        slots = Slots(8, 20)
        idle = [comes(slots, f"idle_{number}", urgency="idle") for number in range(6)]
        await settle()
        assert sum(task.done() for task in idle) == 2
        live = await comes(slots, "live", "two")
        slots.leave(live)
        for task in idle:
            slots.leave(await task)

    simulated_time.run(play())
