"""Units that change one voice lock their rows in one order: none waits until PostgreSQL finds a deadlock."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from proxy.feature_list import open_store
from proxy.features.own_voices import records as voices
from proxy.storage import accounts
from proxy.storage.store import Row, Statement, Store
from tests.databases import Postgres
from tests.features.own_voices.saving import add_cast
from tests.features.own_voices.test_races import CLOSE, GATE, OPEN, WAITING, Gated


class GatedBeforeTheLast(Gated):
    """A store whose units have done all but the last statement, and wait for the gate."""

    async def write(self, *statements: Statement) -> list[list[Row]]:
        answers = await self._store.write(*statements[:-1], Statement(GATE), statements[-1])
        return [*answers[:-2], answers[-1]]


async def someone_waits(store: Store, kind: str) -> None:
    while not (await store.read(WAITING, {"kind": kind}))[0]["waiting"]:
        pass


async def test_a_voice_is_deleted_while_it_is_changed(shared_postgres: Postgres, tmp_path: Path) -> None:
    # The server would look for a deadlock far too late for this test.
    url = shared_postgres.url(search_path=shared_postgres.new_schema(), deadlock_timeout="60s")
    async with open_store(url, tmp_path) as first, open_store(url, tmp_path) as second:
        account = await accounts.create(first, name="ada", plan="free")
        voice = await add_cast(first, account.id, "talk")
        assert voice is not None
        gated: Any = GatedBeforeTheLast(first)
        async with asyncio.timeout(4.0), first._pools.readers.acquire() as gate:  # type: ignore[attr-defined]
            await gate.execute(CLOSE)
            deleting = asyncio.create_task(voices.delete_voice(gated, voice.id))
            await someone_waits(second, "advisory")
            changed = msgspec.structs.replace(voice, description="new")
            changing = asyncio.create_task(voices.update_voice(second, voice, changed))
            await someone_waits(second, "transactionid")
            await gate.execute(OPEN)
            assert await deleting
            assert await changing is None
        assert await voices.get(second, None, voice.id) is None
