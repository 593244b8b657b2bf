"""The vault: what people own lies sealed, opens for its owner alone, and is dropped when nothing names it."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.config.sections import VaultSection
from proxy.features.erasure import tombstone_rows
from proxy.file_store import sealing
from proxy.file_store.locked_files import PART
from proxy.file_store.objects import LEFT_MARK
from proxy.file_store.sealed_blobs import SealedBlobs
from proxy.file_store.vault import SealedRecord, Vault, VaultFailed, open_vault
from proxy.storage import blobs
from proxy.storage.blobs import BlobRow
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Row, Statement, StorageFailed, Store
from proxy.storage.tombstones import Tombstone
from proxy.telemetry.metrics import Metrics
from tests.proxy.file_store.owned import add_consent, add_voice
from tests.proxy.file_store.vaults import Said, files_of, key_text
from tests.proxy.storage.notes import migrated, no_file_larger_than

PLAIN = b"a recording that only its owner hears " * 4000


@pytest.fixture
async def vault(store: Store, tmp_path: Path) -> AsyncIterator[Vault]:
    async with open_vault(store, tmp_path, VaultSection(), Metrics()) as opened:
        yield opened


def files(data: Path) -> list[Path]:
    return sorted(path for path in (data / "voices").rglob("*") if path.is_file())


async def test_a_recording_comes_back_as_it_was_put(vault: Vault, tmp_path: Path) -> None:
    digest = await vault.put("acc_a", PLAIN)
    assert await vault.open("acc_a", digest) == PLAIN
    assert files(tmp_path) == files_of(tmp_path, "acc_a", digest)
    assert PLAIN[:64] not in files(tmp_path)[0].read_bytes()


async def test_the_same_bytes_twice_are_one_blob_and_of_two_accounts_are_two(
    vault: Vault, tmp_path: Path
) -> None:
    digests = await asyncio.gather(*(vault.put("acc_a", PLAIN) for _ in range(8)))
    assert len(set(digests)) == len(files(tmp_path)) == 1
    other = await vault.put("acc_b", PLAIN)
    assert other != digests[0]
    first, second = (path.read_bytes() for path in files(tmp_path))
    assert first != second
    await vault.drop("acc_a", [digests[0]])
    assert await vault.open("acc_b", other) == PLAIN
    with pytest.raises(VaultFailed, match="there is no recording"):
        await vault.open("acc_b", digests[0])


async def test_equal_files_of_a_feature_are_two_blobs(store: Store, vault: Vault) -> None:
    files_of_feature = SealedBlobs(store, vault)
    one, other = [await files_of_feature.put("acc_a", PLAIN) for _ in range(2)]
    await files_of_feature.drop("acc_a", one)
    assert await files_of_feature.whole("acc_a", other) == PLAIN


async def test_a_recording_that_something_names_is_not_dropped(store: Store, vault: Vault) -> None:
    one, two, three = [await vault.put("acc_a", bytes([number])) for number in range(3)]
    voice = await add_voice(store, "acc_a", one)
    consent = await add_consent(store, "acc_a", two)
    await vault.drop("acc_a", [one, two, three])
    assert [await vault.open("acc_a", digest) for digest in (one, two)] == [b"\0", b"\1"]
    with pytest.raises(VaultFailed):
        await vault.open("acc_a", three)
    await store.write(
        Statement("DELETE FROM samples WHERE voice = :id", {"id": voice}),
        Statement("DELETE FROM consents WHERE id = :id", {"id": consent}),
    )
    await vault.drop("acc_a", [one, two, three])
    for digest in (one, two):
        with pytest.raises(VaultFailed):
            await vault.open("acc_a", digest)


@pytest.mark.parametrize(
    "change", ["cut", "cut at its head", "flipped", "of another account", "of another blob", "gone"]
)
async def test_a_file_that_is_not_as_it_was_sealed_is_refused(
    vault: Vault, tmp_path: Path, change: str
) -> None:
    digest = await vault.put("acc_a", PLAIN)
    other = await vault.put("acc_a", PLAIN + b"!")
    foreign = await vault.put("acc_b", PLAIN)
    (path,) = files_of(tmp_path, "acc_a", digest)
    sealed = path.read_bytes()
    changed = {
        "cut": sealed[:-20],
        "cut at its head": sealed[: sealing.HEAD_BYTES + 5],
        "flipped": sealed[:90] + bytes([sealed[90] ^ 1]) + sealed[91:],
        "of another account": files_of(tmp_path, "acc_b", foreign)[0].read_bytes(),
        "of another blob": files_of(tmp_path, "acc_a", other)[0].read_bytes(),
    }
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(changed[change])
    with pytest.raises(VaultFailed, match="No such file" if change == "gone" else "damaged"):
        await vault.open("acc_a", digest)
    # Whoever has the recording may put it once more.
    assert await vault.put("acc_a", PLAIN) == digest
    assert await vault.open("acc_a", digest) == PLAIN


async def test_a_full_disk_keeps_nothing(vault: Vault, store: Store, tmp_path: Path) -> None:
    with no_file_larger_than(3_000_000), pytest.raises(VaultFailed, match=r"written: File too large"):
        await vault.put("acc_a", PLAIN * 40)
    assert files(tmp_path) == []
    assert await store.read("SELECT digest FROM blobs") == []
    await vault.put("acc_a", PLAIN)


@pytest.mark.parametrize("turns", [1, 5, 20, 80])
async def test_a_put_is_finished_when_its_caller_leaves(vault: Vault, tmp_path: Path, turns: int) -> None:
    task = asyncio.create_task(vault.put("acc_a", PLAIN))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await vault.close()
    assert [path for path in files(tmp_path) if path.suffix == PART] == []
    digest = await vault.put("acc_a", PLAIN)
    assert await vault.open("acc_a", digest) == PLAIN


class GatedStore(SqliteStore):
    """A store whose rows of recordings wait, or fail."""

    fails = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.waits = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def write(self, *statements: Statement) -> list[list[Row]]:
        if any("INTO blobs" in each.sql for each in statements):
            self.waits.set()
            await self.may_go_on.wait()
            if self.fails:
                raise StorageFailed("the disk is full")
        return await super().write(*statements)


gated = migrated(GatedStore)


async def test_a_caller_that_leaves_before_the_row_is_written_does_not_undo_it(
    gated: GatedStore, tmp_path: Path
) -> None:
    vault = Vault(gated, VaultSection(), tmp_path)
    putting = asyncio.create_task(vault.put("acc_a", PLAIN))
    await gated.waits.wait()
    putting.cancel()
    await asyncio.wait([putting])
    asyncio.get_running_loop().call_later(0.01, gated.may_go_on.set)
    await vault.close()
    (row,) = await gated.read("SELECT digest FROM blobs")
    assert await vault.open("acc_a", row["digest"]) == PLAIN


async def test_a_recording_whose_row_cannot_be_written_leaves_no_file(
    gated: GatedStore, tmp_path: Path
) -> None:
    gated.fails = True
    gated.may_go_on.set()
    with pytest.raises(StorageFailed):
        await Vault(gated, VaultSection(), tmp_path).put("acc_a", PLAIN)
    assert files(tmp_path) == []


async def test_a_recording_that_is_cut_while_it_is_read_does_not_just_end(
    vault: Vault, tmp_path: Path
) -> None:
    digest = await vault.put("acc_a", PLAIN * 3)
    reader = await vault.reader("acc_a", digest)
    assert await reader.next_part() == (PLAIN * 3)[: 4 * sealing.FRAME_BYTES]
    (file,) = files(tmp_path)
    os.truncate(file, sealing.HEAD_BYTES + 4 * sealing.SEALED_FRAME_BYTES)
    with pytest.raises(VaultFailed, match="damaged"):
        await reader.next_part()


async def test_what_a_kill_left_is_tidied_away(vault: Vault, store: Store, tmp_path: Path) -> None:
    kept = await vault.put("acc_a", PLAIN)
    await add_voice(store, "acc_a", kept)
    unused = await vault.put("acc_a", b"unused")
    folder = tmp_path / "voices" / "acc_a"
    left = ["half.part", "half.lock", "ab" * 32, f"{'cd' * 32}.{'0f' * 8}"]
    for name in (*left, "notes.txt"):
        (folder / name).write_bytes(b"left over")
    await vault.tidy()
    wanted = [*files_of(tmp_path, "acc_a", kept), folder / "notes.txt"]
    named = [*wanted, *files_of(tmp_path, "acc_a", unused)]
    marks = [folder / f"{name.replace('.', '-')}{LEFT_MARK}" for name in left[2:]]
    assert files(tmp_path) == sorted([*named, *(folder / name for name in left), *marks])
    await store.write(Statement("UPDATE blobs SET created = 0"))
    _age(folder)
    await vault.tidy()
    assert files(tmp_path) == sorted(wanted)


async def test_another_object_of_its_digest_shortens_the_wait_of_none(
    vault: Vault, store: Store, tmp_path: Path
) -> None:
    digest = await vault.put("acc_a", PLAIN)
    await add_voice(store, "acc_a", digest)
    row = await blobs.find(store, "acc_a", digest)
    assert row is not None
    await vault.objects.put(f"acc_a/{digest}.{'0' * 16}", b"of a put that lost, and was killed")
    await vault.tidy()
    _age(tmp_path / "voices" / "acc_a")
    await store.write(Statement("DELETE FROM blobs"))
    await vault.tidy()
    assert await blobs.put(store, row)
    assert await vault.open("acc_a", digest) == PLAIN


async def test_a_recording_without_a_key_is_gone(vault: Vault, store: Store) -> None:
    digest = await vault.put("acc_a", PLAIN)
    await store.write(Statement("UPDATE blobs SET wrapped = ''"))
    assert not await blobs.touch(store, "acc_a", digest)
    named = {"account": "acc_a", "digest": digest}
    assert await store.read(f"SELECT 1 AS is_there WHERE {blobs.IS_STORED}", named) == []


async def test_an_accounts_end_leaves_foreign_files(vault: Vault, tmp_path: Path) -> None:
    digest = await vault.put("acc_a", PLAIN)
    note = tmp_path / "voices" / "acc_a" / ".nfs0001"
    note.write_bytes(b"of a file that is open elsewhere")
    await vault.drop("acc_a", [digest])
    await vault.drop_account("acc_a")
    assert files(tmp_path) == [note]


async def test_a_recording_without_a_row_waits_for_a_restore_to_be_taken_back(
    vault: Vault, store: Store, tmp_path: Path
) -> None:
    digest = await vault.put("acc_a", PLAIN)
    (row,) = await store.read("SELECT * FROM blobs")
    await store.write(Statement("DELETE FROM blobs"))
    await vault.tidy()
    await vault.tidy()
    await blobs.put(store, BlobRow("acc_a", digest, row["wrapped"], row["size"], row["object"]))
    assert await vault.open("acc_a", digest) == PLAIN
    _age(tmp_path / "voices" / "acc_a")
    await vault.tidy()
    assert files(tmp_path) == files_of(tmp_path, "acc_a", digest)
    await store.write(Statement("DELETE FROM blobs"))
    await vault.tidy()
    assert len(files_of(tmp_path, "acc_a", digest)) == 1, "the time begins anew"


@pytest.mark.parametrize("by", ["tidy", "erase"])
async def test_an_object_without_a_row_of_what_was_erased_is_removed_soon(
    vault: Vault, store: Store, tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await vault.put("acc_a", PLAIN)
    await store.write(Statement("DELETE FROM blobs"))
    if by == "erase":
        # On a shared database, another process may be writing it.
        for _ in range(store.is_shared):
            with pytest.raises(VaultFailed, match="may be still being written"):
                await vault.erase("acc_a", [digest])
            monkeypatch.setattr("proxy.file_store.vault._WRITING_S", 0.0)
        await vault.erase("acc_a", [digest])
    else:
        tombstone = Tombstone(subject="voice_1", account="acc_a", digests=(digest,), began=1)
        assert await tombstone_rows.erase_subject(store, tombstone)
        await vault.tidy()
        _age(tmp_path / "voices" / "acc_a", 3601)
        await vault.tidy()
    assert files(tmp_path) == []


def _age(folder: Path, seconds: float = 30 * 86_400 + 1) -> None:
    """Let the files be so old, and so long known to be left over."""
    for file in folder.iterdir():
        os.utime(file, (file.stat().st_atime, file.stat().st_mtime - seconds))


async def test_a_text_opens_in_its_own_row_of_its_own_account(vault: Vault) -> None:
    record = await vault.seal_record("acc_a", "voice_1", Said("Ada", "warm"))
    assert vault.open_record("acc_a", "voice_1", record, Said) == Said("Ada", "warm")
    again = await vault.seal_record("acc_a", "voice_1", Said("Ada", "warm"))
    assert {again.wrapped, again.sealed}.isdisjoint({record.wrapped, record.sealed})
    mixed = SealedRecord(record.wrapped, again.sealed)
    for account, row, sealed in (
        ("acc_b", "voice_1", record),
        ("acc_a", "voice_2", record),
        ("acc_a", "voice_1", mixed),
    ):
        with pytest.raises(VaultFailed, match="damaged"):
            vault.open_record(account, row, sealed, Said)


async def test_a_name_has_one_digest_in_an_account_and_another_elsewhere(vault: Vault) -> None:
    digest = await vault.name_digest("acc_a", "Ada")
    assert digest == await vault.name_digest("acc_a", "Ada")
    assert digest.startswith("hmac:")
    others = {await vault.name_digest(*each) for each in (("acc_b", "Ada"), ("acc_a", "Ben"), ("", "Ada"))}
    assert len(others | {digest}) == 4


async def test_the_first_key_is_made_when_it_is_needed_and_is_nobody_elses_to_read(
    vault: Vault, store: Store, tmp_path: Path
) -> None:
    assert not (tmp_path / "master-key").exists()
    digest = await vault.put("acc_a", PLAIN)
    assert stat.S_IMODE((tmp_path / "master-key").stat().st_mode) == 0o600
    again = Vault(store, VaultSection(), tmp_path)
    assert await again.open("acc_a", digest) == PLAIN
    again = Vault(store, VaultSection(), tmp_path)
    assert await again.put("acc_b", PLAIN) != digest


async def test_a_lost_key_is_told_and_never_replaced(vault: Vault, store: Store, tmp_path: Path) -> None:
    digest = await vault.put("acc_a", PLAIN)
    (tmp_path / "master-key").unlink()
    again = Vault(store, VaultSection(), tmp_path)
    with pytest.raises(VaultFailed, match=r"master-key is not there"):
        await again.open("acc_a", digest)
    with pytest.raises(VaultFailed, match=r"bring that key back"):
        await again.put("acc_b", PLAIN)
    assert not (tmp_path / "master-key").exists()
    with pytest.raises(VaultFailed, match=r"is not configured; name it in vault.old_master_keys"):
        await Vault(store, VaultSection(key_text()), tmp_path).open("acc_a", digest)


async def test_an_old_key_opens_and_the_new_one_seals(store: Store, tmp_path: Path) -> None:
    before = Vault(store, VaultSection(key_text(1)), tmp_path)
    digest = await before.put("acc_a", PLAIN)
    record = await before.seal_record("acc_a", "voice_1", Said("Ada"))
    before.revise(VaultSection(key_text(2), (key_text(1),)))
    assert await before.open("acc_a", digest) == PLAIN
    assert before.open_record("acc_a", "voice_1", record, Said) == Said("Ada")
    newer = await before.seal_record("acc_a", "voice_1", Said("Ada"))
    assert sealing.master_id_of(newer.wrapped) != sealing.master_id_of(record.wrapped)
    assert not (tmp_path / "master-key").exists()


@pytest.mark.parametrize("content", ["", "short", key_text()[:-4], key_text() + "!", "ÄÖÜ"])
async def test_a_damaged_key_file_is_told_and_never_replaced(
    vault: Vault, tmp_path: Path, content: str
) -> None:
    (tmp_path / "master-key").write_text(content)
    with pytest.raises(VaultFailed, match="must hold 32 bytes in base64"):
        await vault.put("acc_a", PLAIN)
    assert (tmp_path / "master-key").read_text() == content


async def test_an_accounts_key_goes_with_it(vault: Vault, store: Store, tmp_path: Path) -> None:
    digest = await vault.put("acc_a", PLAIN)
    await vault.drop("acc_a", [digest])
    await vault.drop_account("acc_a")
    assert not (tmp_path / "voices" / "acc_a").exists()
    assert await store.read("SELECT account FROM account_keys") == []
    assert await vault.put("acc_a", PLAIN) != digest
