"""kill -9 in the middle of writing: whatever was acknowledged is there when the store opens again."""

import asyncio
import signal
import sys
from pathlib import Path

from proxy.storage.sqlite import SqliteStore
from tests.proxy.storage.notes import note


async def test_every_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "voxgate.db"
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.proxy.storage.crash_writer", str(path), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    acknowledged = [await writer.stdout.readline() for _ in range(200)]
    writer.kill()
    acknowledged += (await writer.stdout.read()).splitlines()
    assert await writer.wait() == -signal.SIGKILL

    store = await SqliteStore.open(path)
    kept = {row["id"] for row in await store.read("SELECT id FROM notes")}
    await store.write(note("after"))
    await store.close()
    acknowledged_ids = {line.decode().strip() for line in acknowledged}
    assert len(acknowledged_ids) >= 200
    assert acknowledged_ids <= kept
