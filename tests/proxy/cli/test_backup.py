"""`voxgate backup` beside a server that writes, and `voxgate restore` where none runs."""

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from stat import S_IMODE

import pytest

from proxy.file_store import data_folder
from proxy.storage.sqlite_backup import DATABASE, REPLACED_DATABASE
from tests import server
from tests.commands import command
from tests.proxy.cli.test_main import Run, folder, refused, run

pytestmark = pytest.mark.slow_but("test_a_live_server_is_backed_up_again_and_again_and_its_backup_serves")

__all__ = ["folder", "run"]

_NEWER = "INSERT INTO schema_version (version, name, applied) VALUES (9999, 'tomorrow', 0)"


def names(run: Run) -> list[str]:
    return [row["name"] for row in run("accounts", "list", "--json").json["data"]]


@contextmanager
def speaking(live: server.Server) -> Iterator[list[int]]:
    """Let a client speak without a pause, so that every moment has commits. Give its statuses."""
    statuses: list[int] = []
    begun, is_over = threading.Event(), threading.Event()

    def speak() -> None:
        while not is_over.is_set():
            statuses.append(live.speech("Hello.").status_code)
            begun.set()

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        assert begun.wait(30)
        yield statuses
    finally:
        is_over.set()
        speaker.join()


def test_a_live_server_is_backed_up_again_and_again_and_its_backup_serves(
    plain_server: server.Server, tmp_path: Path
) -> None:
    file, new = tmp_path / "kept" / "backup.db", tmp_path / "new"
    file.parent.mkdir()
    new.mkdir()
    minted = plain_server.mint_key("backed-up", plan="unlimited")
    live, of_it = plain_server._replace(key=minted.secret), ("--account", "backed-up", "--limit", "1000")
    with speaking(live) as statuses:
        for _ in range(2):
            copy = json.loads(live.cli("backup", str(file), "--json").stdout)
    assert set(statuses) == {200}
    live.cli("backup", str(file))
    spoken = len(json.loads(live.cli("usage", *of_it, "--json").stdout)["data"])
    assert spoken
    assert copy["file"] == str(file)
    assert (S_IMODE(file.stat().st_mode), [*file.parent.iterdir()]) == (0o600, [file])
    (new / "config.toml").write_text(server.PLAIN)
    restored = command(new / "config.toml", "restore", str(file))
    assert "Now run voxgate ledger verify." in restored.stdout
    assert "The books agree" in command(new / "config.toml", "ledger", "verify").stdout
    with server.running(new, server.PLAIN) as again:
        assert len(json.loads(again.cli("usage", *of_it, "--json").stdout)["data"]) == spoken
        with again.client(minted.secret) as client:
            assert client.get("/v1/models").status_code == 200


def test_what_came_after_the_backup_is_gone_and_the_old_database_is_kept(run: Run, folder: Path) -> None:
    run("accounts", "create", "ada")
    # What a backup needs besides is in no database.
    said = run("backup", str(folder / "backup.db")).out
    assert all(name in said for name in ("data/voices", "data/erasures.log", "master key", "config file"))
    run("accounts", "create", "bob")
    ran = run("restore", str(folder / "backup.db"))
    assert f"The old database is {folder / 'data' / REPLACED_DATABASE}" in ran.out
    assert names(run) == ["ada"]
    run("restore", str(folder / "data" / REPLACED_DATABASE))
    assert names(run) == ["bob", "ada"]


def test_the_log_of_a_killed_server_is_in_the_backup_and_not_in_what_is_restored(
    run: Run, folder: Path
) -> None:
    data, killed = folder / "data", folder / "killed"
    run("accounts", "create", "ada")
    run("backup", str(folder / "backup.db"))
    with closing(sqlite3.connect(data / DATABASE)) as database:
        # As a kill leaves it: the newest commit is in the log alone.
        database.execute("UPDATE accounts SET name = 'eve'")
        database.commit()
        shutil.copytree(data, killed)
    for file in killed.iterdir():
        shutil.copy(file, data / file.name)
    assert (data / f"{DATABASE}-wal").stat().st_size
    run("backup", str(folder / "later.db"))
    for file in killed.iterdir():
        shutil.copy(file, data / file.name)
    run("restore", str(folder / "backup.db"))
    assert names(run) == ["ada"]
    run("restore", str(folder / "later.db"))
    assert names(run) == ["eve"]


@pytest.mark.parametrize("name", [DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", REPLACED_DATABASE, "lock"])
def test_a_backup_never_takes_the_place_of_the_data(run: Run, folder: Path, name: str) -> None:
    run("accounts", "create", "ada")
    (folder / "link").symlink_to(folder / "data")
    for data in (folder / "data", folder / "link"):
        before = {each: each.read_bytes() for each in (folder / "data").iterdir()}
        assert "give the backup another name" in refused(run("backup", str(data / name)))
        assert {each: each.read_bytes() for each in (folder / "data").iterdir()} == before


def test_a_backup_takes_the_place_of_a_backup_alone(run: Run, folder: Path) -> None:
    run("accounts", "create", "ada")
    config = (folder / "config.toml").read_bytes()
    assert "is no backup" in refused(run("backup", str(folder / "config.toml")))
    assert (folder / "config.toml").read_bytes() == config
    (folder / "empty").touch()
    run("backup", str(folder / "empty"))
    run("backup", str(folder / "empty"))
    assert {file.name for file in folder.iterdir()} == {"config.toml", "data", "empty"}


def test_a_backup_below_a_file_is_refused(run: Run, folder: Path) -> None:
    run("accounts", "create", "ada")
    assert "Not a directory" in refused(run("backup", str(folder / "config.toml" / "backup.db")))


def test_a_restore_beside_a_server_is_refused(run: Run, folder: Path) -> None:
    run("accounts", "create", "ada")
    run("backup", str(folder / "backup.db"))
    with data_folder.lock_data_folder(folder / "data"):
        assert "another voxgate already runs" in refused(run("restore", str(folder / "backup.db")))
        assert "missing.tar: there is no such file" in refused(run("restore", str(folder / "missing.tar")))
    assert not (folder / "data" / REPLACED_DATABASE).exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda file: file.unlink(), "there is no such file; name one that voxgate backup has made"),
        (lambda file: file.write_bytes(b"no database" * 1000), "file is not a database"),
        (lambda file: file.write_bytes(b""), "it is no database of voxgate"),
        (lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]), "malformed"),
        (lambda file: written(file, _NEWER), "has schema 9999, and this voxgate knows schemas up to"),
    ],
    ids=["gone", "none", "empty", "half", "newer"],
)
def test_a_file_that_is_no_good_backup_changes_nothing(
    run: Run, folder: Path, spoil: object, says: str
) -> None:
    file, data = folder / "backup.db", folder / "data"
    run("accounts", "create", "ada")
    run("backup", str(file))
    assert callable(spoil)
    spoil(file)
    before = {each: each.read_bytes() for each in data.iterdir()}
    assert says in refused(run("restore", str(file)))
    assert {each: each.read_bytes() for each in data.iterdir()} == before
    assert names(run) == ["ada"]


def written(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(sql)
        database.commit()


def test_a_backup_that_fails_keeps_the_older_one(run: Run, folder: Path) -> None:
    file = folder / "backup.db"
    run("accounts", "create", "ada")
    run("backup", str(file))
    older = file.read_bytes()
    (folder / "data" / DATABASE).write_bytes(b"no database" * 1000)
    assert "file is not a database" in refused(run("backup", str(file)))
    assert file.read_bytes() == older
    assert not [*folder.glob(".backup.db*")]


@pytest.mark.parametrize("file", ["no/such/folder/backup.db", "data"])
def test_a_backup_that_cannot_be_written_is_one_line(run: Run, folder: Path, file: str) -> None:
    run("accounts", "create", "ada")
    assert "cannot be written" in refused(run("backup", str(folder / file)))


def test_without_a_database_there_is_nothing_to_back_up(run: Run, folder: Path) -> None:
    assert "there is no database" in refused(run("backup", str(folder / "backup.db")))
    assert not (folder / "data").exists()


@pytest.mark.parametrize(("command", "tool"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_with_postgresql_its_own_tool_is_named(run: Run, folder: Path, command: str, tool: str) -> None:
    config = folder / "config.toml"
    config.write_text(
        config.read_text() + '[storage]\nurl = "postgresql://voxgate:secret@db.example/voxgate"\n'
    )
    said = refused(run(command, str(folder / "backup.db")))
    assert tool in said
    assert "secret" not in said


def test_a_damaged_database_does_not_agree(run: Run, folder: Path) -> None:
    run("accounts", "create", "ada")
    assert run("ledger", "verify").status == 0
    # No check of the books reads this index.
    with closing(sqlite3.connect(folder / "data" / DATABASE)) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
        (root,) = database.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'keys_by_account'"
        ).fetchone()
    with (folder / "data" / DATABASE).open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    ran = run("ledger", "verify")
    assert (ran.status, "the database's file is whole" in ran.out) == (1, True)
