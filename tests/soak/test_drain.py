"""What is under way ends alike by SIGTERM and by Ctrl-C."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults import test_drain

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@SIGNALS
def test_a_stream_under_way_finishes_whole(folder: Path, number: signal.Signals) -> None:
    test_drain.expect_a_stream_to_finish_while_new_clients_are_refused(folder, number)


@SIGNALS
def test_a_stream_longer_than_the_drain_is_broken_off(folder: Path, number: signal.Signals) -> None:
    test_drain.expect_a_stream_longer_than_the_drain_to_be_broken_off(folder, number)
