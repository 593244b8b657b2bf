"""The schema: numbered SQL files bring a database to this version, and never back.

The files in `migrations/`, here and in the folders of features, are numbered through. They are valid on
SQLite and PostgreSQL alike and are never edited once released.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec

from proxy.storage.store import Params, Statement, StorageFailed, Store

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")

# One row for each migration: the table tells when each was applied.
_VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_version (
    version BIGINT PRIMARY KEY,
    name    TEXT NOT NULL,
    applied BIGINT NOT NULL
)
"""
_APPLIED = "INSERT INTO schema_version (version, name, applied) VALUES (:version, :name, :applied)"


class Migration(msgspec.Struct, frozen=True):
    version: int
    name: str
    statements: tuple[str, ...]


async def migrate(store: Store, migrations: Sequence[Migration] | None = None) -> int:
    """Apply the missing migrations, each in one transaction, and give the version that was reached.

    Raises StorageFailed when a newer version has used the database: its rows may mean something else.
    """
    known = shipped() if migrations is None else migrations
    await store.write(Statement(_VERSIONS))
    (row,) = await store.read("SELECT coalesce(max(version), 0) AS version FROM schema_version")
    current: int = row["version"]
    if current > len(known):
        raise StorageFailed(
            f"the database has schema version {current}, this voxgate knows versions up to {len(known)}; "
            "start the newer voxgate again, or restore the backup from before it"
        )
    for migration in known[current:]:
        applied: Params = {
            "version": migration.version,
            "name": migration.name,
            "applied": await store.now(),
        }
        await store.write(*map(Statement, migration.statements), Statement(_APPLIED, applied))
    return len(known)


def shipped() -> list[Migration]:
    """List the migrations of this version in order, numbered from 1 without a gap."""
    found = [parse(file.name, file.read_text("utf-8")) for file in _files()]
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
    for migration in shipped()[:version]:
        yield from migration.statements


def parse(file_name: str, text: str) -> Migration:
    """Parse a migration. A statement ends with a semicolon at the end of a line, and `--` is a comment."""
    match = _FILE_NAME.fullmatch(file_name)
    if match is None:
        raise ValueError(f"{file_name}: a migration is named 0001_what_it_brings.sql")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    statements = (statement.strip() for statement in re.split(r";\s*$", code, flags=re.MULTILINE))
    return Migration(int(match[1]), match[2], tuple(statement for statement in statements if statement))


_INSTALL = "INSERT INTO installation (number, id) VALUES (1, :id) ON CONFLICT DO NOTHING"
_INSTALLATION = "SELECT id FROM installation"


async def installation_id(store: Store, new: str) -> str:
    """Return the name of this database among others, in names at providers. The first call takes `new`."""
    rows = await store.read(_INSTALLATION)
    if not rows:
        await store.write(Statement(_INSTALL, {"id": new}))
        rows = await store.read(_INSTALLATION)
    return str(rows[0]["id"])
