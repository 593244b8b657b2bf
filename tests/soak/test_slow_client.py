"""Clients that stop reading, with the limit as it is shipped."""

from __future__ import annotations

from pathlib import Path

from proxy.config.sections import Server as Section
from tests.faults.stalls import CONFIG, expect_stalled_clients_to_be_cut_off
from tests.server import running


def test_a_stalled_client_is_cut_off_after_half_a_minute(tmp_path: Path) -> None:
    assert Section().stall_s == 30.0
    with running(tmp_path, CONFIG) as server:
        expect_stalled_clients_to_be_cut_off(server, 30.0)
