"""A whole installation as one tar file: the database, the sealed recordings, all keys, and the configuration.

Caches, models and environments are not in it, because they can be made again. The journal of erasures comes
last, so that it names each recording that is erased during the copy.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from proxy import __version__
from proxy.config.addresses import is_postgres
from proxy.config.config_toml import Config
from proxy.errors import DataHeld
from proxy.feature import BackedUp
from proxy.feature_list import all_features
from proxy.file_store import data_folder, master_keys
from proxy.file_store.objects import is_recording, list_folder, recordings_folder
from proxy.processes import plain_tar
from proxy.storage import sqlite_backup
from proxy.storage.store import StorageFailed

ABOUT = "voxgate-backup.json"
"""The first member. It describes the others."""
CONFIG = "config.toml"
RECORDINGS = "voices"
FORMAT = 1


class BackupFacts(msgspec.Struct, frozen=True):
    """The facts of a whole backup. `schema` is 0 for PostgreSQL, whose database is not in the backup."""

    format: int
    voxgate: str
    database: Literal["sqlite", "postgresql"]
    schema: int


class BackupSummary(msgspec.Struct, frozen=True):
    """A whole backup that was made or restored. `files` are its members besides the `recordings`.

    `variables` are the environment variables with the configuration's secrets, which no backup has. `store`
    is the bucket with the recordings, which is not in the backup either.
    """

    file: str
    bytes: int
    schema: int
    recordings: int
    files: tuple[str, ...]
    variables: tuple[str, ...] = ()
    store: str = ""


def is_whole_backup(file: Path) -> bool:
    """Tell whether a file is a whole backup, and not one of the database alone."""
    begins = plain_tar.first_bytes(ABOUT)
    try:
        with file.open("rb") as opened:
            return opened.read(len(begins)) == begins
    except OSError:
        return False


def back_up(config: Config, target: Path) -> BackupSummary:
    """Write a whole backup, also while the server runs, in place of an older one. Raise StorageFailed."""
    data = Path(config.data)
    part_file = sqlite_backup.temporary_path(target)
    try:
        sqlite_backup.check_target(data / sqlite_backup.DATABASE, target, plain_tar.first_bytes(ABOUT))
        with open(part_file, "xb", opener=open_private) as archive:
            summary = _write_members(config, data, target, archive)
        sqlite_backup.move_into_place(part_file, target)
    except OSError as error:
        raise StorageFailed(f"{target} cannot be written: {error.strerror}") from None
    finally:
        sqlite_backup.remove_if_there(part_file)
    return msgspec.structs.replace(summary, bytes=target.stat().st_size)


def open_private(name: str, flags: int) -> int:
    """Open a file that only its owner may read."""
    return os.open(name, flags, 0o600)


def _write_members(config: Config, data: Path, target: Path, archive: BinaryIO) -> BackupSummary:
    with _copied_database(config, data, target) as copy:
        schema = 0 if copy is None else copy.schema
        facts = BackupFacts(FORMAT, __version__, "sqlite" if copy else "postgresql", schema)
        facts_json = msgspec.json.encode(facts)
        plain_tar.add_file(archive, ABOUT, io.BytesIO(facts_json), len(facts_json))
        source = Path(config.source)
        # The configuration comes first: a restore on an empty machine reads its folders from it.
        files = [CONFIG] if _add_file(archive, CONFIG, source) else []
        if copy is not None and _add_file(archive, sqlite_backup.DATABASE, Path(copy.file)):
            files.append(sqlite_backup.DATABASE)
    backed_up = [each for feature in all_features() for each in feature.backed_up]
    replaced = [each.name for each in backed_up if each.merge is None]
    names = (master_keys.MASTER_KEY_FILE, *replaced)
    files += [name for name in names if _add_file(archive, name, data / name)]
    # The recordings in a bucket are not copied.
    recordings_root = recordings_folder(config.vault, data)
    recordings = 0 if config.vault.store else _add_recordings(archive, recordings_root)
    # The journals come last, so that they have all erasures until here.
    journals = [each for each in backed_up if each.merge is not None]
    files += [each.name for each in journals if _add_journal(archive, each, config, data)]
    plain_tar.write_end(archive)
    # `back_up` sets the bytes, which are 0 here.
    return BackupSummary(str(target), 0, schema, recordings, tuple(files), config.secrets, config.vault.store)


@contextmanager
def _copied_database(config: Config, data: Path, target: Path) -> Iterator[sqlite_backup.BackupCopy | None]:
    """Yield a copy of the database, or None for PostgreSQL. Remove the copy at the end."""
    if is_postgres(config.storage.url):
        yield None
        return
    copy_path = target.with_name(f".{target.name}.database.{os.getpid()}")
    try:
        yield back_up_database(data, copy_path)
    finally:
        sqlite_backup.remove_if_there(copy_path)


def back_up_database(data: Path, target: Path) -> sqlite_backup.BackupCopy:
    """Copy the database of a data folder. Raise StorageFailed."""
    database = data / sqlite_backup.DATABASE
    if not database.exists():
        raise StorageFailed(f"there is no database {database} yet; voxgate serve makes it")
    try:
        # No server may start in the middle: it would bring the schema up to date.
        with data_folder.lock_data_folder(data):
            return sqlite_backup.back_up(database, target)
    except DataHeld:
        return sqlite_backup.back_up(database, target)


def _add_recordings(archive: BinaryIO, root: Path) -> int:
    """Add the complete files of a vault. The journal names the files that are erased meanwhile."""
    added = 0
    for each in sorted(list_folder(root)):
        if is_recording(each.name):  # other files are unfinished, marks, or foreign
            added += _add_file(archive, f"{RECORDINGS}/{each.name}", root / each.name)
    return added


def _add_file(archive: BinaryIO, name: str, path: Path) -> bool:
    """Add a file, if it exists, with its size of now: bytes that are appended meanwhile are left out."""
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return False
    with source:
        plain_tar.add_file(archive, name, source, os.fstat(source.fileno()).st_size)
    return True


def _add_journal(archive: BinaryIO, journal: BackedUp, config: Config, data: Path) -> bool:
    """Add a journal, with its lines in the folder of a shared vault."""
    file, lines = data / journal.name, b""
    if config.vault.folder and journal.gather is not None:
        lines = journal.gather(config)
    if not lines:
        return _add_file(archive, journal.name, file)
    lines += file.read_bytes() if file.exists() else b""
    plain_tar.add_file(archive, journal.name, io.BytesIO(lines), len(lines))
    return True
