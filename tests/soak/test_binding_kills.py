"""Kill -9 at the steps of a clone that the short twin leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.features.clones.test_kills import MORE_STEPS
from tests.features.clones.test_kills import (
    test_a_killed_worker_and_an_erasure_leave_nothing as kill_and_erase,
)
from tests.features.clones.test_kills import test_a_killed_worker_leaves_one_known_voice as kill_at


@pytest.mark.parametrize(("engine", "fault", "path", "made"), MORE_STEPS)
async def test_a_killed_worker_leaves_one_known_voice(
    tmp_path: Path, engine: str, fault: str, path: str, made: int
) -> None:
    await kill_at(tmp_path, engine, fault, path, made)


async def test_a_killed_worker_and_an_erasure_leave_nothing(tmp_path: Path) -> None:
    await kill_and_erase(tmp_path, "elevenlabs", "voices/add")
