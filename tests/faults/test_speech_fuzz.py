"""Mixed requests for speech, sent to a real server: each is spoken or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.speech_fuzz import expect_speech_to_stay_in_bounds

COUNT, SEED = 170, 8
ROUNDS, MANY = 10, 2_000


def test_whatever_is_asked_holds_nobody_up_and_leaves_nothing(folder: Path) -> None:
    totals = expect_speech_to_stay_in_bounds(folder, COUNT, SEED)
    # They are as many things as they are meant to be.
    statuses = {status for status, _ in totals.told}
    assert {200, 400, 403, 404} <= statuses, totals
    assert totals.told[200, ""] > COUNT / 3, totals
    assert totals.told[200, "left"], totals


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 100 + ROUNDS))
def test_very_many_requests_hold_nobody_up_and_leave_nothing(folder: Path, seed: int) -> None:
    totals = expect_speech_to_stay_in_bounds(folder, MANY, seed)
    print(f"{dict(sorted(totals.told.items()))}, {totals.grown_bytes / 2**20:.1f} MiB more")
