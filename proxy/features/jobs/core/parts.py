"""Jobs with very many steps, whose rows are written part by part: no commit holds more than MOST_ROWS rows.

The row of a job in `partial_jobs` is its writer's lease. The last writer to claim a job has its `token`, and
IS_OURS stops earlier ones. UNMADE counts the steps of an account that are not `made` yet.
"""

from __future__ import annotations

from policies.tasks import SECOND_US
from proxy.storage.rows import new_id
from proxy.storage.store import Params, Row, Statement, StorageFailed, Store
from proxy.storage.tables import Table
from proxy.storage.turns import MOST_ROWS, write_in_turn

PART = 400
"""The steps of a part. The commit has a few other rows."""
LEASE_US = 15 * SECOND_US

TABLE = Table(
    "partial_jobs", key=("job",), closed_with=("DELETE FROM partial_jobs WHERE partial_jobs.account = :id",)
)
IS_OURS = "EXISTS (SELECT 1 FROM partial_jobs WHERE partial_jobs.job = :job AND token = :token)"
UNMADE = """
SELECT CAST(coalesce(sum(steps - made), 0) AS BIGINT) FROM partial_jobs WHERE partial_jobs.account = :account
"""

_CLAIM = """
INSERT INTO partial_jobs (job, account, token, lease, steps, made)
SELECT id, account, CAST(:token AS TEXT), CAST(:until AS BIGINT), steps, {made}
FROM jobs WHERE id = :job AND {only_if}
ON CONFLICT (job) DO UPDATE
SET token = excluded.token, lease = excluded.lease, steps = excluded.steps, made = excluded.made
RETURNING job
"""
_TAKE_OVER = "UPDATE partial_jobs SET token = :token, lease = :until WHERE job = :job RETURNING made"
_GO_ON = """
UPDATE partial_jobs SET lease = :until, made = CASE WHEN made < :made THEN CAST(:made AS BIGINT) ELSE made END
WHERE job = :job AND token = :token RETURNING job
"""
_RELEASE = "DELETE FROM partial_jobs WHERE job = :job AND token = :token"


class Superseded(StorageFailed):
    """Another request, or another server, goes on with a job."""


class PartClaim:
    """The claim of one writer on a job."""

    def __init__(self, job: str) -> None:
        self.ours: Params = {"job": job, "token": new_id("part")}

    def statement(self, until: int, only_if: str, params: Params | None = None, *, adds: bool) -> Statement:
        """Return the statement that claims a job if `only_if` is true of it. Then it returns a row. A writer
        that `adds` steps has made none yet."""
        sql = _CLAIM.format(only_if=only_if, made="0" if adds else "steps")
        return Statement(sql, {**self.ours, **(params or {}), "until": until})

    async def take_over(self, store: Store) -> int:
        """Claim a job from an earlier writer, and return how many steps were written."""
        until = await store.now() + LEASE_US
        (rows,) = await store.write(Statement(_TAKE_OVER, {**self.ours, "until": until}))
        if not rows:
            raise Superseded("the job is complete")
        return int(rows[0]["made"])

    async def write_part(self, store: Store, *statements: Statement, made: int = 0) -> list[list[Row]]:
        """Write a part, up to the step `made`, or raise Superseded. The statements must check IS_OURS."""
        until = await store.now() + LEASE_US
        kept = Statement(_GO_ON, {**self.ours, "until": until, "made": made})
        mine, *rows = await write_in_turn(store, MOST_ROWS, kept, *statements)
        if not mine:
            raise Superseded("another writer goes on with the job")
        return rows

    def release(self) -> Statement:
        return Statement(_RELEASE, self.ours)


def ranges(steps: int, part: int = PART) -> list[dict[str, int]]:
    """Return the range of step numbers of each part. The last one has the step of the job's file."""
    return [{"after": after, "upto": after + part} for after in range(0, steps + 1, part)]
