"""Clients that stop reading, with the limit as it is shipped."""

from __future__ import annotations

from proxy.config.sections import Server as Section
from tests.faults.stalls import expect_stalled_clients_to_be_cut_off
from tests.server import Server


def test_a_stalled_client_is_cut_off_after_half_a_minute(server: Server) -> None:
    assert Section().stall_s == 30.0
    expect_stalled_clients_to_be_cut_off(server, 30.0)
