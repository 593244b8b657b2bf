"""What an older version erases and closes on a newer database, and what it leaves alone there."""

from pathlib import Path

import msgspec
import pytest

from proxy.config.sections import VaultSection
from proxy.features.erasure import tombstone_rows
from proxy.file_store.vault import Vault
from proxy.storage import accounts, schema, tombstones
from proxy.storage.schema import Migration, known_migrations, migrate
from proxy.storage.store import Statement, Store
from proxy.storage.tables import Table
from proxy.storage.tombstones import Tombstone
from tests.features.erasure.test_leases import erasure_with, step
from tests.features.erasure.test_steps import ACCOUNT, Things
from tests.proxy.file_store.owned import Owned, add_voice

KNOWN = len(known_migrations())
LIKENESSES = Migration(KNOWN + 1, "likenesses", ("CREATE TABLE likenesses (account TEXT, voice TEXT)",))
TABLE = Table(
    "likenesses",
    erased_with=("DELETE FROM likenesses WHERE voice = :subject",),
    closed_with=("DELETE FROM likenesses WHERE account = :id",),
)


async def likenesses(store: Store) -> list[str]:
    return [row["voice"] for row in await store.read("SELECT voice FROM likenesses ORDER BY voice")]


async def add_likeness(store: Store, account: str, voice: str) -> None:
    row = {"account": account, "voice": voice}
    await store.write(Statement("INSERT INTO likenesses (account, voice) VALUES (:account, :voice)", row))


def upgrade(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "tables", (TABLE, *store.tables))
    monkeypatch.setattr(schema, "known_version", lambda: KNOWN + 1)


async def test_what_an_older_version_erased_and_closed_is_done_once_more(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = Owned(await add_voice(store, ACCOUNT), ACCOUNT)
    things = Things()
    older = erasure_with(store, things, tmp_path)
    await older.erase_voice(long_ago)
    await store.write(Statement("UPDATE erasures SET began = began - 3600000000"))
    await migrate(store, [*known_migrations(), LIKENESSES])
    voice, closed = (
        Owned(await add_voice(store, ACCOUNT), ACCOUNT),
        await accounts.create(store, name="c", plan="p"),
    )
    for of in ((ACCOUNT, voice.id), (closed.id, "voice_of_closed"), (ACCOUNT, "voice_kept")):
        await add_likeness(store, *of)
    await older.erase_voice(voice)
    await accounts.close(store, closed.id)
    await older.repeat_for_older()
    assert len(await likenesses(store)) == 3
    upgrade(store, monkeypatch)
    newer = erasure_with(store, things, tmp_path)
    await newer.repeat_for_older()
    assert await likenesses(store) == ["voice_kept"]
    receipt = await tombstones.get(newer._store, ACCOUNT, voice.id)
    assert receipt is not None
    assert (receipt.completed, "files" in receipt.pending) == (None, True)
    before = await tombstones.get(newer._store, ACCOUNT, long_ago.id)
    assert before is not None
    assert before.completed is not None
    await step(newer)
    done = await tombstones.get(newer._store, ACCOUNT, voice.id)
    assert done is not None
    assert done.completed is not None
    await newer.repeat_for_older()
    assert await tombstones.get(newer._store, ACCOUNT, voice.id) == done


async def test_an_older_version_leaves_an_erasure_of_a_newer_one_to_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(store, [*known_migrations(), LIKENESSES])
    older, newer = (erasure_with(store, Things(), tmp_path) for _ in range(2))
    stone = Tombstone(subject="voice_x", account=ACCOUNT, digests=(), began=1, pending=("files",), lease=1)
    with monkeypatch.context() as patch:
        upgrade(store, patch)
        await tombstone_rows.erase_subject(store, stone)
    assert await older.look() == []
    upgrade(store, monkeypatch)
    assert [each.subject for each in await newer.look()] == ["voice_x"]
    await newer.finish()


async def test_an_older_version_does_not_tidy_the_vault(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.file_store.vault.LEFT_OVER_S", 0.0)
    vault = Vault(store, VaultSection(), tmp_path)
    digest = await vault.put(ACCOUNT, b"a recording that only the newer version names" * 100)
    await store.write(Statement("DELETE FROM blobs"))
    await migrate(store, [*known_migrations(), msgspec.structs.replace(LIKENESSES)])
    for _ in range(2):
        await vault.tidy()
    assert [path.name for path in (tmp_path / "voices").rglob("*") if path.name.startswith(f"{digest}.")]
    upgrade(store, monkeypatch)
    for _ in range(2):
        await vault.tidy()
    assert not [path.name for path in (tmp_path / "voices").rglob("*") if path.name.startswith(f"{digest}.")]
