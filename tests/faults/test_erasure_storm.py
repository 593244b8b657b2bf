"""Voices are erased while everything goes on at once: all streams end, and nothing of them is ever kept.

A few by two workers on PostgreSQL here, 200 on each database in tests/soak/test_erasure_storm.py.
"""

from __future__ import annotations

from pathlib import Path

from tests.faults.erasure_storms import expect_nothing_kept


async def test_nothing_of_an_erased_voice_is_kept_anywhere(tmp_path: Path) -> None:
    await expect_nothing_kept(tmp_path, workers=2, waves=1)
