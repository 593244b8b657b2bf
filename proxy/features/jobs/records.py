"""Jobs as rows: what was asked for, its steps, and the sound of each step.

A step's sound is a row of its settlement: it is there if and only if the step was charged.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

import msgspec

from policies.wishes import Wish
from proxy.catalogue.notices import NO_NOTICES, Event, Notices
from proxy.kept.vault import SealedRecord
from proxy.storage.disk_names import owner_name
from proxy.storage.listed_tables import ListedTable, hold_account
from proxy.storage.rows import any_of, columns
from proxy.storage.store import Condition, Params, Statement, Store, write_deletion
from proxy.storage.tables import PathColumn, Remains, Table
from proxy.storage.wish_tables import WishTable

State = Literal["open", "done", "failed", "canceled"]
Kind = Literal["speech", "batch"]
MOST_WANTED = 20_000
"""The most steps of an account that wait for their turn."""
OF_ACCOUNT = 2
"""The steps of an account that are spoken at once in a worker."""
_ROWS = 64


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job. `digest` is its text in the vault, and `sealed` has the other fields of its request."""

    id: str
    account: str
    key: str
    kind: Kind = "speech"
    state: State = "open"
    created: int
    ended: int | None = None
    format: str
    characters: int
    steps: int
    waits: str = ""
    error: str = ""
    digest: str
    wrapped: str
    sealed: str

    def __repr__(self) -> str:
        return f"<Job {self.id}, {self.state}>"

    @property
    def record(self) -> SealedRecord:
        return SealedRecord(self.wrapped, self.sealed)


class JobStep(Wish, frozen=True, kw_only=True):
    """A piece of a job's text, from `first` up to `last`."""

    id: str
    job: str
    account: str
    number: int
    first: int
    last: int
    state: Literal["wanted", "done", "failed", "canceled"] = "wanted"
    asked: int

    @property
    def request(self) -> str:
        """The id of an attempt's request: each has its own, and its hold or usage tells whose it was."""
        return f"{self.work}_{self.fence}"

    @property
    def work(self) -> str:
        """The name of the step over all attempts. A key may make a job of the same id once more, when the
        first one was deleted."""
        return f"{self.id}_{self.asked}"


class JobClip(msgspec.Struct, frozen=True, kw_only=True):
    """The sound of a step. `voices` are the saved ones that spoke, each between blanks.

    `told` is the digest of what is told of the sound beside it, and `crc32` is that of its bytes.
    """

    step: str
    job: str
    account: str
    number: int
    request: str
    digest: str
    bytes: int
    samples: int
    sample_rate_hz: int
    voices: str
    told: str = ""
    crc32: int = 0


class Made(NamedTuple):
    """What has been made of a job."""

    steps: int = 0
    bytes: int = 0
    seconds: float = 0.0
    credits: int = 0


def voices_column(voices: Collection[str]) -> str:
    return f" {' '.join(sorted(voices))} " if voices else ""


_BY_VOICE = "voices <> '' AND voices LIKE '% ' || {} || ' %'"
# A blob without its row has no key any more. No other row names these: each begins otherwise.
_DROP_KEYS = """
DELETE FROM blobs WHERE EXISTS (
    SELECT 1 FROM {table} WHERE {table}.account = blobs.account AND blobs.digest IN ({names}) AND {only}
)
"""
_OF_CLIPS = _DROP_KEYS.replace("{table}", "job_clips").replace("{names}", "job_clips.digest, job_clips.told")
_OF_TEXTS = _DROP_KEYS.replace("{table}", "jobs").replace("{names}", "jobs.digest")

TABLES = (
    Table(
        "job_clips",
        key=("step",),
        recordings=("digest", "told"),
        personal=True,
        paths=(PathColumn("account", owner_name), PathColumn("digest"), PathColumn("told", unless="")),
        remains=Remains(
            "files", f"SELECT 1 AS is_there FROM job_clips WHERE {_BY_VOICE.format(':subject')} LIMIT 1"
        ),
        settles=JobClip,
        closed_with=(
            _OF_CLIPS.format(only="job_clips.account = :id"),
            "DELETE FROM job_clips WHERE account = :id",
        ),
    ),
    Table("job_steps", closed_with=("DELETE FROM job_steps WHERE account = :id",)),
    Table(
        "jobs",
        sealed=True,
        recordings=("digest",),
        personal=True,
        paths=(PathColumn("account", owner_name), PathColumn("digest")),
        closed_with=(_OF_TEXTS.format(only="jobs.account = :id"), "DELETE FROM jobs WHERE account = :id"),
    ),
)
JOBS = ListedTable("jobs", Job)
STEPS = WishTable("job_steps", JobStep, "state = 'wanted'", earliest="asked", of_account=OF_ACCOUNT)

_STEP_FIELDS = JobStep.__struct_fields__
_WANTED = "SELECT count(*) FROM job_steps WHERE account = :account AND state = 'wanted'"
_ADD = f"""
INSERT INTO jobs ({columns(Job)}) SELECT {", ".join(JOBS.given.values())}
WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = :account AND closed IS NOT NULL)
AND ({_WANTED}) + CAST(:steps AS BIGINT) <= {MOST_WANTED} RETURNING id
"""
_STILL_WANTED = """
SELECT id, asked FROM job_steps WHERE id IN ({steps}) AND state = 'wanted'
"""
_HOLD = "UPDATE jobs SET state = state WHERE id = :job"
_CLIP = f"SELECT {columns(JobClip)} FROM job_clips WHERE step = :step"
_CLIPS = f"SELECT {columns(JobClip)} FROM job_clips WHERE job = :job ORDER BY number"
_MADE = """
SELECT job_clips.job, count(*) AS steps, CAST(sum(bytes) AS BIGINT) AS bytes,
    sum(CAST(job_clips.samples AS DOUBLE PRECISION) / job_clips.sample_rate_hz) AS seconds,
    CAST(coalesce(sum(usage.credits), 0) AS BIGINT) AS credits
FROM job_clips LEFT JOIN usage ON usage.id = job_clips.request
WHERE job_clips.job IN ({jobs}) GROUP BY job_clips.job
"""
_END = """
UPDATE jobs SET state = :state, ended = :now, waits = '', error = :error WHERE id = :job AND state = 'open'
"""
_END_BY_STEP = f"{_END} AND {STEPS.finished}"
_CANCEL_STEPS = """
UPDATE job_steps SET state = 'canceled' WHERE job = :job AND state = 'wanted'
AND EXISTS (SELECT 1 FROM jobs WHERE id = :job AND state <> 'open')
"""
_ENDED_NOW = """
EXISTS (SELECT 1 FROM jobs WHERE id = :told_job AND state = :told_state AND ended = :told_ended)
"""
_GOES_ON = "UPDATE jobs SET waits = '' WHERE id = :job AND waits <> ''"
_WAITS = "UPDATE jobs SET waits = :waits WHERE id = :job AND state = 'open'"
_DONE_IF_LAST = f"""
UPDATE jobs SET state = 'done', ended = :now, waits = '' WHERE id = :job AND state = 'open'
AND {STEPS.finished} AND NOT EXISTS (SELECT 1 FROM job_steps WHERE job = :job AND state = 'wanted')
"""
_DONE_IF_NOTHING = """
UPDATE jobs SET state = 'done', ended = :now WHERE id = :job AND state = 'open'
AND NOT EXISTS (SELECT 1 FROM job_steps WHERE job = :job AND state = 'wanted')
"""
_IS_ERASED = """
EXISTS (SELECT 1 FROM erasures WHERE {}job_clips.voices LIKE '% ' || erasures.subject || ' %')
"""
_FORGET_ERASED = f"job_clips.step = :step AND job_clips.voices <> '' AND {_IS_ERASED.format('')}"
_AGAIN = """
UPDATE job_steps SET state = 'wanted', due = asked, tries = 0, error = ''
WHERE job = :job AND state <> 'wanted' AND NOT EXISTS (SELECT 1 FROM job_clips WHERE step = job_steps.id)
AND EXISTS (SELECT 1 FROM jobs WHERE id = :job AND state = 'open')
"""
_REOPEN = f"""
UPDATE jobs SET state = 'open', ended = NULL, error = '', key = coalesce(CAST(:key AS TEXT), key)
WHERE id = :job AND state IN ('failed', 'canceled')
AND ({_WANTED}) + steps <= {MOST_WANTED} RETURNING id
"""
_OLD = "SELECT id, account FROM jobs WHERE ended < :before ORDER BY ended LIMIT :limit"


async def add(store: Store, job: Job, pieces: Sequence[tuple[int, int]]) -> bool:
    """Add a job with its steps. False: too many steps of its account wait, or the account is closed.

    Raises AlreadyExists if there is a job with this id.
    """
    rows = [
        JobStep(
            id=f"{job.id}_{number:05}",
            job=job.id,
            account=job.account,
            number=number,
            first=first,
            last=last,
            asked=job.created,
            due=job.created,
        )
        for number, (first, last) in enumerate(pieces, 1)
    ]
    steps = [_insert_steps(job.id, rows[first : first + _ROWS]) for first in range(0, len(rows), _ROWS)]
    job_row: Params = msgspec.structs.asdict(job)
    _, added, *_ = await store.write(hold_account(job.account), Statement(_ADD, job_row), *steps)
    return bool(added)


def _insert_steps(job: str, rows: Sequence[JobStep]) -> Statement:
    """Return what adds steps, if their job was added. A driver remembers each text, and there are few."""
    given = {each.name: each.type for each in msgspec.structs.fields(JobStep)}
    params: dict[str, str | int] = {"job": job}
    selects = []
    for number, row in enumerate(rows):
        values = []
        for name in _STEP_FIELDS:
            params[f"{name}_{number}"] = getattr(row, name)
            values.append(f"CAST(:{name}_{number} AS {'BIGINT' if given[name] is int else 'TEXT'}) AS {name}")
        selects.append(f"SELECT {', '.join(values)}")
    return Statement(
        f"INSERT INTO job_steps ({', '.join(_STEP_FIELDS)}) SELECT {', '.join(_STEP_FIELDS)} "
        f"FROM ({' UNION ALL '.join(selects)}) AS new WHERE EXISTS (SELECT 1 FROM jobs WHERE id = :job)",
        params,
    )


async def find_clip(store: Store, step: str) -> JobClip | None:
    rows = await store.read(_CLIP, {"step": step})
    return msgspec.convert(rows[0], JobClip) if rows else None


class StepRows:
    """The steps of all jobs, for whoever works on them elsewhere."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def still_wanted(self, steps: Collection[str]) -> set[str]:
        """Return those of these steps, by `JobStep.work`, that are not done, and whose jobs go on."""
        if not steps:
            return set()
        names, params = any_of(sorted({step.rpartition("_")[0] for step in steps}))
        rows = await self._store.read(_STILL_WANTED.format(steps=names), params)
        return {f"{row['id']}_{row['asked']}" for row in rows} & {*steps}


async def list_clips(store: Store, job: str) -> list[JobClip]:
    """List the sound of a job, in the order of its text."""
    return [msgspec.convert(row, JobClip) for row in await store.read(_CLIPS, {"job": job})]


async def made(store: Store, jobs: Collection[str]) -> dict[str, Made]:
    """Return what has been made of each of these jobs of which there is something."""
    if not jobs:
        return {}
    names, params = any_of(sorted(jobs))
    read = store.read if len(jobs) == 1 else store.read_long
    rows = await read(_MADE.format(jobs=names), params)
    return {row["job"]: Made(row["steps"], row["bytes"], row["seconds"], row["credits"]) for row in rows}


def hold(job: str) -> Statement:
    """Let the ends of a job's steps wait for each other: the last of them ends the job."""
    return Statement(_HOLD, {"job": job})


def is_wanted(step: JobStep) -> Condition:
    return Condition("state = 'wanted'", {}, (hold(step.job),))


def after_step(step: JobStep, now: int, notices: Notices = NO_NOTICES) -> tuple[Statement, ...]:
    """Return what follows from a step that is done, in its commit.

    Nothing that an erased voice has spoken is kept, however late its settlement came.
    """
    of_step: Params = {"step": step.id, "job": step.job, "now": now}
    return (
        Statement(_OF_CLIPS.format(only=_FORGET_ERASED), of_step),
        Statement(f"DELETE FROM job_clips WHERE {_FORGET_ERASED}", of_step),
        Statement(_GOES_ON, of_step),
        Statement(_DONE_IF_LAST, of_step),
        *_told(notices, step, "job.done", now),
    )


def after_failure(
    step: JobStep, now: int, error: str, notices: Notices = NO_NOTICES
) -> tuple[Statement, ...]:
    """Return what follows from a step that cannot be spoken, in its commit: its job ends."""
    end: Params = {"job": step.job, "state": "failed", "now": now, "error": error}
    return (
        Statement(_END_BY_STEP, end),
        Statement(_CANCEL_STEPS, {"job": step.job}),
        *_told(notices, step, "job.failed", now),
    )


def _told(notices: Notices, step: JobStep, event: Event, now: int) -> Sequence[Statement]:
    """Return what tells the account of the end of a job, if it ends in this commit."""
    state = event.removeprefix("job.")
    params: Params = {"told_job": step.job, "told_state": state, "told_ended": now}
    ends = Condition(f"{STEPS.finished} AND {_ENDED_NOW}", params)
    return notices.statements(step.account, event, {"id": step.job}, now, ends)


async def end(store: Store, job: str, state: State) -> None:
    """End a job that is open, with all its steps that are wanted."""
    params: Params = {"job": job, "state": state, "now": await store.now(), "error": ""}
    await store.write(hold(job), Statement(_END, params), Statement(_CANCEL_STEPS, {"job": job}))


async def wait_for(store: Store, job: str, waits: str) -> None:
    await store.write(Statement(_WAITS, {"job": job, "waits": waits}))


async def reopen(store: Store, job: Job, key: str | None) -> bool:
    """Open a job that has failed or was canceled: what it lacks is spoken, for this key if there is one.

    False: it is neither, or too many steps of its account wait.
    """
    of_job: Params = {"job": job.id}
    _, _, opened, _, _ = await store.write(
        hold_account(job.account),
        hold(job.id),
        Statement(_REOPEN, {**of_job, "account": job.account, "key": key}),
        Statement(_AGAIN, of_job),
        Statement(_DONE_IF_NOTHING, {**of_job, "now": await store.now()}),
    )
    return bool(opened)


async def list_old(store: Store, before: int, limit: int) -> list[tuple[str, str]]:
    """List id and account of jobs that ended before then."""
    rows = await store.read(_OLD, {"before": before, "limit": limit})
    return [(row["id"], row["account"]) for row in rows]


async def remove(store: Store, job: str) -> list[str]:
    """Delete a job, the keys of all its sound and of its text. Return the digests of the files."""
    of_job: Params = {"job": job}
    deleted = await write_deletion(
        store,
        hold(job),
        Statement(_OF_CLIPS.format(only="job_clips.job = :job"), of_job),
        Statement("DELETE FROM job_clips WHERE job = :job RETURNING digest, told", of_job),
        Statement(_OF_TEXTS.format(only="jobs.id = :job"), of_job),
        Statement("DELETE FROM job_steps WHERE job = :job", of_job),
        Statement("DELETE FROM jobs WHERE id = :job RETURNING digest", of_job),
    )
    return [digest for rows in deleted for row in rows for digest in row.values() if digest]


async def remove_voice(store: Store, voice: str) -> list[tuple[str, str]]:
    """Delete what a voice has spoken, with the keys. Return account and digest of the files."""
    return await _forget(store, _BY_VOICE.format(":voice"), {"voice": voice})


async def remove_erased(store: Store, since: int) -> list[tuple[str, str]]:
    """Delete what voices have spoken that were erased since then: a kill may keep a step from its end."""
    only = f"job_clips.voices <> '' AND {_IS_ERASED.format('began >= :since AND ')}"
    return await _forget(store, only, {"since": since})


async def _forget(store: Store, only: str, params: Params) -> list[tuple[str, str]]:
    _, rows = await store.write(
        Statement(_OF_CLIPS.format(only=only), params),
        Statement(f"DELETE FROM job_clips WHERE {only} RETURNING account, digest, told", params),
    )
    return [(row["account"], row[name]) for row in rows for name in ("digest", "told") if row[name]]
