"""The objects of a vault, in a folder and in a bucket: whole or not there, and what a faulty store does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from proxy.config.config_toml import ConfigError
from proxy.config.sections import VaultSection
from proxy.feature_list import load_config, open_store
from proxy.features.cluster import vault_identity
from proxy.file_store import data_folder, objects
from proxy.file_store.objects import Bucket, Objects, VaultAway, VaultRefused, check_objects, open_objects
from proxy.file_store.vault import Vault, VaultFailed, object_name
from proxy.storage import blobs
from proxy.storage.disk_names import UnsafeName
from proxy.storage.store import Row, Statement, StorageUnreachable, Store
from tests.commands import command
from tests.programs import present
from tests.proxy.file_store.buckets import Fault, faulty_store, s3_address, section
from tests.proxy.file_store.owned import add_voice
from tests.proxy.file_store.vaults import key_text
from tests.tables import each_row

PLAIN = b"a recording that only its owner hears " * 12_000
LARGE = bytes(range(256)) * 4096 * 9
"""Nine MiB: more than one part."""


def in_bucket(**more: object) -> VaultSection:
    """Return the settings of a vault in a new bucket. Skips where no store can be had, but never in CI."""
    present(s3_address)
    return section(**more)  # type: ignore[arg-type]  # the fields of a section


def settings(where: str) -> VaultSection:
    return in_bucket() if where == "bucket" else VaultSection(key_text())


async def names(opened: Objects, prefix: str = "") -> list[str]:
    return sorted(each.name for each in await opened.list(prefix))


@pytest.mark.kit("moto")
@each_row("where", ["folder", "bucket"])
async def test_an_object_is_whole_or_not_there(tmp_path: Path, where: str) -> None:
    opened = open_objects(settings(where), tmp_path)
    assert await opened.list() == []
    for name, data in (("acc_a/one", PLAIN), ("acc_a/two.0f", b""), ("voxgate-vault", LARGE)):
        await opened.put(name, data)
        assert await opened.read(name, 0, len(data) + 10) == data
    assert await opened.read("voxgate-vault", 8 * 1024 * 1024 - 3, 6) == LARGE[8 * 1024 * 1024 - 3 :][:6]
    assert await opened.read("acc_a/one", len(PLAIN) + 5, 9) == b""
    assert await names(opened) == ["acc_a/one", "acc_a/two.0f", "voxgate-vault"]
    assert await names(opened, "acc_a/t") == ["acc_a/two.0f"]
    (listed,) = await opened.list("acc_a/o")
    assert listed.size == len(PLAIN)
    for _ in range(2):
        await opened.remove("acc_a/one")
    with pytest.raises(FileNotFoundError):
        await opened.read("acc_a/one", 0, 1)
    for bad in ("../acc_a/one", "acc_a/../one", "acc_a/o\0ne", "a/b/c", "", "/etc/passwd", "acc_a/.hidden"):
        with pytest.raises(UnsafeName):
            await opened.put(bad, b"")
        with pytest.raises(UnsafeName):
            await opened.read(bad, 0, 1)
    await check_objects(opened)
    made = await asyncio.gather(*(vault_identity.vault_identity(opened) for _ in range(1)))
    assert {*made, await vault_identity.vault_identity(opened, may_make=False)} == {made[0]}


@pytest.mark.kit("moto")
@each_row("where", ["folder", "bucket"])
async def test_a_vault_lies_in_both(store: Store, tmp_path: Path, where: str) -> None:
    vault = Vault(store, settings(where), tmp_path)
    digests = await asyncio.gather(*(vault.put("acc_a", PLAIN) for _ in range(8)))
    (digest,) = set(digests)
    assert await vault.open("acc_a", digest) == PLAIN
    row = await blobs.find(store, "acc_a", digest)
    assert row is not None
    assert await names(vault.objects) == [object_name(row)], "the losers of eight puts are gone"
    reader = await vault.reader("acc_a", digest)
    reader.seek(len(PLAIN) - 7)
    assert await reader.next_part() == PLAIN[-7:]
    assert await reader.next_part() == b""
    await vault.objects.remove(object_name(row))
    with pytest.raises(VaultFailed, match="cannot be read"):
        await vault.open("acc_a", digest)
    assert await vault.put("acc_a", PLAIN) == digest, "an unreadable object is replaced"
    assert await vault.open("acc_a", digest) == PLAIN
    await vault.erase("acc_a", [digest])
    await vault.drop_account("acc_a")
    assert await names(vault.objects) == []


async def test_a_recording_that_is_put_again_while_it_is_opened_is_opened(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = VaultSection(key_text())
    vault, other = Vault(store, section, tmp_path), Vault(store, section, tmp_path)
    digest = await vault.put("acc_a", PLAIN)
    read = vault.objects.read

    async def put_again(name: str, start: int, length: int) -> bytes:
        monkeypatch.setattr(vault.objects, "read", read)
        await other.objects.remove(name)
        await other.put("acc_a", PLAIN)
        return await read(name, start, length)

    monkeypatch.setattr(vault.objects, "read", put_again)
    assert await vault.open("acc_a", digest) == PLAIN


async def test_a_recording_of_an_earlier_version_keeps_its_name(store: Store, tmp_path: Path) -> None:
    vault = Vault(store, VaultSection(key_text()), tmp_path)
    digest = await vault.put("acc_a", PLAIN)
    row = await blobs.find(store, "acc_a", digest)
    assert row is not None
    folder = tmp_path / "voices" / "acc_a"
    (folder / row.object).rename(folder / digest)
    await store.write(Statement("UPDATE blobs SET object = ''"))
    assert await vault.open("acc_a", digest) == PLAIN
    await vault.tidy()
    assert await vault.put("acc_a", PLAIN) == digest
    assert await names(vault.objects) == [f"acc_a/{digest}"]
    await vault.drop("acc_a", [digest])
    assert await names(vault.objects) == []


class Unanswered(Store):
    """A store that carries a write out, and loses the answer of the next one with a blob."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.loses = True
        self.is_shared, self.tables = store.is_shared, store.tables

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def now(self) -> int:
        return await self._store.now()

    async def read(self, sql: str, params: object = None) -> list[Row]:
        return await self._store.read(sql, params)  # type: ignore[arg-type]  # passed on

    async def write(self, *statements: Statement) -> list[list[Row]]:
        answer = await self._store.write(*statements)
        if self.loses and any("INTO blobs" in each.sql for each in statements):
            self.loses = False
            raise StorageUnreachable("the connection was lost")
        return answer


async def test_a_commit_whose_answer_was_lost_keeps_its_object(store: Store, tmp_path: Path) -> None:
    vault = Vault(Unanswered(store), VaultSection(key_text()), tmp_path)  # type: ignore[abstract]
    with pytest.raises(StorageUnreachable):
        await vault.put("acc_a", PLAIN)
    (row,) = await blobs.list_all(store)
    assert await names(vault.objects) == [object_name(row)]
    assert await vault.open("acc_a", await vault.put("acc_a", PLAIN)) == PLAIN


@asynccontextmanager
async def faulty(store: Store, folder: Path) -> AsyncIterator[tuple[Vault, list[str]]]:
    """A vault behind a faulty server. The list has the requests."""
    bucket = in_bucket()
    async with faulty_store() as before:
        vault = Vault(store, msgspec.structs.replace(bucket, endpoint=before.url), folder)
        vault.fault = lambda fault: setattr(before, "fault", fault)  # type: ignore[attr-defined]
        yield vault, before.requests


@pytest.mark.kit("moto")
async def test_a_faulty_store_is_asked_three_times_and_nothing_is_lost(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_TRY_S", 1.0)
    monkeypatch.setattr(objects, "_PAUSE_S", 0.01)
    async with faulty(store, tmp_path) as (vault, requests):
        digest = await vault.put("acc_a", PLAIN)
        await add_voice(store, "acc_a", digest)
        for fault in (Fault("GET", status=500), Fault("GET", wait_s=5.0), Fault("GET", cuts=True)):
            vault.fault(fault)  # type: ignore[attr-defined]
            requests.clear()
            with pytest.raises(VaultAway, match=r"vault\.store"):
                await vault.open("acc_a", digest)
            assert len(requests) == 3, fault
            if fault.status:
                # What is away is not unreadable, so it is not put again.
                with pytest.raises(VaultAway):
                    await vault.put("acc_a", PLAIN)
        vault.fault(Fault("GET", status=500, times=2))  # type: ignore[attr-defined]
        assert await vault.open("acc_a", digest) == PLAIN
        vault.fault(Fault("PUT", status=503))  # type: ignore[attr-defined]
        with pytest.raises(VaultAway):
            await vault.put("acc_a", b"another")
        assert len(await blobs.list_all(store)) == 1
        await store.write(Statement("DELETE FROM samples"))
        vault.fault(Fault("POST", "delete", status=500))  # type: ignore[attr-defined]
        with pytest.raises(VaultAway):
            await vault.erase("acc_a", [digest])
        assert await blobs.list_all(store) == [], "the key is gone before"
        vault.fault(None)  # type: ignore[attr-defined]
        monkeypatch.setattr("proxy.file_store.vault._WRITING_S", 0.0)
        await vault.erase("acc_a", [digest])
        assert await names(vault.objects) == []


@pytest.mark.kit("moto")
async def test_a_bucket_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    there = in_bucket()
    missing = Bucket(msgspec.structs.replace(there, store="s3://nowhere-at-all"))
    with pytest.raises(VaultRefused, match=r"vault\.store: there is no bucket s3://nowhere-at-all"):
        await check_objects(missing)
    closed = Bucket(msgspec.structs.replace(there, endpoint="http://127.0.0.1:1"))
    with pytest.raises(VaultAway, match=r"vault\.store: .* fails"):
        await check_objects(closed)
    async with faulty_store() as before:
        readable = Bucket(msgspec.structs.replace(there, endpoint=before.url))
        for fault, error in (
            (Fault("PUT", status=403), VaultRefused),
            (Fault("GET", status=401), VaultRefused),
            (Fault("PUT", status=507), VaultAway),
        ):
            before.fault = fault
            with pytest.raises(error, match=r"vault\.store"):
                await check_objects(readable)


@each_row(
    "text, says",
    [
        ('store = "s3://bucket"\nfolder = "x"', "excludes vault.folder"),
        ('store = "s3://bucket"\nendpoint = "http://s3.example.com"', "is not encrypted"),
        ('store = "https://b"', "vault.store"),
        ('store = "s3://bucket/../c d"', "vault.store"),
        ('store = "s3://bucket"\nsecret_key = "written here"', "vault.secret_key"),
    ],
)
def test_a_store_that_makes_no_sense_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "config.toml").write_text(f"[vault]\n{text}\n")
    with pytest.raises(ConfigError, match=says):
        load_config(tmp_path / "config.toml", {})


def test_a_store_without_its_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.config.config_toml.find_spec", lambda _name: None)
    (tmp_path / "config.toml").write_text('[vault]\nstore = "s3://bucket"\n')
    with pytest.raises(ConfigError, match=r'needs the extra s3: pip install "voxgate\[s3\]"'):
        load_config(tmp_path / "config.toml", {})


@pytest.mark.kit("moto")
async def test_a_vault_moves_into_a_bucket_and_its_last_run_wants_no_server(tmp_path: Path) -> None:
    bucket = in_bucket()
    old, new = tmp_path / "config.toml", tmp_path / "new.toml"
    old.write_text("")
    new.write_text(
        f'[vault]\nstore = "{bucket.store}"\nendpoint = "{bucket.endpoint}"\nregion = "us-east-1"\n'
        'access_key = "file:key"\nsecret_key = "file:key"\n'
    )
    (tmp_path / "key").write_text("k")
    data = tmp_path / "data"
    data.mkdir()

    async def moved() -> str:
        done = await asyncio.to_thread(command, old, "vault", "move", str(new))
        return done.stdout

    async with open_store("sqlite", data) as store:
        vault = Vault(store, VaultSection(), data)
        digest = await vault.put("acc_a", PLAIN)
        with data_folder.lock_data_folder(data):
            assert "1 of 1 objects were copied and checked" in (beside := await moved())
            assert "stop all of them, and run this once more" in beside
        assert await vault.put("acc_a", b"later") != digest
        assert "1 of 2 objects were copied" in (last := await moved())
        assert "All are there" in last
        there = Vault(store, msgspec.structs.replace(bucket, master_key=""), data)
        assert await there.open("acc_a", digest) == PLAIN
        await vault_identity.vault_identity(there.objects)
        refused = await asyncio.to_thread(command, old, "vault", "move", str(new), check=False)
        assert "is the vault of a server" in refused.stderr
