"""A client that stops reading: the slot is free all the same, memory is bounded, and it is cut off."""

from __future__ import annotations

from pathlib import Path

from tests.faults.stalls import expect_stalled_clients_to_be_cut_off
from tests.server import running

STALL_S = 3.0


def test_a_stalled_client_holds_no_slot_little_memory_and_is_cut_off(folder: Path) -> None:
    with running(folder, environ={"VOXGATE_SERVER__STALL_S": str(STALL_S)}) as server:
        expect_stalled_clients_to_be_cut_off(server, STALL_S)
