"""The CLI beside a saturated server: no command fails, no request fails, and a revoked key is soon dead."""

from __future__ import annotations

from pathlib import Path

from tests.faults.key_lives import expect_keys_to_come_and_go
from tests.server import running

KEYS = 1


def test_keys_come_and_go_beside_a_saturated_server(folder: Path) -> None:
    with running(folder) as server:
        expect_keys_to_come_and_go(server, KEYS)
