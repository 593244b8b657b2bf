"""`voxgate backup --all`: one file and one command bring an installation back, and a hostile file nothing."""

import asyncio
import io
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from stat import S_IMODE

import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import load_config, open_store
from proxy.features.erasure.erasure import open_erasure
from proxy.features.erasure.journal import FILE as JOURNAL
from proxy.file_store.vault import Vault, VaultFailed
from proxy.processes import whole_backup
from proxy.processes.plain_tar import first_bytes
from proxy.processes.whole_backup import ABOUT, is_whole_backup
from proxy.storage.sqlite_backup import DATABASE, REPLACED_DATABASE
from proxy.telemetry.metrics import Metrics
from tests.proxy.api.inside import TONE
from tests.proxy.cli.test_backup import names
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.proxy.file_store.owned import Owned, add_voice
from tests.proxy.file_store.test_hostile_rows import HOSTILE, everything

__all__ = ["folder", "run"]

PLAIN = b"somebody's voice" * 10_000


async def keep(data: Path, *accounts: str) -> list[tuple[str, str]]:
    """Voices of these accounts: the id of each, and the digest of its recording."""
    async with open_store("sqlite", data) as store:
        vault = Vault(store, VaultSection(), data)
        made = []
        for account in accounts:
            digest = await vault.put(account, PLAIN)
            made.append((await add_voice(store, account, digest), digest))
        return made


async def erase(data: Path, account: str, voice: str) -> None:
    async with open_store("sqlite", data) as store:
        vault = Vault(store, VaultSection(), data)
        async with open_erasure(store, vault, data, Metrics()) as erasure:
            await erasure.erase_voice(Owned(voice, account))


async def heard(data: Path, account: str, digest: str) -> bytes:
    async with open_store("sqlite", data) as store:
        return await Vault(store, VaultSection(), data).open(account, digest)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with one voice, and a whole backup of it."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "config.toml").write_text(TONE)
    asyncio.run(keep(folder / "data", "acc_1"))
    whole_backup.back_up(load_config(folder / "config.toml", {}), folder / "all.tar")
    return folder


@pytest.fixture
def tar(installed: Path, folder: Path) -> Path:
    shutil.copytree(installed, folder, dirs_exist_ok=True)
    return folder / "all.tar"


def test_one_file_and_one_command_bring_an_installation_back(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, file = folder / "data", folder / "all.tar"
    run("accounts", "create", "ada")
    (kept, digest), (gone, gone_digest) = asyncio.run(keep(data, "acc_1", "acc_2"))
    (data / "mark-keys").write_text("A" * 43 + "=\n")
    said = run("backup", "--all", str(file), "--json").json
    assert (said["recordings"], said["schema"] > 0) == (2, True)
    assert S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:  # any tar reads it
        assert archive.getnames()[:3] == [ABOUT, "config.toml", DATABASE]
    new = tmp_path / "new"
    new.mkdir()
    monkeypatch.setenv("VOXGATE_CONFIG", str(new / "config.toml"))
    assert "Now run voxgate ledger verify." in run("restore", str(file), "--yes").out
    assert (new / "config.toml").read_text() == TONE
    assert "ada" in names(run)
    for name in ("master-key", "mark-keys"):
        assert (new / "data" / name).read_bytes() == (data / name).read_bytes()
        assert S_IMODE((new / "data" / name).stat().st_mode) == 0o600
    assert asyncio.run(heard(new / "data", "acc_1", digest)) == PLAIN
    # What is erased there is erased for good, also when the same file is put back once more.
    asyncio.run(erase(new / "data", "acc_2", gone))
    assert "erased again: 1" in run("restore", str(file)).out
    with pytest.raises(VaultFailed):
        asyncio.run(heard(new / "data", "acc_2", gone_digest))
    assert asyncio.run(heard(new / "data", "acc_1", digest)) == PLAIN
    assert (new / "data" / REPLACED_DATABASE).exists()
    assert not [*new.rglob(".restore-*")]
    assert not [*new.rglob(".config*")]
    assert kept != gone


def test_what_a_restore_replaces_is_kept_beside_it(run: Run, folder: Path, tar: Path) -> None:
    data = folder / "data"
    (data / "master-key").write_text("B" * 43 + "=\n")
    config = (folder / "config.toml").read_text() + "# ours\n"
    (folder / "config.toml").write_text(config)
    (data / JOURNAL).write_text('{"at":1,"subject":"voice_x","account":"acc_9"}\n')
    for _ in range(2):
        assert run("restore", str(tar)).status == 0
        assert (data / "master-key.before").read_text() == "B" * 43 + "=\n"
    assert (folder / "config.toml").read_text() == config
    assert "voice_x" in (data / JOURNAL).read_text()


def test_the_keys_of_receipts_in_a_backup_of_0_1_0_are_put_back_and_left(
    run: Run, folder: Path, tar: Path
) -> None:
    keys = b"spoilt, and no server of this version needs them"
    rewritten(tar, lambda members: [*members, file_of("receipt-keys", keys)])
    assert run("restore", str(tar)).status == 0
    assert (folder / "data" / "receipt-keys").read_bytes() == keys


def test_a_whole_backup_replaces_a_whole_backup_alone(run: Run, folder: Path, tar: Path) -> None:
    run("backup", "--all", str(tar))
    run("backup", str(folder / "backup.db"))
    assert "is no backup" in refused(run("backup", "--all", str(folder / "backup.db")))
    assert "is no backup" in refused(run("backup", str(tar)))
    assert "is no backup" in refused(run("backup", "--all", str(folder / "config.toml")))
    assert {each.name for each in folder.iterdir()} == {"all.tar", "backup.db", "config.toml", "data"}
    assert is_whole_backup(tar)


def test_of_postgresql_all_but_the_database_is_in_it(run: Run, folder: Path, tar: Path) -> None:
    config = folder / "config.toml"
    config.write_text(TONE + '[storage]\nurl = "postgresql://voxgate:secret@127.0.0.1:1/voxgate"\n')
    ran = run("backup", "--all", str(folder / "rest.tar"))
    assert (ran.status, "pg_dump" in ran.out, "voxgate:secret" in ran.out) == (0, True, False)
    with tarfile.open(folder / "rest.tar") as archive:
        assert DATABASE not in archive.getnames()
        assert "master-key" in archive.getnames()
    assert "is of a server with sqlite" in refused(run("restore", str(tar)))
    config.write_text(TONE)
    assert "is of a server with postgresql" in refused(run("restore", str(folder / "rest.tar")))


def test_a_config_that_keeps_its_data_elsewhere_is_not_taken_unread(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (folder / "config.toml").write_text(TONE.replace("[server]", f'[server]\ndata = "{elsewhere}"'))
    run("accounts", "create", "ada")
    run("backup", "--all", str(folder / "all.tar"))
    new = tmp_path / "new"
    new.mkdir()
    monkeypatch.setenv("VOXGATE_CONFIG", str(new / "config.toml"))
    before = everything(elsewhere)
    said = refused(run("restore", str(folder / "all.tar")))
    assert f"keeps its data in {elsewhere}" in said
    assert f"tar -xf {folder / 'all.tar'} config.toml" in said
    assert (everything(elsewhere), [*new.iterdir()]) == (before, [])


def info(name: str, type_: bytes = tarfile.REGTYPE, size: int = 0, to: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = type_, size, to
    return made


Members = list[tuple[tarfile.TarInfo, bytes]]


def file_of(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return info(name, size=len(content)), content


def rewritten(tar: Path, change: Callable[[Members], Members], form: int = tarfile.USTAR_FORMAT) -> None:
    """Let somebody write the archive anew."""
    with tarfile.open(tar) as archive:
        members: Members = []
        for each in archive.getmembers():
            opened = archive.extractfile(each)
            assert opened is not None
            members.append((each, opened.read()))
    with tar.open("wb") as out:
        with tarfile.TarFile(fileobj=out, mode="w", format=form) as archive:
            for each, content in change(members):
                archive.addfile(each, io.BytesIO(content))


D = "d" * 64
ADDED = {
    "upwards": (info("../out"), "'../out' is no file of a backup"),
    "absolute": (info("/etc/passwd"), "'/etc/passwd' is no file of a backup"),
    "unknown": (info("cache-key"), "'cache-key' is no file of a backup"),
    "deeper": (info(f"voices/acc_1/{D}/x"), "is no file of a backup"),
    "owner": (info(f"voices/../{D}"), "cannot name a file"),
    "digest": (info("voices/acc_1/.."), "cannot name a file"),
    "lock": (info(f"voices/acc_1/{D}.lock"), "cannot name a file"),
    "nobody": (info(f"voices//{D}"), "cannot name a file"),
    "link": (info("mark-keys", tarfile.SYMTYPE, to="/etc/passwd"), "'mark-keys' is no plain file"),
    "hard link": (info("mark-keys", tarfile.LNKTYPE, to="../x"), "'mark-keys' is no plain file"),
    "device": (info("mark-keys", tarfile.CHRTYPE), "'mark-keys' is no plain file"),
    "pipe": (info("mark-keys", tarfile.FIFOTYPE), "'mark-keys' is no plain file"),
    "folder": (info(f"voices/acc_1/{D}", tarfile.DIRTYPE), "is no plain file"),
    "sparse": (info("mark-keys", tarfile.GNUTYPE_SPARSE), "'mark-keys' is no plain file"),
    "twice": (info("master-key"), "'master-key' is there twice"),
    "large key": (info("receipt-keys", size=2 * 1024 * 1024), "and at most 1048576 are right"),
    "no keys": (info("mark-keys", size=10), "mark-keys must hold keys of 32 bytes"),
    "natural": (info("natural.toml", size=10), "natural.toml"),
}


@pytest.mark.parametrize("name", ADDED)
def test_an_archive_with_anything_else_is_refused_whole(run: Run, folder: Path, tar: Path, name: str) -> None:
    added, says = ADDED[name]
    rewritten(tar, lambda members: [*members, (added, bytes(added.size))])
    before = everything(folder)
    said = refused(run("restore", str(tar)))
    assert says in said
    assert "is refused, and nothing was changed" in said
    assert everything(folder) == before


def with_row(name: str, out: Path) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        place = out / "changed.db"
        (content,) = (content for each, content in members if each.name == DATABASE)
        place.write_bytes(content)
        with closing(sqlite3.connect(place)) as database:
            for sql in HOSTILE[name].statements:
                database.execute(sql.replace("{out}", str(out)))
            database.commit()
        content = place.read_bytes()
        place.unlink()
        return [file_of(DATABASE, content) if each.name == DATABASE else (each, old) for each, old in members]

    return change


def without(name: str) -> Callable[[Members], Members]:
    return lambda members: [each for each in members if each[0].name != name]


def journal_of(name: str) -> Callable[[Members], Members]:
    lines = '{"at":1,"subject":"voice_x","account":"acc_9"}\n' + HOSTILE[name].journal
    return lambda members: [*members, file_of(JOURNAL, lines.replace("{out}", "/out").encode())]


def about(**changed: object) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        (_, content), *rest = members
        return [file_of(ABOUT, json.dumps({**json.loads(content), **changed}).encode()), *rest]

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("row", "table accounts, row 2, id: "),
        (journal_of("journal, digest"), "erasures.log, line 2: '/out/file' cannot name a file"),
        (journal_of("journal, account"), "erasures.log, line 2: '../../out' cannot name a file"),
        (without(DATABASE), "has no voxgate.db"),
        (about(format=2), "it has format 2"),
        (about(schema="x"), "makes no sense"),
        (lambda members: [members[0], members[0]], "is there twice"),
    ],
    ids=["row", "journal-digest", "journal-account", "no-database", "newer", "nonsense", "twice"],
)
def test_what_is_inside_is_checked_before_anything_is_changed(
    run: Run, folder: Path, tar: Path, change: Callable[[Members], Members] | str, says: str
) -> None:
    rewritten(tar, with_row("accounts.id, upwards", folder) if isinstance(change, str) else change)
    before = everything(folder)
    assert says in refused(run("restore", str(tar)))
    assert everything(folder) == before


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_headers_of_any_size_are_not_read(run: Run, folder: Path, tar: Path, form: int) -> None:
    long = info("x" * 200)
    rewritten(tar, lambda members: [*members, (long, b"")], form)
    assert "is no plain file" in refused(run("restore", str(tar)))


@pytest.mark.parametrize("left", [600, 1024, 5000, -1])
def test_half_an_archive_is_refused(run: Run, folder: Path, tar: Path, left: int) -> None:
    content = tar.read_bytes()
    tar.write_bytes(content[:left] if left > 0 else content[:-1024])
    before = everything(folder)
    assert "is cut short" in refused(run("restore", str(tar)))
    assert everything(folder) == before


def test_an_archive_is_told_by_its_first_member(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(first_bytes(ABOUT))
    assert is_whole_backup(tmp_path / "file")
    (tmp_path / "file").write_bytes(first_bytes(ABOUT + "x"))
    assert not is_whole_backup(tmp_path / "file")
    assert not is_whole_backup(tmp_path / "gone")
