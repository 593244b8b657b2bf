"""More hostile recordings, to a real server that looks for marks."""

from __future__ import annotations

from tests.features.marks.test_detection_served import server, us
from tests.features.marks.test_detection_served import (
    test_hostile_recordings_are_refused_or_not_found as assert_refused_or_not_found,
)
from tests.server import Server

__all__ = ["server", "us"]


def test_hostile_recordings_are_refused_or_not_found(server: Server) -> None:
    assert_refused_or_not_found(server, each=3)
