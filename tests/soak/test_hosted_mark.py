"""A mark that loads without end keeps what is due silent, as one does that cannot be loaded."""

from __future__ import annotations

from pathlib import Path

from tests.faults.test_hosted_mark import expect_what_is_due_to_be_silent


def test_a_mark_that_loads_without_end_keeps_what_is_due_silent(tmp_path: Path) -> None:
    expect_what_is_due_to_be_silent(tmp_path, "import threading; threading.Event().wait()", 1)
