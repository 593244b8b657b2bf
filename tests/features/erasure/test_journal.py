"""The journal of erasures: what it has, a restored database loses again."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from stat import S_ISDIR

import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import all_tables, open_store
from proxy.features.erasure import tombstone_rows
from proxy.features.erasure.erasure import open_erasure
from proxy.features.erasure.journal import FILE, ErasureJournal
from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage.sqlite import SqliteStore
from proxy.storage.sqlite_backup import back_up, restore
from proxy.storage.store import Row, Statement, StorageFailed, Store
from proxy.storage.tombstones import Tombstone
from proxy.telemetry.metrics import Metrics
from tests.proxy.file_store.owned import Owned, add_consent, add_voice, needs
from tests.proxy.file_store.vaults import files_of


def tombstone(subject: str) -> Tombstone:
    return Tombstone(subject=subject, account="acc_a", digests=("d1",), began=5)


def test_what_is_appended_is_read_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    journal = ErasureJournal(tmp_path)
    assert journal.read() == []
    for subject in ("voice_1", "voice_2"):
        journal.append(tombstone(subject))
    assert [(line.subject, line.account, line.digests, line.at) for line in journal.read()] == [
        ("voice_1", "acc_a", ("d1",), 5),
        ("voice_2", "acc_a", ("d1",), 5),
    ]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_line_is_on_the_disk_and_so_is_the_name_of_a_new_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[bool] = []
    flush = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(S_ISDIR(os.fstat(descriptor).st_mode))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    journal = ErasureJournal(tmp_path)
    for number in range(2):
        journal.append(tombstone(f"voice_{number}"))
    file, folder = False, True
    assert flushed == [file, folder, file]


def test_half_a_line_hides_no_other(tmp_path: Path) -> None:
    journal = ErasureJournal(tmp_path)
    journal.append(tombstone("voice_1"))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"at":5,"subject":"voi')
    journal.append(tombstone("voice_2"))
    assert [line.subject for line in journal.read()] == ["voice_1", "voice_2"]


async def test_a_journal_that_cannot_be_written_erases_nothing(store: Store, tmp_path: Path) -> None:
    vault = Vault(store, VaultSection(), tmp_path)
    voice = await add_voice(store, "acc_a")
    async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
        (tmp_path / FILE).mkdir()
        with pytest.raises(StorageFailed, match="journal of erasures cannot be written"):
            await erasure.erase_voice(Owned(voice, "acc_a"))
    assert await tombstone_rows.list_since(store, 0) == []
    assert len(await store.read("SELECT id FROM voices")) == 1
    with pytest.raises(StorageFailed, match="journal of erasures cannot be read"):
        async with open_erasure(store, vault, tmp_path, Metrics()):
            pass


@pytest.mark.parametrize("is_copied", [True, False])
async def test_a_restored_backup_does_not_bring_a_voice_back(tmp_path: Path, is_copied: bool) -> None:
    """Also where the folder of recordings came back with it."""
    async with open_store("sqlite", tmp_path) as store:
        vault = Vault(store, VaultSection(), tmp_path)
        digest, other = await vault.put("acc_a", bytes(1000)), await vault.put("acc_a", bytes(2000))
        voice, stays = await add_voice(store, "acc_a", digest), await add_voice(store, "acc_a", other)
        (file,) = files_of(tmp_path, "acc_a", digest)
        sealed = file.read_bytes()
        await asyncio.to_thread(back_up, tmp_path / "voxgate.db", tmp_path / "backup.db")
        async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
            receipt = await erasure.erase_voice(Owned(voice, "acc_a"))
            assert receipt.completed is not None
    await asyncio.to_thread(restore, tmp_path / "backup.db", tmp_path, all_tables())
    if is_copied:
        file.write_bytes(sealed)
    async with open_store("sqlite", tmp_path) as store:
        vault = Vault(store, VaultSection(), tmp_path)
        async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
            assert erasure.replayed == 1
            assert [row["id"] for row in await store.read("SELECT id FROM voices")] == [stays]
            (receipt,) = await erasure.finish_interrupted()
            assert receipt.completed is not None
        with pytest.raises(VaultFailed):
            await vault.open("acc_a", digest)
        assert files_of(tmp_path, "acc_a", digest) == []
        assert await vault.open("acc_a", other) == bytes(2000)
        async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
            assert erasure.replayed == 0


class MeanwhileStore(SqliteStore):
    """A store in which somebody else writes something just before the next unit."""

    meanwhile: Statement | None = None

    async def write(self, *statements: Statement) -> list[list[Row]]:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await super().write(meanwhile)
        return await super().write(*statements)


async def test_a_deletion_that_was_refused_does_not_happen_at_the_next_start(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path):
        pass  # the tables
    async with AsyncExitStack() as stack:
        store = await MeanwhileStore.open(tmp_path / "voxgate.db", all_tables())
        stack.push_async_callback(store.close)
        vault = Vault(store, VaultSection(), tmp_path)
        consent, voice = await add_consent(store, "acc_a", "d1"), await add_voice(store, "acc_a")
        async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
            store.meanwhile = needs(voice, consent)
            assert await erasure.erase(Owned(consent, "acc_a")) is None
            await erasure.erase_voice(Owned(voice, "acc_a"))
        async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
            assert erasure.replayed == 0
            assert len(await store.read("SELECT id FROM consents")) == 1
            # Asked once more, it is erased, and stays so.
            assert await erasure.erase(Owned(consent, "acc_a")) is not None
        assert [line.subject for line in ErasureJournal(tmp_path).read()] == [voice, consent]
