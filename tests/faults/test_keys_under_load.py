"""The CLI beside a saturated server: no command fails, no request fails, and a revoked key is soon dead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.key_lives import expect_keys_to_come_and_go
from tests.server import running
from tests.tables import soak


@pytest.mark.parametrize("keys", [1, *soak(50)])
def test_keys_come_and_go_beside_a_saturated_server(folder: Path, keys: int) -> None:
    with running(folder) as server:
        expect_keys_to_come_and_go(server, keys)
