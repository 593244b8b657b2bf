"""A commit that holds the database is named by its statement, and by no value."""

import pytest
import structlog

from proxy.storage import sqlite_batch
from proxy.storage.accounts import create
from proxy.storage.store import Statement, Store
from proxy.storage.turns import MOST_ROWS

_ROWS = """
INSERT INTO job_steps (id, job, account, number, first, last, state, asked, due, lease, fence, tries, error)
WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < CAST(:most AS BIGINT))
SELECT CAST(:secret AS TEXT) || x, id, account, x, 0, 0, 'done', 0, 0, 0, 0, 0, '' FROM n, jobs
"""
_JOB = """
INSERT INTO jobs
    (id, account, key, state, created, format, characters, steps, waits, error, digest, wrapped, sealed)
VALUES ('job_1', :account, '', 'done', 0, '', 0, 0, '', '', '', '', '')
"""


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_unit_of_many_rows_is_named_by_its_longest_statement(store: Store) -> None:
    account = await create(store, name="ada", plan="free")
    await store.write(Statement(_JOB, {"account": account.id}))
    with structlog.testing.capture_logs() as logs:
        await store.write(Statement(_ROWS, {"most": MOST_ROWS, "secret": "a secret "}))
        assert logs == []
        more = Statement(_ROWS, {"most": MOST_ROWS + 1, "secret": "b secret "})
        await store.write(Statement("UPDATE jobs SET state = 'open'"), more)
    (log,) = logs
    assert log.pop("held_ms") < 1000
    assert log == {
        "event": "commit.held",
        "log_level": "warning",
        "rows": MOST_ROWS + 2,
        "statement": "INSERT INTO job_steps",
    }


async def test_a_unit_that_takes_long_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    long = Statement("SELECT CAST(pg_sleep(0.3) AS TEXT)")
    if not store.is_shared:
        monkeypatch.setattr(sqlite_batch, "MOST_SQLITE_S", 0.0)
        long = Statement("SELECT count(*) FROM accounts")
    with structlog.testing.capture_logs() as logs:
        await store.write(Statement("UPDATE jobs SET state = 'open'"), long)
    (log,) = logs
    assert (log["event"], log["rows"]) == ("commit.held", 0)
    assert log["statement"] in ("SELECT CAST(pg_sleep(0.3) AS", "SELECT count(*) FROM", "UPDATE jobs SET")
    assert log["held_ms"] >= (300 if store.is_shared else 0)
