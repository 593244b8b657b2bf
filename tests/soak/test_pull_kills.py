"""A pull that is killed at every point that its short twin leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.features.models.conftest import hub
from tests.features.models.hub import Hub
from tests.features.models.puller import POINTS
from tests.features.models.test_kills import FEW_POINTS, index
from tests.features.models.test_kills import test_a_kill_leaves_nothing_half_there as kill_at

__all__ = ["hub", "index"]


@pytest.mark.parametrize("point", [point for point in POINTS if point not in FEW_POINTS])
def test_a_kill_leaves_nothing_half_there(tmp_path: Path, hub: Hub, index: Path, point: str) -> None:
    kill_at(tmp_path, hub, index, point)
