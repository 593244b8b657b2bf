"""Adds new jobs with their steps, and reopens jobs that are tried again. The steps of a large job are written
part by part."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Literal

import msgspec
from msgspec.structs import replace

from proxy.features.jobs.core import records
from proxy.features.jobs.core.parts import (
    IS_OURS,
    LEASE_US,
    PART,
    UNMADE_STEPS,
    PartClaim,
    Superseded,
    part_ranges,
)
from proxy.features.jobs.core.records import JOBS, MOST_WANTED, Job, lock_statement, step_id
from proxy.features.jobs.core.uploads import FileHolds
from proxy.storage.listed_tables import lock_account
from proxy.storage.rows import columns
from proxy.storage.store import Params, Statement, Store, Value

_ROWS_OF_STATEMENT = 100
_COUNT_WANTED = f"""
(SELECT count(*) FROM job_steps WHERE account = :account AND state = 'wanted') + ({UNMADE_STEPS})
"""
_ADD = f"""
INSERT INTO jobs ({columns(Job)}) SELECT {", ".join(JOBS.placeholders.values())}
WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = :account AND closed IS NOT NULL)
AND {_COUNT_WANTED} + CAST(:steps AS BIGINT) <= {MOST_WANTED}
AND ({records.STORED}) + CAST(:bytes AS BIGINT) + {{new_bytes}} <= {records.MOST_STORED_BYTES}
AND {{only_if}} RETURNING id
"""
_DONE_IF_NOTHING = """
UPDATE jobs SET state = 'done', ended = :now WHERE id = :job AND state = 'open'
AND NOT EXISTS (SELECT 1 FROM job_steps WHERE job = :job AND state = 'wanted')
"""
_REOPEN_STEPS = f"""
UPDATE job_steps SET state = CASE WHEN kind = 'file' THEN 'later' ELSE 'wanted' END, due = :due, tries = 0,
error = '' WHERE job = :job AND state <> 'wanted' AND number > :after AND number <= :upto
AND NOT EXISTS (SELECT 1 FROM job_clips WHERE step = job_steps.id) AND {IS_OURS}
"""
_HAS_ROOM = f"state IN ('failed', 'canceled') AND {_COUNT_WANTED} + steps <= {MOST_WANTED}"
_REOPEN = f"""
UPDATE jobs SET state = 'open', ended = NULL, error = '', error_code = '',
    key = coalesce(CAST(:key AS TEXT), key)
WHERE id = :job AND {IS_OURS}
"""
_OPEN = f"UPDATE jobs SET state = 'open' WHERE id = :job AND {IS_OURS}"
# Until a job opens, its steps are due after the lease. Then the first part is due at once. The other parts
# wait for that time.
_BEGIN_FIRST_PART = f"UPDATE job_steps SET due = asked WHERE job = :job AND number <= {PART} AND {IS_OURS}"
_LAST_PIECE = "SELECT first, last FROM job_steps WHERE job = :job AND number = :number"


async def add_with_steps(
    store: Store,
    job: Job,
    pieces: Sequence[tuple[int, int]],
    with_statements: Sequence[Statement] = (),
    *,
    has_file: bool = False,
    kind: Literal["speech", "training"] = "speech",
    files: Collection[str] = (),
) -> bool:
    """Add a job with a step of this kind for each of its pieces, and the statements `with_statements`, which
    must do nothing if the job is not added. `has_file` adds one more step, for its file. The job holds the
    uploaded `files`.

    A large job is `making` until the last commit. If it is `making` already, this call goes on with it.
    False: too many steps of the account wait, too many bytes of it are stored, it is closed, or a file is
    gone. Raises AlreadyExists for a known id, and Superseded.
    """
    numbered = enumerate(pieces, 1)
    steps: Iterator[_NewStep] = ((step_id(job, n), n, *piece, kind, "wanted") for n, piece in numbered)
    if has_file:
        steps = chain(steps, [(step_id(job, "file"), len(pieces) + 1, 0, 0, "file", "later")])
    holds = FileHolds(job.id, job.created, files)
    locking = (lock_account(job.account), *holds.only_if.locks)
    if len(pieces) <= PART:
        written = _step_statements(job, [*steps]), holds.statements, with_statements
        answers = await store.write(*locking, _add_statement(job, holds), *chain.from_iterable(written))
        return bool(answers[len(locking)])
    claim, made, until = PartClaim(job.id), 0, await store.now() + LEASE_US
    if job.state == "making":
        made = await claim.take_over(store)
        # After a change of the configuration, the pieces may be others than those that were written.
        before = await store.read(_LAST_PIECE, {"job": job.id, "number": made})
        last = [step[_PIECE] for step in [*islice(steps, made)][-1:]]
        if job.steps != len(pieces) or [tuple(row.values()) for row in before] != last:
            raise Superseded("the job is made anew when its lease has ended")
    else:
        adding = _add_statement(replace(job, state="making"), holds)
        claiming = claim.claim_statement(until, "state = 'making'", adds=True)
        if not (await store.write(*locking, adding, *holds.statements, claiming))[-1]:
            return False
    while part := [*islice(steps, PART)]:
        made += len(part)
        await claim.write_part(store, *_step_statements(job, part, claim, until), made=made)
    opening = (Statement(_OPEN, claim.params), Statement(_BEGIN_FIRST_PART, claim.params))
    await claim.write_part(store, *opening, *with_statements, claim.release())
    return True


def _add_statement(job: Job, holds: FileHolds) -> Statement:
    sql = _ADD.format(new_bytes=holds.new_bytes, only_if=holds.only_if.sql)
    return Statement(sql, {**holds.only_if.params, **msgspec.structs.asdict(job)})


_NewStep = tuple[Value, ...]
"""The values of a new step, in the order of `_NAMES`."""
_NAMES = ("id", "number", "first", "last", "kind", "state")
_PIECE = slice(2, 4)  # `first` and `last`
_ROW = """
(CAST(:id{0} AS TEXT), CAST(:number{0} AS BIGINT), CAST(:first{0} AS BIGINT), CAST(:last{0} AS BIGINT),
CAST(:kind{0} AS TEXT), CAST(:state{0} AS TEXT))
"""


def _step_statements(
    job: Job, steps: Sequence[_NewStep], claim: PartClaim | None = None, due: int = 0
) -> Iterator[Statement]:
    """Yield the statements that add steps of a new job. They add none if the job or the claim is gone."""
    common: Params = {"job": job.id, "account": job.account, "asked": job.created, "due": due or job.created}
    for first in range(0, len(steps), _ROWS_OF_STATEMENT):
        rows = steps[first : first + _ROWS_OF_STATEMENT]
        sql, names = _insert_sql(len(rows), claim is not None)
        values = dict(zip(names, chain.from_iterable(rows), strict=True))
        yield Statement(sql, {**common, **values, **(claim.params if claim else {})})


@lru_cache
def _insert_sql(rows: int, is_part: bool) -> tuple[str, list[str]]:
    """Return the SQL that adds so many steps, and the names of its values. Drivers cache each text, so there
    should be few."""
    # Another request may have made a job of the same id, and this one had no room any more.
    only_if = IS_OURS if is_part else "EXISTS (SELECT 1 FROM jobs WHERE id = :job AND created = :asked)"
    sql = f"""
    INSERT INTO job_steps
        (id, number, first, last, kind, state, job, account, asked, due, lease, fence, tries, error)
    SELECT column1, column2, column3, column4, column5, column6, CAST(:job AS TEXT), CAST(:account AS TEXT),
        CAST(:asked AS BIGINT), CAST(:due AS BIGINT), 0, 0, 0, ''
    FROM (VALUES {", ".join(map(_ROW.format, range(rows)))}) AS new WHERE {only_if}
    """
    return sql, [f"{name}{place}" for place in range(rows) for name in _NAMES]


async def reopen(store: Store, job: Job, key: str | None) -> bool:
    """Open a job again that failed or was canceled, so that its missing steps are done. With a `key`, this
    API key pays. False: the job is in another state, or too many steps of its account wait. Raises
    Superseded."""
    claim, now = PartClaim(job.id), await store.now()
    claiming = claim.claim_statement(now + LEASE_US, _HAS_ROOM, {"account": job.account}, adds=True)
    beginning = (lock_account(job.account), lock_statement(job.id), claiming)
    of_job: Params = {**claim.params, "key": key, "now": now, "due": now + LEASE_US}
    parts = [Statement(_REOPEN_STEPS, {**of_job, **part}) for part in part_ranges(job.steps)]
    ending = (
        Statement(_REOPEN, of_job),
        Statement(_BEGIN_FIRST_PART, claim.params),
        Statement(records.FILE_IF_LAST.format(finished="1 = 1"), of_job),
        Statement(_DONE_IF_NOTHING, of_job),
        claim.release(),
    )
    if job.steps <= PART:
        return bool((await store.write(*beginning, *parts, *ending))[len(beginning) - 1])
    if not (await store.write(*beginning))[-1]:
        return False
    for number, again in enumerate(parts, 1):
        await claim.write_part(store, again, made=min(number * PART, job.steps))
    await claim.write_part(store, lock_statement(job.id), *ending)
    return True
