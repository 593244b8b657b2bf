"""What a voice needs goes at the moment in which the voice is added: one of the two happens, and not both.

On PostgreSQL each unit has a connection of its own. The first one has not committed when the other comes.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from proxy.catalogue.voice_records import VoiceRecord
from proxy.feature_list import open_store
from proxy.features.consents import records as consents
from proxy.features.consents.records import ConsentRecord
from proxy.features.erasure import tombstone_rows
from proxy.features.own_voices import records as voices
from proxy.storage import accounts, blobs
from proxy.storage.blobs import BlobRow
from proxy.storage.rows import new_id
from proxy.storage.sample_record import SampleRecord
from proxy.storage.store import Row, Statement, Store
from proxy.storage.tombstones import Tombstone
from tests.databases import Postgres

pytestmark = pytest.mark.slow

DIGEST = "ab" * 32
CONSENT = "cons_1"
GATE = "SELECT CAST(pg_advisory_xact_lock(1) AS TEXT) AS gate"
CLOSE = "SELECT CAST(pg_advisory_lock(1) AS TEXT) AS gate"
OPEN = "SELECT pg_advisory_unlock(1) AS is_open"
WAITING = "SELECT count(*) AS waiting FROM pg_locks WHERE NOT granted AND locktype = :kind"


class Gated:
    """A store whose units have done all but the commit, and wait for the gate."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, *statements: Statement) -> list[list[Row]]:
        return (await self._store.write(*statements, Statement(GATE)))[:-1]


class Race:
    """Two servers on one database, and a gate between them."""

    def __init__(self, first: Store, second: Store, account: str) -> None:
        self.store = second
        self.account = account
        self._gated: Any = Gated(first)
        self._first = first

    async def run(self, first: str, second: str) -> tuple[object, object]:
        """Begin the second work while the first one is not committed, and let both end."""
        async with self._first._pools.readers.acquire() as gate:  # type: ignore[attr-defined]  # a session
            await gate.execute(CLOSE)
            one = asyncio.create_task(self._work(self._gated, first))
            await self._is_waiting(one, "advisory")
            other = asyncio.create_task(self._work(self.store, second))
            await self._is_waiting(other, "transactionid")
            await gate.execute(OPEN)
            return await one, await other

    async def _is_waiting(self, task: asyncio.Task[Any], kind: str) -> None:
        while not task.done() and not (await self.store.read(WAITING, {"kind": kind}))[0]["waiting"]:
            pass

    def _work(self, store: Any, name: str) -> Coroutine[Any, Any, object]:
        works: dict[str, Any] = {
            "add": self._add,
            "agree": self._agree,
            "drop": lambda store: blobs.delete_unused(store, self.account, [DIGEST]),
            "erase": self._erase,
        }
        work: Coroutine[Any, Any, object] = works[name](store)
        return work

    async def _add(self, store: Any) -> bool:
        record = VoiceRecord(
            id="voice_1",
            account=self.account,
            name="hmac:1",
            kind="sample",
            revision=1,
            created=1,
            members={},
            consent=CONSENT,
            wrapped="w",
            sealed="s",
        )
        sample = SampleRecord(voice=record.id, number=0, account=self.account, digest=DIGEST, seconds=9.0)
        with_statements = [voices.sample_statement(sample)]
        needs = consents.existence_condition(self.account, CONSENT)
        return (
            await voices.add_voice(
                store, record, digest=DIGEST, only_if=needs, with_statements=with_statements
            )
            is not None
        )

    async def _agree(self, store: Any) -> bool:
        return await consents.add_consent(store, consent(self.account, new_id("cons"), DIGEST), 9)

    async def _erase(self, store: Any) -> bool:
        tombstone = Tombstone(subject=CONSENT, account=self.account, digests=(), began=9)
        return await tombstone_rows.erase_subject(store, tombstone)


def consent(account: str, id_: str, digest: str | None = None) -> ConsentRecord:
    return ConsentRecord(
        id=id_,
        account=account,
        kind="statement",
        language="en",
        digest=digest,
        made_by="key_1",
        created=1,
        wrapped="w",
        sealed="s",
    )


@pytest.fixture
async def race(shared_postgres: Postgres, tmp_path: Path) -> AsyncIterator[Race]:
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    async with open_store(url, tmp_path) as first, open_store(url, tmp_path) as second:
        account = (await accounts.create(first, name="ada", plan="free")).id
        await blobs.put(first, BlobRow(account, DIGEST, "wrapped", 9))
        await consents.add_consent(first, consent(account, CONSENT), 9)
        yield Race(first, second, account)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("drop", "add"),
        ("add", "drop"),
        ("erase", "add"),
        ("add", "erase"),
        ("drop", "agree"),
        ("agree", "drop"),
    ],
)
async def test_one_of_two_happens(race: Race, first: str, second: str) -> None:
    one, other = await race.run(first, second)
    assert (bool(one), bool(other)) == (True, False)
    named = await race.store.read("SELECT digest FROM samples UNION SELECT digest FROM consents")
    if any(row["digest"] for row in named):
        assert await blobs.find(race.store, race.account, DIGEST) is not None
    if await voices.get(race.store, None, "voice_1") is not None:
        assert await consents.get(race.store, race.account, CONSENT) is not None
