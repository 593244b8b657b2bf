"""Every network whose operators the reader cannot judge to the end, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.kokoro import hostile
from tests.plugins.kokoro.test_hostile import test_what_the_reader_cannot_know_ends_no_process as ends_none


@pytest.mark.parametrize("name", hostile.HELD)
def test_none_of_them_ends_it(tmp_path: Path, name: str) -> None:
    ends_none(tmp_path, name)
