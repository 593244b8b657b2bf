"""A server that is killed while a recording is still coming in."""

from __future__ import annotations

from pathlib import Path

from tests.faults.test_voice_canary import expect_a_killed_upload_to_leave_nothing_in_plain


def test_an_upload_that_is_killed_half_way_leaves_nothing_in_plain(tmp_path: Path) -> None:
    expect_a_killed_upload_to_leave_nothing_in_plain(tmp_path, "half of it came")
