"""What a worker and a command have before any feature is there."""

from __future__ import annotations

from pathlib import Path

from tests.features.cache.keeping import CONFIG, revise
from tests.proxy.api.inside import inside


async def test_a_reload_bounds_the_sound_that_nobody_has_read_yet(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        revise(server, tmp_path, f"[server]\nspill_mb = 7\n{CONFIG}")
        assert repr(server.worker.parts.spill_room) == "<SpillRoom 0 of 7340032 bytes, 0 files>"
