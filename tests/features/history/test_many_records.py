"""Ten thousand entries of an account: a page and the sum of their bytes are read from an index."""

import asyncio
from pathlib import Path

import structlog
from msgspec.structs import asdict

from proxy.config.sections import VaultSection
from proxy.features.history import records
from proxy.features.history.records import HISTORY, EntryFilter, HistoryStore
from proxy.file_store.vault import Vault
from proxy.storage import accounts
from proxy.storage.rows import NEWEST, PagePlace
from proxy.storage.store import Params, Statement, Store

FILL = """
WITH RECURSIVE numbers (number) AS (
    SELECT CAST(1 AS BIGINT) UNION ALL SELECT number + 1 FROM numbers WHERE number < 10000
)
INSERT INTO history (id, account, created, operation, model, voice, language, format, characters, seconds,
    tag, voices, digest, sound_format, sound_bytes, bytes, wrapped, sealed)
SELECT 'req_' || CAST(:account AS TEXT) || number, :account, number, 'speech', 'm/m',
    CASE WHEN number % 100 = 0 THEN 'rare' ELSE 'alloy' END, 'en', 'mp3', 10, 1.0, '', '',
    '', '', 0, 1000, '', CAST(:sealed AS TEXT)
FROM numbers
"""


async def plan_of(store: Store, sql: str, params: Params) -> str:
    explain = "EXPLAIN" if store.is_shared else "EXPLAIN QUERY PLAN"
    rows = await store.read(f"{explain} {sql}", params)
    return "\n".join(str(value) for row in rows for value in row.values())


async def test_pages_and_sums_are_read_from_an_index(store: Store) -> None:
    for name in "abcde":
        account = (await accounts.create(store, name=name, plan="free")).id
        await store.write(Statement(FILL, {"account": account, "sealed": "x" * 500}))
    await store.write(Statement("ANALYZE history"))
    params: Params = {**asdict(EntryFilter()), "account": account, "at": NEWEST.at, "id": "", "limit": 101}
    page = f"{HISTORY.select} account = :account AND {HISTORY._page}"
    plan = await plan_of(store, page, params)
    assert "history_by_account" in plan, plan
    assert not any(word in plan for word in ("Sort", "Seq Scan", "TEMP B-TREE", "SCAN history")), plan
    if not store.is_shared:
        plan = await plan_of(store, records._USED, params)
        assert "COVERING INDEX history_by_account" in plan, plan
        plan = await plan_of(store, records._DROP_KEYS.format(only="history.id = :id"), params)
        assert "SEARCH blobs" in plan, plan


async def test_all_pages_together_have_each_entry_once(store: Store, tmp_path: Path) -> None:
    account = (await accounts.create(store, name="a", plan="free")).id
    await store.write(Statement(FILL, {"account": account, "sealed": ""}))
    history = HistoryStore(store, Vault(store, VaultSection(), tmp_path))
    place, found = NEWEST, list[str]()
    while rows := await HISTORY.page(store, account, place, 1000, asdict(EntryFilter())):
        found += [row.id for row in rows]
        place = PagePlace(rows[-1].created, rows[-1].id)
    assert len(set(found)) == len(found) == 10_000
    rare = await HISTORY.page(store, account, NEWEST, 1000, asdict(EntryFilter(voice="rare")))
    assert len(rare) == 100
    assert await history.used_bytes(account) == 10_000_000
    assert await history.make_room(account, 9_000_000) == 1000
    assert await history.remove_filtered(account, EntryFilter(since=2001, until=3001)) == 1000
    assert await history.used_bytes(account) == 8_000_000


async def test_a_deletion_of_all_entries_lets_others_write_between(store: Store, tmp_path: Path) -> None:
    account = (await accounts.create(store, name="a", plan="free")).id
    await store.write(Statement(FILL, {"account": account, "sealed": ""}))
    history, written, is_over = (
        HistoryStore(store, Vault(store, VaultSection(), tmp_path)),
        0,
        asyncio.Event(),
    )

    async def neighbour() -> None:
        nonlocal written
        while not is_over.is_set():
            await store.write(Statement("UPDATE accounts SET name = name WHERE id = 'none'"))
            written += 1

    beside = asyncio.create_task(neighbour())
    with structlog.testing.capture_logs() as logs:
        assert await history.remove_filtered(account, EntryFilter()) == 10_000
    is_over.set()
    await beside
    assert written >= 10_000 // 250
    assert [log for log in logs if log["event"] == "commit.held" and log["rows"] > 500] == []
