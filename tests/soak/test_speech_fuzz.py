"""Very many mixed requests for speech, with another seed for each two thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.speech_fuzz import expect_speech_to_stay_in_bounds

ROUNDS, COUNT = 10, 2_000


@pytest.mark.parametrize("seed", range(100, 100 + ROUNDS))
def test_whatever_is_asked_holds_nobody_up_and_leaves_nothing(folder: Path, seed: int) -> None:
    totals = expect_speech_to_stay_in_bounds(folder, COUNT, seed)
    print(f"{dict(sorted(totals.told.items()))}, {totals.grown_bytes / 2**20:.1f} MiB more")
