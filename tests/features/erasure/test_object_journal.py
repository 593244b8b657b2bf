"""The journal of erasures as objects of a vault that several machines share, in a folder and in a bucket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from proxy.api.server import ServerLink
from proxy.config.sections import VaultSection
from proxy.feature_list import load_config, open_store
from proxy.features.erasure import tombstone_rows
from proxy.features.erasure.erasure import Erasure, open_erasure
from proxy.features.erasure.journal import FILE, ErasureJournal, JournalLine
from proxy.features.erasure.object_journal import (
    IMPORTED_FILE,
    ObjectJournal,
    replay_once_a_start,
    signed_lines,
)
from proxy.file_store.master_keys import MasterKeySource
from proxy.file_store.objects import Folder
from proxy.file_store.sealing import MasterKeys
from proxy.file_store.vault import Vault
from proxy.processes import whole_backup, whole_restore
from proxy.storage.store import Statement, StorageFailed, Store
from proxy.storage.tombstones import Tombstone
from proxy.telemetry.metrics import Metrics
from tests.databases import Postgres
from tests.proxy.api.inside import TONE
from tests.proxy.file_store.buckets import Fault, faulty_store, section
from tests.proxy.file_store.owned import Owned, add_voice
from tests.proxy.file_store.vaults import key_text
from tests.tables import each_row
from tests.waiting import soon

pytestmark = pytest.mark.slow

VOICES = ("voice_1", "voice_2", "voice_3")


@pytest.fixture
async def store(shared_postgres: Postgres, tmp_path: Path) -> AsyncIterator[Store]:
    with shared_postgres.lent_schema() as schema:
        async with open_store(shared_postgres.url(search_path=schema), tmp_path) as opened:
            yield opened


def shared(folder: Path) -> VaultSection:
    return VaultSection(master_key=key_text(), folder=str(folder / "vault"))


def keys_of(vault: VaultSection, data: Path) -> MasterKeys | None:
    return MasterKeySource(vault, data).read_if_any()


@pytest.fixture(autouse=True)
def _short_flights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.features.erasure.object_journal._UNCOMMITTED_S", 1.0)


@asynccontextmanager
async def erasing(
    store: Store, data: Path, vault: VaultSection, link: ServerLink | None = None
) -> AsyncIterator[Erasure]:
    await asyncio.to_thread(data.mkdir, exist_ok=True)
    async with open_erasure(store, Vault(store, vault, data), data, Metrics(), link) as erasure:
        yield erasure


async def voices(store: Store) -> list[str]:
    return [row["id"] for row in await store.read("SELECT id FROM voices ORDER BY id")]


async def bring_back(store: Store, *ids: str) -> None:
    """Let the database be one from before the erasures of these voices."""
    await store.write(Statement("DELETE FROM erasures"))
    for id_ in ids:
        await add_voice(store, "acc_a", id_=id_)


def tombstone(subject: str, at: int) -> Tombstone:
    return Tombstone(subject=subject, account="acc_a", digests=("d1",), began=at)


def journal_in(store: Store, folder: Path) -> ObjectJournal:
    return ObjectJournal(Vault(store, shared(folder), folder), folder)


async def written(store: Store, folder: Path, *subjects: str) -> ObjectJournal:
    journal = journal_in(store, folder)
    long_ago = await store.now() - 3_600_000_000
    for number, subject in enumerate(subjects):
        await journal.write_down(tombstone(subject, long_ago + number))
    return journal


@each_row("place", ["folder", "bucket"])
async def test_what_was_erased_is_erased_again_in_an_older_database(
    store: Store, tmp_path: Path, place: str
) -> None:
    vault = shared(tmp_path) if place == "folder" else section()
    erased, stays = await add_voice(store, "acc_a"), await add_voice(store, "acc_a")
    async with erasing(store, tmp_path, vault) as erasure:
        receipt = await erasure.erase_voice(Owned(erased, "acc_a"))
        assert receipt.completed is not None
    assert not (tmp_path / FILE).exists()
    await bring_back(store, erased)
    async with erasing(store, tmp_path / "other", vault) as erasure:
        assert erasure.replayed == 1
        assert stays in (left := await voices(store))
        assert erased not in left
    async with erasing(store, tmp_path, vault) as erasure:
        assert erasure.replayed == 0


@each_row("method", ["PUT", "GET"])
async def test_without_its_journal_nothing_is_erased_and_no_server_starts(
    store: Store, tmp_path: Path, method: str
) -> None:
    voice = await add_voice(store, "acc_a")
    async with faulty_store() as bucket:
        vault = section(endpoint=bucket.url)
        if method == "GET":
            bucket.fault = Fault(method, status=500)
            with pytest.raises(StorageFailed, match=r"vault.store: .* fails"):
                async with erasing(store, tmp_path, vault):
                    pass
            return
        async with erasing(store, tmp_path, vault) as erasure:
            bucket.fault = Fault(method, "erasures", status=500)
            with pytest.raises(StorageFailed, match=r"vault.store: .* fails"):
                await erasure.erase_voice(Owned(voice, "acc_a"))
    assert voice in await voices(store)
    assert await tombstone_rows.list_since(store, 0) == []


async def test_a_journal_that_is_a_file_is_taken_over_once(store: Store, tmp_path: Path) -> None:
    before = ErasureJournal(tmp_path)
    for number, subject in enumerate(VOICES):
        before.append(tombstone(subject, number))
    before.append(tombstone(VOICES[1], 1), is_withdrawn=True)
    await bring_back(store, *VOICES)
    async with erasing(store, tmp_path, shared(tmp_path)) as erasure:
        assert (erasure.replayed, await voices(store)) == (2, [VOICES[1]])
    assert (tmp_path / IMPORTED_FILE).exists()
    assert not (tmp_path / FILE).exists()
    await bring_back(store, VOICES[0])
    async with erasing(store, tmp_path, shared(tmp_path)) as erasure:
        assert (erasure.replayed, await voices(store)) == (2, [VOICES[1]])


@each_row("place", ["folder", "bucket"])
async def test_each_tombstone_has_a_signed_line_again_after_it_was_deleted(
    store: Store, tmp_path: Path, place: str
) -> None:
    vault = shared(tmp_path) if place == "folder" else section()
    voice = await add_voice(store, "acc_a")
    async with erasing(store, tmp_path, vault) as erasure:
        await erasure.erase_voice(Owned(voice, "acc_a"))
        journal, objects = ObjectJournal(Vault(store, vault, tmp_path), tmp_path), erasure._vault.objects
        written = await journal.sign(store)
        assert written == sum(1 for _ in await store.read("SELECT subject FROM erasures")) - 1
        assert await journal.sign(store) == 0
        (line,) = [each.name for each in await objects.list("erasures/") if voice in each.name]
        await objects.remove(line)
        assert await journal.sign(store) == 1
        assert line in [each.name for each in await objects.list("erasures/")]


async def test_a_line_that_was_withdrawn_erases_nothing_and_a_newer_one_does(
    store: Store, tmp_path: Path
) -> None:
    journal = await written(store, tmp_path, *VOICES)
    lines = await journal.list_unknown(store)
    assert [line.subject for line in lines] == [*VOICES]
    for line in lines[:2]:
        await journal.write_down(tombstone(line.subject, line.at), is_withdrawn=True)
    await journal.write_down(tombstone(VOICES[1], lines[2].at + 1))
    assert [line.subject for line in await journal.list_unknown(store)] == [VOICES[2], VOICES[1]]


BAD = {
    "too large": ("{at}-voice_9-0123456789ab", b"x" * 5_000_000),
    "no line": ("{at}-voice_9-0123456789ab", b"{"),
    "of another": ("{at}-voice_9-0123456789ab", b'{"at":1,"subject":"voice_1","account":"acc_a"}'),
    "unsafe": ("{at}-voice_9-0123456789ab", b'{"at":1,"subject":"voice_9","account":"../../etc"}'),
    "foreign": ("note", b"do not erase"),
}


@each_row("name", [*BAD])
async def test_an_object_that_is_no_line_is_named_and_the_others_count(
    store: Store, tmp_path: Path, name: str
) -> None:
    journal = await written(store, tmp_path, VOICES[0])
    object_, content = BAD[name]
    (tmp_path / "vault" / "erasures" / object_.format(at=f"{1:017}")).write_bytes(content)
    with structlog.testing.capture_logs() as logs:
        assert [line.subject for line in await journal.list_unknown(store)] == [VOICES[0]]
    assert [line["event"] for line in logs] == ["erasure.journal.unsafe"]
    (line,) = signed_lines(tmp_path / "vault", keys_of(shared(tmp_path), tmp_path)).splitlines()
    assert VOICES[0].encode() in line


async def test_a_subject_that_can_name_no_object_is_not_erased(store: Store, tmp_path: Path) -> None:
    journal = journal_in(store, tmp_path)
    for subject in ("../voice", "voice\0", "v" * 61):
        with pytest.raises(StorageFailed, match="cannot be a line"):
            await journal.write_down(tombstone(subject, 1))
    assert not (tmp_path / "vault").exists()


@pytest.mark.clock
async def test_an_erasure_of_another_machine_that_is_under_way_is_left_to_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_voice(store, "acc_a", id_=VOICES[0])
    vault, began = shared(tmp_path), await store.now()
    theirs, read = tombstone(VOICES[0], began), list[str]()
    await (await written(store, tmp_path, *VOICES[1:])).write_down(theirs)
    read_object = Folder.read

    async def noted(self: Folder, name: str, start: int, length: int) -> bytes:
        read.append(name)
        return await read_object(self, name, start, length)

    monkeypatch.setattr(Folder, "read", noted)
    start = asyncio.create_task(_replayed(store, tmp_path, vault))
    await asyncio.sleep(0.3)
    assert not start.done()
    assert await tombstone_rows.erase_subject(store, theirs)
    assert await start == 2
    assert len(read) == 2, "each other line once, however long the start waits"


async def _replayed(store: Store, data: Path, vault: VaultSection, link: ServerLink | None = None) -> int:
    async with erasing(store, data, vault, link) as erasure:
        return erasure.replayed


async def test_two_machines_that_start_at_once_replay_each_line_once(store: Store, tmp_path: Path) -> None:
    await written(store, tmp_path, *VOICES)
    await bring_back(store, *VOICES)
    starts = [_replayed(store, tmp_path / name, shared(tmp_path)) for name in ("a", "b")]
    assert sum(await asyncio.gather(*starts)) == 3
    assert await voices(store) == []


async def test_one_worker_of_a_start_replays_and_the_others_wait_for_it(tmp_path: Path) -> None:
    may_end, replayed = asyncio.Event(), list[str]()

    async def replay() -> None:
        replayed.append("")
        await may_end.wait()

    async def fail() -> None:
        raise StorageFailed("away")

    with pytest.raises(StorageFailed):
        await replay_once_a_start(tmp_path, "mch_1", fail)
    workers = [asyncio.create_task(replay_once_a_start(tmp_path, "mch_1", replay)) for _ in range(3)]
    await soon(lambda: _true(bool(replayed)))
    for _ in range(10):
        await asyncio.sleep(0.01)
    assert not any(worker.done() for worker in workers)
    may_end.set()
    await asyncio.gather(*workers)
    await replay_once_a_start(tmp_path, "mch_1", fail)
    await replay_once_a_start(tmp_path, "mch_2", replay)
    assert len(replayed) == 2


async def _true(answer: bool) -> bool:
    return answer


async def test_a_start_of_a_server_reads_the_journal_once(store: Store, tmp_path: Path) -> None:
    link, vault = ServerLink("mch_1", "", 0, _unused, _spread, _unused), shared(tmp_path)
    await written(store, tmp_path, VOICES[0])
    counts = [await _replayed(store, tmp_path, vault, link) for _ in range(2)]
    assert counts == [1, 0]


async def _unused(*_arguments: object) -> Any:
    raise AssertionError


async def _spread(_tombstone: Tombstone) -> bool:
    return True


async def test_a_whole_backup_has_the_lines_of_a_folder(tmp_path: Path) -> None:
    def installed(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        text = f'{TONE}\n[vault]\nfolder = "vault"\n'
        (folder / "config.toml").write_text(text)
        return folder / "config.toml"

    config = load_config(installed("old"), {})
    (tmp_path / "old" / "data").mkdir()
    async with open_store("sqlite", Path(config.data)) as store:
        await add_voice(store, "acc_a", id_=VOICES[0])
        async with erasing(store, Path(config.data), config.vault) as erasure:
            await erasure.erase_voice(Owned(VOICES[0], "acc_a"))
    made = await asyncio.to_thread(whole_backup.back_up, config, tmp_path / "all.tar")
    assert (made.recordings, FILE in made.files) == (0, True)
    new = load_config(installed("new"), {})
    (tmp_path / "new" / "data").mkdir()
    await asyncio.to_thread(whole_restore.restore_whole, tmp_path / "all.tar", new, None, lambda _lines: None)
    async with open_store("sqlite", Path(new.data)) as store:
        await bring_back(store, VOICES[0])
        assert await _replayed(store, Path(new.data), new.vault) == 1
        assert await voices(store) == []
    masters = keys_of(new.vault, Path(new.data))
    (line,) = signed_lines(tmp_path / "new" / "vault", masters).splitlines()
    assert msgspec.json.decode(line, type=JournalLine).subject == VOICES[0]
