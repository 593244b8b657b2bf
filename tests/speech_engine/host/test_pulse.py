"""The pulse tells every change at once, and work that goes on at most once a second."""

import asyncio

from speech_engine.host.cluster_messages import HostLoad
from speech_engine.host.pipe_messages import Tick
from speech_engine.host.pulse import TELL_EVERY_S, Pulse


def test_a_job_that_begins_pauses_and_ends_is_told_at_once() -> None:
    told: list[Tick] = []
    pulse = Pulse(told.append, clock=lambda: 100.0)
    pulse.begin("a", b"1")
    pulse.begin("b", b"2")
    with pulse.waiting("a"):
        assert told == [Tick(1, begun="a", digest=b"1"), Tick(2, begun="b", digest=b"2"), Tick(1)]
    pulse.end("a")
    pulse.end("b", is_whole=False)
    assert told[3:] == [Tick(2), Tick(1, "", "a", b"1", is_whole=True), Tick(0, "", "b", b"2")]


def test_ticks_are_told_once_a_second_and_change_nothing() -> None:
    told: list[Tick] = []
    now = 100.0
    pulse = Pulse(told.append, clock=lambda: now)
    pulse.begin("a")
    for _ in range(50):
        pulse.tick()
    assert [tick.working for tick in told] == [1]
    now += TELL_EVERY_S
    pulse.tick()
    pulse.tick()
    assert [tick.working for tick in told] == [1, 1]


def test_a_job_that_never_began_has_no_end_to_tell() -> None:
    told: list[Tick] = []
    pulse = Pulse(told.append)
    pulse.end("a")
    assert told == []


def test_a_job_whose_wait_breaks_off_is_in_work_again() -> None:
    told: list[Tick] = []
    pulse = Pulse(told.append)
    pulse.begin("a")
    try:
        with pulse.waiting("a"):
            raise ValueError
    except ValueError:
        pass
    assert told[-1] == Tick(1)


async def test_a_pause_is_that_of_the_job_whose_task_waits() -> None:
    told: list[Tick] = []
    pulse = Pulse(told.append)
    gate = asyncio.Event()

    async def work(call: str) -> None:
        pulse.begin(call)
        with pulse.waiting_here():
            await gate.wait()
        pulse.end(call)

    with pulse.waiting_here():
        assert told == []  # no job's task
    jobs = [asyncio.create_task(work(call)) for call in "ab"]
    await asyncio.sleep(0)
    assert [tick.working for tick in told] == [1, 0, 1, 0]
    with pulse.waiting_here():
        assert len(told) == 4
    gate.set()
    await asyncio.gather(*jobs)
    assert told[-1].working == 0
    assert max(tick.working for tick in told) == 1


def test_a_host_of_many_short_jobs_tells_its_load_and_figures() -> None:
    told: list[Tick] = []
    now = 100.0
    pulse = Pulse(told.append, clock=lambda: now)
    pulse.load = lambda: HostLoad(7, 8, 0.5)
    pulse.figures = lambda: {"steps": 1.0}
    for number in range(30):
        now += 0.125
        pulse.begin(f"{number}")
        if number:
            pulse.end(f"{number - 1}")
    assert sum(tick.load == HostLoad(7, 8, 0.5) for tick in told) == 30
    assert sum(bool(tick.figures) for tick in told) == 3


def test_figures_are_told_with_a_tick_and_when_all_work_has_ended() -> None:
    told: list[Tick] = []
    now = 100.0
    pulse = Pulse(told.append, clock=lambda: now)
    pulse.figures = lambda: {"steps": now}
    pulse.begin("a")
    pulse.begin("b")
    now += TELL_EVERY_S
    pulse.tick()
    pulse.end("a")
    pulse.end("b")
    assert [tick.figures for tick in told] == [{}, {}, {"steps": now}, {}, {"steps": now}]
