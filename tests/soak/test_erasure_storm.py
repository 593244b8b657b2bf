"""Two hundred voices on each database are erased while everything goes on at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.erasure_storms import VOICES, expect_nothing_kept

WAVES = 200 // VOICES


@pytest.mark.parametrize("workers", [1, 4], ids=["sqlite", "postgresql"])
async def test_nothing_of_two_hundred_voices_is_kept_anywhere(tmp_path: Path, workers: int) -> None:
    await expect_nothing_kept(tmp_path, workers, WAVES)
