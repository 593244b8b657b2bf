"""A thousand listeners to one batched model at each load: the short twin has a fifth of them."""

from __future__ import annotations

import pytest

from tests.speech_engine.host.listening_rooms import (
    expect_first_sounds_sooner_than_in_turn,
    expect_no_gaps,
)


@pytest.mark.parametrize("load", [0.7, 0.9, 1.1])
def test_what_is_admitted_is_heard_without_a_gap_fairly_and_by_all(load: float) -> None:
    expect_no_gaps(load, 1_000)


def test_a_first_sound_comes_in_a_third_of_the_time_that_it_takes_in_turn() -> None:
    expect_first_sounds_sooner_than_in_turn(1_000)
