"""docs/commands.txt is what the commands print on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import session
from tests.docs.pages import ROOT
from tests.server import Server, running


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path, (ROOT / "config.toml").read_text()) as server:
        yield server


def test_the_recorded_session_is_what_the_commands_print(fresh: Server) -> None:
    recorded = session.FILE.read_text()
    assert session.record(fresh) == recorded, "record it anew: python -m tests.docs.session"
    assert [line for line in recorded.splitlines() if len(line) > session.WIDTH] == []
