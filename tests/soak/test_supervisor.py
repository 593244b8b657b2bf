"""A server that is told to stop at the moments of its start that the short twin leaves out."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proxy.processes.test_supervisor import (
    test_a_server_told_to_stop_while_it_starts_stops as assert_stops,
)


def _has_begun(log: str) -> bool:
    return "child.state.starting" in log


def _has_one_ready(log: str) -> bool:
    return "child.state.ready" in log


@pytest.mark.parametrize("has_come_to", [_has_begun, _has_one_ready])
def test_a_server_told_to_stop_while_it_starts_stops(
    tmp_path: Path, has_come_to: Callable[[str], bool]
) -> None:
    assert_stops(tmp_path, has_come_to, signal.SIGTERM)
