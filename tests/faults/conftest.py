"""One server for each module that does not end it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import place
from tests.faults.leaving import scene
from tests.server import TONE, live_server

__all__ = ["folder", "place", "scene", "server"]

server = live_server(TONE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
