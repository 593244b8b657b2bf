"""The server of the modules that do not end it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import place
from tests.faults.leaving import scene
from tests.server import Server

__all__ = ["folder", "place", "scene", "server"]


@pytest.fixture
def server(plain_server: Server) -> Server:
    return plain_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
