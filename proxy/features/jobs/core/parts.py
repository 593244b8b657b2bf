"""Writes the rows of jobs with very many steps part by part, so that no commit has more than MOST_ROWS rows.

A row in `partial_jobs` is the lease of a job's writer. Each claim of a job writes a new `token`, and IS_OURS
stops the writers with an earlier token. UNMADE_STEPS counts the steps of an account that are not `made` yet.
"""

from __future__ import annotations

from policies.tasks import SECOND_US
from proxy.storage.rows import new_id
from proxy.storage.store import Params, Row, Statement, StorageFailed, Store
from proxy.storage.tables import Table
from proxy.storage.turns import MOST_ROWS, write_in_turn

PART = 400
"""The steps of a part. Its commit writes a few other rows, too."""
LEASE_US = 15 * SECOND_US
"""The lease of a writer, which each part renews."""

TABLE = Table(
    "partial_jobs", key=("job",), closed_with=("DELETE FROM partial_jobs WHERE partial_jobs.account = :id",)
)
IS_OURS = "EXISTS (SELECT 1 FROM partial_jobs WHERE partial_jobs.job = :job AND token = :token)"
UNMADE_STEPS = """
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
_RENEW = """
UPDATE partial_jobs SET lease = :until, made = CASE WHEN made < :made THEN CAST(:made AS BIGINT) ELSE made END
WHERE job = :job AND token = :token RETURNING job
"""
_RELEASE = "DELETE FROM partial_jobs WHERE job = :job AND token = :token"


class Superseded(StorageFailed):
    """Another request or another server has claimed the job meanwhile."""


class PartClaim:
    """The claim of one writer on a job."""

    def __init__(self, job: str) -> None:
        self.params: Params = {"job": job, "token": new_id("part")}

    def claim_statement(
        self, until: int, only_if: str, params: Params | None = None, *, adds: bool
    ) -> Statement:
        """Return the statement that claims a job until then if the SQL `only_if` is true of it. If it claims
        the job, it returns a row. `adds` is true for a writer of steps, of which none is made yet."""
        sql = _CLAIM.format(only_if=only_if, made="0" if adds else "steps")
        return Statement(sql, {**self.params, **(params or {}), "until": until})

    async def take_over(self, store: Store) -> int:
        """Claim a job from an earlier writer, and return the number of steps that were written. Raises
        Superseded if the job is complete."""
        until = await store.now() + LEASE_US
        (rows,) = await store.write(Statement(_TAKE_OVER, {**self.params, "until": until}))
        if not rows:
            raise Superseded("the job is complete")
        return int(rows[0]["made"])

    async def write_part(self, store: Store, *statements: Statement, made: int = 0) -> list[list[Row]]:
        """Write a part, up to the step number `made`. The statements must check IS_OURS. Raises
        Superseded."""
        until = await store.now() + LEASE_US
        renewal = Statement(_RENEW, {**self.params, "until": until, "made": made})
        renewed, *rows = await write_in_turn(store, MOST_ROWS, renewal, *statements)
        if not renewed:
            raise Superseded("another writer goes on with the job")
        return rows

    def release(self) -> Statement:
        return Statement(_RELEASE, self.params)


def part_ranges(steps: int, part: int = PART) -> list[dict[str, int]]:
    """Return the range of step numbers of each part: above `after` and up to `upto`. The last part includes
    the step of the job's file."""
    return [{"after": after, "upto": after + part} for after in range(0, steps + 1, part)]
