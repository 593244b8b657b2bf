"""A process that writes as fast as it can and prints what was acknowledged, until somebody kills it."""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Statement
from tests.proxy.storage.notes import note


async def _write_on(store: SqliteStore, writer: int) -> None:
    for number in itertools.count():
        id_ = f"{writer}-{number}"
        await store.write(note(id_))
        os.write(1, f"{id_}\n".encode())


async def main(path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.write(Statement("CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL)"))
    await asyncio.gather(*(_write_on(store, writer) for writer in range(8)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
