"""Voices are erased while everything goes on at once: all streams end, and nothing of them is ever kept.

A few here, 200 on each database in tests/soak/test_erasure_storm.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.erasure_storms import expect_nothing_kept


@pytest.mark.parametrize(("database", "waves"), [("sqlite", 2), ("postgresql", 1)])
async def test_nothing_of_an_erased_voice_is_kept_anywhere(tmp_path: Path, database: str, waves: int) -> None:
    await expect_nothing_kept(tmp_path, database, waves)
