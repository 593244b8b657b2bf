"""The pulse tells every change at once, and work that goes on at most once a second."""

from __future__ import annotations

from speech_engine.host.pulse import TELL_EVERY_S, Pulse


def test_beginning_pausing_and_ending_are_told_at_once() -> None:
    told: list[int] = []
    pulse = Pulse(told.append, clock=lambda: 100.0)
    with pulse.working():
        with pulse.working(), pulse.waiting():
            assert told == [1, 2, 1]
    assert told == [1, 2, 1, 2, 1, 0]


def test_ticks_are_told_once_a_second_and_change_nothing() -> None:
    told: list[int] = []
    now = 100.0
    pulse = Pulse(told.append, clock=lambda: now)
    with pulse.working():
        for _ in range(50):
            pulse.tick()
        assert told == [1]
        now += TELL_EVERY_S
        pulse.tick()
        pulse.tick()
        assert told == [1, 1]


def test_a_job_that_breaks_is_no_longer_in_work() -> None:
    told: list[int] = []
    pulse = Pulse(told.append)
    try:
        with pulse.working():
            raise ValueError
    except ValueError:
        pass
    assert told[-1] == 0
