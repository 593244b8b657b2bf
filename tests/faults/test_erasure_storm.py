"""Voices are erased while everything goes on at once: all streams end, and nothing of them is ever kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.erasure_storms import VOICES, expect_nothing_kept
from tests.tables import soak

MANY = 200 // VOICES


@pytest.mark.parametrize(("workers", "waves"), [(2, 1), *soak((1, MANY), (4, MANY))])
async def test_nothing_of_an_erased_voice_is_kept_anywhere(tmp_path: Path, workers: int, waves: int) -> None:
    """One worker has SQLite, several have PostgreSQL."""
    await expect_nothing_kept(tmp_path, workers, waves)
