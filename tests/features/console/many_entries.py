"""An account with ten thousand entries of history and a thousand voices in its usage, written at once."""

import asyncio

import msgspec

from proxy.feature_list import open_store
from proxy.storage import usage
from proxy.storage.store import Statement, Store
from tests.features.history.test_many_records import FILL
from tests.proxy.storage.test_usage import ROW
from tests.server import Server

VOICES = 1020
_NOW = "UPDATE history SET created = created + :now WHERE account = :account"


def book_many(server: Server, key: str) -> None:
    with server.client(key) as client:
        account = client.get("/v1/me").json()["account"]["id"]

    async def write() -> None:
        async with open_store("sqlite", server.data) as store:
            await store.write(Statement(FILL, {"account": account, "sealed": "x"}))
            # They are of now, so that none is too old.
            await store.write(Statement(_NOW, {"account": account, "now": await store.now() - 20_000}))
            await _book_voices(store, account)

    asyncio.run(write())


async def _book_voices(store: Store, account: str) -> None:
    now = await store.now()
    for start in range(0, VOICES, 255):
        rows = [
            msgspec.structs.replace(ROW, id=f"{account}{n}", account=account, started=now, voice=f"v{n}")
            for n in range(start, start + 255)
        ]
        await store.write(*map(usage.insert_statement, rows))
