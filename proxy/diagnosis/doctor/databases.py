"""The checks of databases and of the vault.

A database must answer, be whole and take writes, and have only configured plans. The master keys must open
the vault's keys, and every recording must have its file.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from proxy.config import addresses
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, ok, wrong
from proxy.errors import CommandRefused
from proxy.feature_list import all_tables
from proxy.file_store import data_folder
from proxy.file_store.master_keys import MASTER_KEY_FILE, MasterKeySource, VaultFailed
from proxy.file_store.objects import Objects, check_objects, open_objects
from proxy.file_store.sealing import MasterKeys
from proxy.file_store.vault import object_name
from proxy.storage import accounts, blobs, wrapped_keys
from proxy.storage.blobs import BlobRow
from proxy.storage.disk_names import UnsafeName
from proxy.storage.schema import READABLE_FROM, known_version
from proxy.storage.sqlite_backup import DATABASE
from proxy.storage.store import StorageFailed
from proxy.storage.wrapped_keys import MasterUse

if TYPE_CHECKING:
    from proxy.storage.postgres import PostgresStore

R = TypeVar("R")

ANSWER_S = 4.0
QUICK_CHECK_S = 5.0
SOUND_SQLITE = (3, 51, 3)

_RESTORE = "stop the server, then restore a backup: voxgate restore FILE"
_NEWER = "start the newer voxgate again, or restore the backup from before it"
_VERSION = "SELECT coalesce(max(version), 0) AS version FROM schema_version"

_PROBE_KEY = "voxgate:doctor"
# A script writes the key, as the count of requests does. A copy, a full server, or a user without the right
# would still answer a read. The same script deletes the key, so no other client can see it.
_WRITE_SCRIPT = "redis.call('set', KEYS[1], '') redis.call('del', KEYS[1])"
_MEND_LIMITS = "start it, or mend [limits] url: host, port, number, user, password"


def sqlite_version(config: Config) -> Iterator[Finding]:
    if addresses.is_postgres(config.storage.url):
        return
    if sqlite3.sqlite_version_info >= SOUND_SQLITE:
        yield ok("sqlite", sqlite3.sqlite_version)
        return
    found = (
        f"{sqlite3.sqlite_version}; before 3.51.3 the write-ahead log has a rare fault (WAL-reset), by which "
        "two connections at work in the same moment can damage a database"
    )
    yield note("sqlite", found, "keep backups, and use a Python with a newer SQLite when there is one")


def database(config: Config) -> Iterator[Finding]:
    if addresses.is_postgres(config.storage.url):
        yield from _postgres(config)
        return
    file = Path(config.data) / DATABASE
    if not file.exists():
        yield ok("database", "none yet; the first start makes it")
        return
    try:
        with closing(_open_to_read(file)) as connection:
            yield _schema_finding(*_sqlite_schema(connection), "sqlite")
            yield from _damage(connection)
    except sqlite3.Error as error:
        yield wrong("database", f"{file}: {error}", _RESTORE)


def _open_to_read(file: Path) -> sqlite3.Connection:
    """Open the database to read it, without a lock if it has no log file.

    A lock would leave files behind, and their owner may be another user than the server.
    """
    is_clean = not file.with_name(f"{file.name}-wal").exists()
    mode = "immutable=1" if is_clean else "mode=ro"
    return sqlite3.connect(f"file:{quote(str(file))}?{mode}", uri=True, timeout=ANSWER_S)


def _sqlite_schema(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the version, and if it is newer than ours, the oldest version that works on it, else 0."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'schema_version'")
    if tables.fetchone()[0] == 0:
        return 0, 0
    version: int = connection.execute(_VERSION).fetchone()[0]
    return version, connection.execute(READABLE_FROM).fetchone()[0] if version > known_version() else 0


def _damage(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Read the whole database, or as much as the time allows."""
    until = time.monotonic() + QUICK_CHECK_S
    connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return
    if verdict != "ok":
        yield wrong("database", f"it is damaged: {verdict.splitlines()[0]}", _RESTORE)


def _in_postgres(url: str, query: Callable[[PostgresStore], Coroutine[None, None, R]]) -> R:
    """Run a query on a connection of its own. Raise StorageFailed."""
    # Imported here: a server with SQLite needs no driver.
    from proxy.storage.postgres import PostgresStore

    async def answer() -> R:
        store = await PostgresStore.open(url, ANSWER_S)
        try:
            return await query(store)
        finally:
            await store.close()

    return asyncio.run(answer())


async def _postgres_schema(store: PostgresStore) -> tuple[int, int]:
    (row,) = await store.read("SELECT to_regclass('schema_version') IS NOT NULL AS is_there")
    version: int = (await store.read(_VERSION))[0]["version"] if row["is_there"] else 0
    is_newer = version > known_version()
    return version, (await store.read(READABLE_FROM))[0]["readable_from"] if is_newer else 0


def _postgres(config: Config) -> Iterator[Finding]:
    url = config.storage.url
    try:
        schema = _in_postgres(url, _postgres_schema)
    except StorageFailed as error:
        do = "start it, or mend [storage] url: host, database, user, password"
        yield wrong("database", str(error), do)
        return
    yield _schema_finding(*schema, f"PostgreSQL at {addresses.show_storage(url)}")


def _schema_finding(version: int, readable_from: int, where: str) -> Finding:
    known = known_version()
    if version > known and readable_from > known:
        found = f"{where} has schema {version}, this voxgate knows schemas up to {known}"
        return wrong("database", found, _NEWER)
    later = f"; the next start brings it to {known}" if version < known else ""
    newer = ", which is newer and works" if version > known else ""
    return ok("database", f"{where}, schema {version}{newer}{later}")


def limits(config: Config) -> Iterator[Finding]:
    url = config.limits.url
    if addresses.is_memory(url):
        return
    # Imported here: a server that counts in memory needs no client.
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    where = f"Redis at {addresses.show_limits(url)}"
    client = redis.Redis.from_url(
        url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=Retry(NoBackoff(), 0)
    )
    try:
        client.eval(_WRITE_SCRIPT, 1, _PROBE_KEY)
    except redis.TimeoutError:
        yield wrong("limits", f"{where} did not answer within {ANSWER_S:g} s", _MEND_LIMITS)
    except redis.AuthenticationError:
        yield wrong("limits", f"{where} does not take this user and password", _MEND_LIMITS)
    except redis.ConnectionError:
        yield wrong("limits", f"{where} cannot be reached", _MEND_LIMITS)
    except redis.ResponseError as error:
        do = "allow writes, and let its user run scripts on the keys voxgate:*"
        yield wrong("limits", f"{where} answers, but does not count: {error}", do)
    else:
        yield ok("limits", where)
    finally:
        client.close()


_VAULT = "vault"
_BRING = "bring that key back: name it in [vault] old_master_keys, or put it into the file that it was in"
_MEND_VAULT = "mend [vault]: the server cannot keep recordings"
_MOVE_ACCOUNTS = "move them: voxgate accounts set-plan ACCOUNT PLAN"


def missing_plans(config: Config) -> Iterator[Finding]:
    """Yield one finding for each missing plan. If neither a server nor the database answers, yield none."""
    try:
        counts = _count_accounts(config)
    except (CommandRefused, StorageFailed, sqlite3.Error):
        return
    for name, count in counts.items():
        if count and name not in config.plans:
            found = f"{count} account(s) are on it, and it is not configured: they are refused"
            yield wrong("plan", found, f"add [plans.{name}], or {_MOVE_ACCOUNTS}", name=name)
    yield from _bought_plans(config)


def _bought_plans(config: Config) -> Iterator[Finding]:
    """Yield one finding for each missing plan that accounts have ordered or paid."""
    for table in all_tables():
        if not table.needs_plans:
            continue
        try:
            rows = _read_rows(
                config, f"SELECT plan, count(*) AS number FROM ({table.needs_plans}) AS needed GROUP BY plan"
            )
        except (StorageFailed, sqlite3.Error):
            continue  # the database may be of an older voxgate
        for row in rows:
            if row["plan"] not in config.plans:
                found = f"{row['number']} row(s) of {table.name} are for it, and it is not configured"
                yield wrong("plan", found, f"add [plans.{row['plan']}]", name=row["plan"])


def _count_accounts(config: Config) -> dict[str, int]:
    """Count the open accounts of each plan, without a migration: the database may be of an older voxgate."""
    # Imported here: the supervisor, which imports this module, needs no HTTP client.
    from proxy.processes.admin_client import ask_once

    if data_folder.is_held(Path(config.data)):
        answer = ask_once(config, "GET", "plans")
        configured: dict[str, int] = {row["name"]: row["accounts"] for row in answer["data"]}
        missing: dict[str, int] = answer["missing"]
        return configured | missing
    if addresses.is_postgres(config.storage.url):
        return _in_postgres(config.storage.url, accounts.count_by_plan)
    file = Path(config.data) / DATABASE
    if not file.exists():
        return {}
    with closing(_open_to_read(file)) as connection:
        return dict(connection.execute(accounts.BY_PLAN).fetchall())


def vault(config: Config) -> Iterator[Finding]:
    try:
        if config.vault.store:
            asyncio.run(check_objects(open_objects(config.vault, Path(config.data))))
    except VaultFailed as error:
        yield wrong(_VAULT, str(error), _MEND_VAULT)
        return
    try:
        uses = wrapped_keys.sum_masters(_read_rows(config, wrapped_keys.count_by_master_sql(all_tables())))
        source = MasterKeySource(config.vault, Path(config.data))
        masters = source.read_if_any()
    except VaultFailed as error:
        yield wrong(_VAULT, str(error), _BRING)
        return
    except (sqlite3.Error, StorageFailed):
        return  # the check of the database reports it, or the tables do not exist yet
    if not uses:
        yield ok(_VAULT, "nothing is sealed yet")
        return
    yield from _master_keys(uses, masters)
    yield from _unsigned_erasures(config)
    yield from _recordings(config)
    if source.is_beside_the_data:
        do = "keep a copy of it elsewhere, apart from copies of the data folder"
        yield note(_VAULT, f"the master key lies beside the data that it opens, in {MASTER_KEY_FILE}", do)


def _unsigned_erasures(config: Config) -> Iterator[Finding]:
    """Yield a finding if the running server has found lines of its vault's journal that do not count."""
    from proxy.processes.admin_client import ask_once

    if not (config.vault.is_shared and data_folder.is_held(Path(config.data))):
        return
    with suppress(CommandRefused):
        if number := len(ask_once(config, "GET", "erasures")["unsigned"]):
            found = f"no master key has signed {number} line(s) of the journal of erasures: they do not count"
            yield wrong(_VAULT, found, "see voxgate erasures list; if all are yours, voxgate erasures accept")


def _master_keys(uses: list[MasterUse], masters: MasterKeys | None) -> Iterator[Finding]:
    for use in uses:
        if masters is None or not masters.knows(use.prefix):
            yield wrong(_VAULT, f"{use.rows} keys need master key {use.id}, which is not configured", _BRING)
        elif use.prefix != masters.newest.prefix:
            yield note(
                _VAULT, f"{use.rows} keys hang on old master key {use.id}", "voxgate keys rotate-master"
            )
    if masters is None:
        return
    used = {use.prefix for use in uses}
    if masters.newest.prefix in used:
        yield ok(_VAULT, f"master key {masters.newest.id.hex()} opens what it sealed")
    for old in masters.older:
        if old.prefix not in used:
            do = "remove it from [vault] old_master_keys; keep it as long as backups from its time"
            yield note(_VAULT, f"nothing needs old master key {old.id.hex()}", do)


def _recordings(config: Config) -> Iterator[Finding]:
    try:
        names = [object_name(msgspec.convert(row, BlobRow)) for row in _read_rows(config, blobs.LIST)]
        missing = asyncio.run(count_missing(open_objects(config.vault, Path(config.data)), names))
    except VaultFailed as error:
        yield wrong(_VAULT, str(error), _MEND_VAULT)
        return
    except UnsafeName as unsafe:
        do = "somebody else wrote that row: restore a backup that you made yourself"
        yield wrong(_VAULT, f"a row of the table blobs names no recording: {unsafe}", do)
        return
    if missing:
        do = "copy the folder of the recordings back from where it was kept"
        yield wrong(_VAULT, f"the files of {missing} of {len(names)} recordings are missing", do)
    else:
        yield ok(_VAULT, f"{len(names)} recordings have their files")


async def count_missing(objects: Objects, names: Sequence[str]) -> int:
    """Count the recordings without an object. A list of a bucket may lack the newest ones."""
    missing = 0
    for name in {*names} - {each.name for each in await objects.list()}:
        try:
            await objects.read(name, 0, 1)
        except FileNotFoundError:
            missing += 1
    return missing


def _read_rows(config: Config, sql: str) -> list[Mapping[str, Any]]:
    """Run a query, and change nothing. Without a database there are no rows."""
    if addresses.is_postgres(config.storage.url):
        return _in_postgres(config.storage.url, lambda store: store.read_long(sql))
    file = Path(config.data) / DATABASE
    if not file.exists():
        return []
    with closing(_open_to_read(file)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]
