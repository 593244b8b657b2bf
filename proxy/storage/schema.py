"""The schema of the database. Numbered SQL files bring it to this version, and never back.

The files in `migrations/`, here and in the folders of features, are numbered through. They are valid on
SQLite and PostgreSQL alike and are never edited once released. From 0036 on they only add, so an older
voxgate works on the newer database. A file that removes something has a line `-- readable_from: N`, the
oldest version that works on it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec

from proxy.storage.store import Params, Statement, StorageBusy, StorageFailed, Store

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_READABLE_FROM = re.compile(r"^-- readable_from: (\d+)$", re.MULTILINE)
_CONCURRENT_INDEX = re.compile(r"CREATE INDEX CONCURRENTLY (\w+)")
_LATE_COMMIT_US = 60_000_000
"""How much later than the time in it a row may be committed."""
_LOCK_TRIES, _LOCK_AGAIN_S = 300, 1.0
# All requests queue behind a migration that waits for a lock, so it waits only shortly.
_SHORT_LOCK_TIMEOUT = Statement("SET LOCAL lock_timeout = '1s'")

# One row for each migration: the table tells when each was applied.
_VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_version (
    version BIGINT PRIMARY KEY,
    name    TEXT NOT NULL,
    applied BIGINT NOT NULL
)
"""
_APPLIED = "INSERT INTO schema_version (version, name, applied) VALUES (:version, :name, :applied)"
_SET_READABLE_FROM = "UPDATE schema_version SET readable_from = :readable_from WHERE version = :version"
_REACHED = "SELECT coalesce(max(version), 0) AS version FROM schema_version"
READABLE_FROM = "SELECT max(readable_from) AS readable_from FROM schema_version"


class Migration(msgspec.Struct, frozen=True):
    """A numbered file. PostgreSQL makes its `concurrent_index` outside of a transaction, while others write.
    `readable_from` is the oldest version that works on it, or 0 if it removes nothing."""

    version: int
    name: str
    statements: tuple[str, ...]
    readable_from: int = 0
    concurrent_index: str = ""


async def migrate(
    store: Store, migrations: Sequence[Migration] | None = None, *, applies: bool = True
) -> int:
    """Apply the missing migrations, each in one transaction, and return the version of the database.

    Raises StorageFailed if a newer version has removed something from the database, or if migrations are
    missing and `applies` is false.
    """
    known = known_migrations() if migrations is None else migrations
    await store.write(Statement(_VERSIONS))
    current = await read_version(store)
    if current > len(known) and (await store.read(READABLE_FROM))[0]["readable_from"] > len(known):
        raise StorageFailed(
            f"the database has schema version {current}, this voxgate knows versions up to {len(known)}; "
            "start the newer voxgate again, or restore the backup from before it"
        )
    if current < len(known) and not applies:
        raise StorageFailed(
            f"the database has schema version {current}, and this voxgate needs {len(known)}; "
            "run voxgate database upgrade, or set [storage] migrate = true"
        )
    for migration in known[current:]:
        await _apply(store, migration)
    return max(current, len(known))


async def read_version(store: Store) -> int:
    """Return the version of the database. That of a newer voxgate is higher than `known_version`."""
    (row,) = await store.read(_REACHED)
    return int(row["version"])


@cache
def known_version() -> int:
    return len(known_migrations())


def is_by_older_sql(by_schema: str, at: str) -> str:
    """Return SQL that is true if a row was written after a migration, by a version that did not know it.

    The columns are the schema version that the writer knew, and the time of the write. The parameter `:known`
    is the version that this voxgate knows.
    """
    return (
        f"EXISTS (SELECT 1 FROM schema_version AS later WHERE later.version > {by_schema} "
        f"AND later.version <= :known AND later.applied <= {at} + {_LATE_COMMIT_US})"
    )


async def _apply(store: Store, migration: Migration) -> None:
    version: Params = {"version": migration.version}
    unit = [*map(Statement, migration.statements)]
    if store.is_shared and migration.concurrent_index:
        # An earlier try leaves an invalid index behind.
        await store.write(Statement(f"DROP INDEX CONCURRENTLY IF EXISTS {migration.concurrent_index}"))
        (sql,) = migration.statements
        await store.write(Statement(sql.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1)))
        unit = []
    elif store.is_shared:
        unit.insert(0, _SHORT_LOCK_TIMEOUT)
    row: Params = {**version, "name": migration.name, "applied": await store.now()}
    unit.append(Statement(_APPLIED, row))
    if migration.readable_from:
        unit.append(Statement(_SET_READABLE_FROM, {**version, "readable_from": migration.readable_from}))
    for tries_left in reversed(range(_LOCK_TRIES)):
        try:
            await store.write(*unit)
            return
        except StorageBusy:
            if not tries_left:
                raise
            await asyncio.sleep(_LOCK_AGAIN_S)


def known_migrations() -> list[Migration]:
    """List the migrations of this version in order, numbered from 1 without a gap."""
    found = [parse_migration(file.name, file.read_text("utf-8")) for file in _files()]
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError("the migrations are not numbered 0001, 0002, … without a gap")
    return found


def _files() -> Iterator[Traversable]:
    """Yield the files of the kernel and of all features, also of those that are left out."""
    proxy = resources.files(__package__.partition(".")[0])
    folders = [proxy / "storage", *(folder for folder in (proxy / "features").iterdir() if folder.is_dir())]
    for folder in folders:
        if (migrations := folder / "migrations").is_dir():
            yield from (file for file in migrations.iterdir() if file.name.endswith(".sql"))


def statements_up_to(version: int) -> Iterator[str]:
    """Yield the statements that create the tables of a version in an empty database."""
    yield _VERSIONS
    for migration in known_migrations()[:version]:
        yield from migration.statements


def parse_migration(file_name: str, text: str) -> Migration:
    """Parse a migration. A statement ends with a semicolon at the end of a line, and `--` is a comment."""
    match = _FILE_NAME.fullmatch(file_name)
    if match is None:
        raise ValueError(f"{file_name}: a migration is named 0001_what_it_brings.sql")
    readable_from = _READABLE_FROM.search(text)
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    index = _CONCURRENT_INDEX.search(code)
    code = code.replace(" CONCURRENTLY", "")
    statements = (statement.strip() for statement in re.split(r";\s*$", code, flags=re.MULTILINE))
    return Migration(
        int(match[1]),
        match[2],
        tuple(statement for statement in statements if statement),
        int(readable_from[1]) if readable_from else 0,
        index[1] if index else "",
    )


_INSTALL = "INSERT INTO installation (number, id) VALUES (1, :id) ON CONFLICT DO NOTHING"
_INSTALLATION = "SELECT id FROM installation"


async def installation_id(store: Store, new: str) -> str:
    """Return the id of this database, which is used in names at providers. The first call stores `new`."""
    rows = await store.read(_INSTALLATION)
    if not rows:
        await store.write(Statement(_INSTALL, {"id": new}))
        rows = await store.read(_INSTALLATION)
    return str(rows[0]["id"])
