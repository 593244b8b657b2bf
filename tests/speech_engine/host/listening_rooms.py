"""What must be true of many listeners to one batched model, for any number of them, in simulated time."""

from __future__ import annotations

from functools import cache

from bench.continuity import DEADLINE_S, Result, play
from speech_engine.host.batch_model import Order
from speech_engine.host.continuity import IDLE_SHARE


@cache
def _played(order: Order, load: float, count: int) -> Result:
    return play(order, load, count)


def expect_no_gaps(load: float, count: int) -> None:
    """Five accounts, one in seven listeners with a buffered client, beside a job of 1,000 idle rows."""
    ours = _played("slack", load, count)
    print(load, ours)
    assert ours.smooth >= 0.99
    # Of a few hundred, one account's longest answer more or less is a hundredth.
    assert ours.fairness >= (0.97 if count < 1_000 else 0.99)
    # Beyond what the model makes, some are told so at once. No account is.
    assert ours.served >= (0.98 if load < 1.0 else 0.8)
    # Of forty requests of an account, two more or less are a twentieth.
    assert ours.least_served >= ((0.95 if count >= 1_000 else 0.9) if load < 1.0 else 0.6)
    assert ours.first_audio_max_s <= DEADLINE_S
    assert ours.idle >= 0.5 * IDLE_SHARE


def expect_first_sounds_sooner_than_in_turn(count: int) -> None:
    ours, fifo = _played("slack", 0.9, count), _played("fifo", 0.9, count)
    print(fifo, ours, sep="\n")
    assert ours.first_audio_p95_s <= 0.3 * fifo.first_audio_p95_s
