"""A backup that somebody else has made: it is refused whole, with the row named, before anything changes."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.feature_list import all_tables
from proxy.storage.schema import known_migrations, statements_up_to
from proxy.storage.sqlite_backup import DATABASE, restore
from tests import server
from tests.commands import command
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.proxy.file_store.test_hostile_rows import HOSTILE, Hostile, everything
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]

ROWS = {name: hostile for name, hostile in HOSTILE.items() if hostile.statements}


def hostile_backup(run: Run, folder: Path, hostile: Hostile) -> Path:
    """A good backup, in which somebody has written."""
    file = folder / "backup.db"
    run("accounts", "create", "ada")
    run("backup", str(file))
    with closing(sqlite3.connect(file)) as database:
        for sql in hostile.statements:
            database.execute(sql.replace("{out}", str(folder / "out")))
        database.commit()
    return file


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_names_a_file_elsewhere_is_named_and_nothing_is_changed(
    run: Run, folder: Path, name: str
) -> None:
    file = hostile_backup(run, folder, ROWS[name])
    before = everything(folder / "data")
    said = refused(run("restore", str(file)))
    table, _, column = name.partition(",")[0].partition(".")
    assert f"table {table}, row 1, {column}: " in said or f"table {table}, row 2, {column}: " in said
    assert "nothing was changed" in said
    assert everything(folder / "data") == before


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "CREATE TRIGGER later AFTER INSERT ON usage BEGIN UPDATE accounts SET id = '..'; END",
            "it has the trigger 'later'",
        ),
        ("CREATE VIEW names AS SELECT 1", "it has the view 'names'"),
        ("CREATE VIRTUAL TABLE found USING fts5(text)", "it has the table 'found'"),
        ("UPDATE erasures SET digests = '{}'", ""),
        ("INSERT INTO blobs VALUES (x'2e2e', 'd', 'w', 1, 1, '')", "table blobs, row 1, account: b'..'"),
        (
            "INSERT INTO erasures (subject, account, began, digests) "
            "VALUES ('voice_1', '', 1, '[[\"../d\"]]')",
            "row 1, digests: ['../d'] cannot name",
        ),
        (
            "INSERT INTO erasures (subject, account, began, digests) "
            f"VALUES ('voice_1', '', 1, '[\"{'d' * 64}\", \"../d\"]')",
            "row 1, digests: '../d' cannot name",
        ),
        (
            "INSERT INTO erasures (subject, account, digests, began) VALUES ('voice_1', '', '{', 1)",
            "'{' is no list of digests",
        ),
    ],
)
def test_what_acts_by_itself_or_is_no_text_is_refused(run: Run, folder: Path, sql: str, says: str) -> None:
    file = hostile_backup(run, folder, Hostile((sql,)))
    ran = run("restore", str(file))
    if says:
        assert says in refused(ran)
    else:
        assert ran.status == 0


_ERASURES = (
    "CREATE TABLE erasures (subject TEXT PRIMARY KEY, {account}, {digests}, began BIGINT NOT NULL, "
    "completed BIGINT, pending TEXT NOT NULL DEFAULT '[]', due BIGINT NOT NULL DEFAULT 0, "
    "lease BIGINT NOT NULL DEFAULT 0, fence BIGINT NOT NULL DEFAULT 1, tries BIGINT NOT NULL DEFAULT 0, "
    "error TEXT NOT NULL DEFAULT '', by_schema BIGINT NOT NULL DEFAULT 36)"
)
_INDEXES = (
    "CREATE INDEX erasures_by_completed ON erasures (completed)",
    "CREATE INDEX erasures_by_began ON erasures (began)",
)


def _erasures(account: str, digests: str) -> Hostile:
    """The table made anew, so that a value of it is not where the check of rows looks."""
    made = _ERASURES.format(account=account, digests=digests)
    return Hostile(("DROP TABLE erasures", made, *_INDEXES))


@pytest.mark.parametrize(
    ("hostile", "says"),
    [
        (Hostile(("DROP TABLE erasures",)), "table 'erasures', "),
        (Hostile(("CREATE TABLE more (id TEXT)",)), "table 'more', 'id': not as schema"),
        (Hostile(("ALTER TABLE blobs ADD COLUMN rowid TEXT",)), "table 'blobs', 'rowid': not as schema"),
        (Hostile(("ALTER TABLE blobs DROP COLUMN size",)), "table 'blobs', 'size': not as schema"),
        (Hostile(("CREATE INDEX more ON blobs (lower(account))",)), "table 'blobs', 'more': not as schema"),
        (
            _erasures("account TEXT AS ('../out')", "digests TEXT NOT NULL DEFAULT '[]'"),
            "table 'erasures', 'account': not as schema",
        ),
        (
            _erasures("account TEXT NOT NULL", "digests TEXT AS ('[\"../d\"]') STORED"),
            "table 'erasures', 'digests': not as schema",
        ),
        (
            Hostile(
                (
                    *_erasures("ACCOUNT TEXT NOT NULL", "Digests TEXT NOT NULL DEFAULT '[]'").statements,
                    "INSERT INTO erasures (subject, account, began) VALUES ('voice_1', '../out', 1)",
                )
            ),
            "table erasures, row 1, account: '../out' cannot name",
        ),
        (Hostile(("UPDATE schema_version SET version = version - 1",)), "not as schema"),
        (Hostile(("UPDATE schema_version SET version = -version",)), "has no number of a schema: -1"),
        (Hostile(("UPDATE schema_version SET version = 'a' || version",)), "has no number of a schema: 'a"),
    ],
)
def test_tables_that_are_not_our_own_are_refused(run: Run, folder: Path, hostile: Hostile, says: str) -> None:
    file = hostile_backup(run, folder, hostile)
    before = everything(folder / "data")
    assert says in refused(run("restore", str(file)))
    assert everything(folder / "data") == before


def test_an_index_that_tells_otherwise_than_its_table_is_refused(run: Run, folder: Path) -> None:
    """What is asked of the index alone would be read from it, and never was checked."""
    name, sql = "samples_by_digest", "CREATE INDEX samples_by_digest ON samples ({}, digest)"
    file = hostile_backup(run, folder, Hostile(()))
    with closing(sqlite3.connect(file)) as database:
        columns = database.execute("SELECT name FROM pragma_table_info('samples')").fetchall()
        values = ["'d'" if column == "digest" else "1" for (column,) in columns]
        database.execute(f"INSERT INTO samples VALUES ({', '.join(values)})")
        database.execute(f"DROP INDEX {name}")
        database.execute(sql.format("account || 'x'"))
        database.execute("PRAGMA writable_schema = 1")
        right = (sql.format("account"), name)
        database.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", right)
        database.commit()
    assert name in refused(run("restore", str(file)))


_SCHEMAS = len(known_migrations())


@pytest.mark.parametrize("every", [12, *soak(1)])
def test_a_backup_of_an_older_schema_is_restored(
    tmp_path: Path, every: int, subtests: pytest.Subtests
) -> None:
    """The first one, the last one, and some between them."""
    for schema in (*range(1, _SCHEMAS, every), _SCHEMAS):
        with subtests.test(schema=schema):
            (tmp_path / str(schema)).mkdir()
            expect_an_older_schema_to_be_restored(tmp_path / str(schema), schema)


def expect_an_older_schema_to_be_restored(tmp_path: Path, schema: int) -> None:
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "old.db")) as database:
        for sql in statements_up_to(schema):
            database.execute(sql)
        database.execute("INSERT INTO schema_version (version, name, applied) VALUES (?, '', 0)", (schema,))
        database.execute("ANALYZE")
        database.commit()
    assert restore(tmp_path / "old.db", tmp_path / "data", all_tables()).schema == schema


def test_a_server_that_starts_on_a_hostile_database_deletes_nothing_outside(tmp_path: Path) -> None:
    """Without a restore: somebody has copied the file."""
    out, log = tmp_path / "out", tmp_path / "server.log"
    out.mkdir()
    (out / "file").write_text("somebody else's")
    (tmp_path / "config.toml").write_text(server.TONE)
    command(tmp_path / "config.toml", "accounts", "create", "ada")
    with closing(sqlite3.connect(tmp_path / "data" / DATABASE)) as database:
        for name in ("accounts.id, absolute", "erasures.digests, absolute"):
            for sql in HOSTILE[name].statements:
                database.execute(sql.replace("{out}", str(out)))
        database.commit()
    with server.running(tmp_path) as live:
        until(lambda: log.read_text().count("cannot name a file") >= 2)
        assert live.speech("Hello.").status_code == 200
    assert log.read_text().count("cannot name a file") >= 2
    assert everything(out) == {str(out / "file"): b"somebody else's"}
