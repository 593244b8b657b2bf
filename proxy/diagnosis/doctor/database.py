"""The database: does it answer, is it whole, and is its schema one that this version knows."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from proxy.config.config_toml import Config
from proxy.config.storage_address import is_postgres, shown
from proxy.diagnosis.doctor.result import Result, note, ok, wrong
from proxy.storage.schema import shipped
from proxy.storage.store import StorageFailed

ANSWER_S = 4.0
WHOLE_S = 5.0
SOUND_SQLITE = (3, 51, 3)

_RESTORE = "stop the server and restore a backup; docs/backup.md says how"
_NEWER = "start the newer voxgate again, or restore the backup from before it"
_VERSION = "SELECT coalesce(max(version), 0) AS version FROM schema_version"


def sqlite_version(config: Config) -> Iterator[Result]:
    if is_postgres(config.storage.url):
        return
    if sqlite3.sqlite_version_info >= SOUND_SQLITE:
        yield ok("sqlite", sqlite3.sqlite_version)
        return
    says = (
        f"{sqlite3.sqlite_version}; before 3.51.3 the write-ahead log has a rare fault (WAL-reset), by which "
        "two connections at work in the same moment can damage a database"
    )
    yield note("sqlite", says, "keep backups, and take a Python with a newer SQLite when there is one")


def database(config: Config) -> Iterator[Result]:
    if is_postgres(config.storage.url):
        yield _postgres(config.storage.url)
        return
    file = Path(config.data) / "voxgate.db"
    if not file.exists():
        yield ok("database", "none yet; made at the first start")
        return
    try:
        with closing(open_to_read(file)) as connection:
            yield _of_version(_sqlite_schema(connection), "sqlite")
            yield from _whole(connection)
    except sqlite3.Error as error:
        yield wrong("database", f"{file}: {error}", _RESTORE)


def open_to_read(file: Path) -> sqlite3.Connection:
    """For reading. Where no log lies beside it, without locks too: those would leave files behind, which
    might belong to another user than the server's."""
    is_clean = not file.with_name(f"{file.name}-wal").exists()
    mode = "immutable=1" if is_clean else "mode=ro"
    return sqlite3.connect(f"file:{quote(str(file))}?{mode}", uri=True, timeout=ANSWER_S)


def _sqlite_schema(connection: sqlite3.Connection) -> int:
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'schema_version'")
    if tables.fetchone()[0] == 0:
        return 0
    version: int = connection.execute(_VERSION).fetchone()[0]
    return version


def _whole(connection: sqlite3.Connection) -> Iterator[Result]:
    """Reads all of it, as far as the time goes."""
    until = time.monotonic() + WHOLE_S
    connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return
    if said != "ok":
        yield wrong("database", f"it is damaged: {said.splitlines()[0]}", _RESTORE)


def _postgres(url: str) -> Result:
    # Imported here: whoever stays with SQLite has no use for the driver.
    from proxy.storage.postgres import PostgresStore

    async def ask() -> int:
        store = await PostgresStore.open(url, ANSWER_S)
        try:
            (row,) = await store.read("SELECT to_regclass('schema_version') IS NOT NULL AS is_there")
            version: int = (await store.read(_VERSION))[0]["version"] if row["is_there"] else 0
            return version
        finally:
            await store.close()

    try:
        return _of_version(asyncio.run(ask()), f"PostgreSQL at {shown(url)}")
    except StorageFailed as error:
        do = "start it, or mend [storage] url: host, database, user, password"
        return wrong("database", str(error), do)


def _of_version(version: int, where: str) -> Result:
    known = len(shipped())
    if version > known:
        says = f"{where} has schema {version}, this voxgate knows schemas up to {known}"
        return wrong("database", says, _NEWER)
    later = "" if version == known else f", brought to {known} at the next start"
    return ok("database", f"{where}, schema {version}{later}")
