"""Rows of jobs: the request, its steps, and the sound of each step. The commit of a step's charge adds the
row of its sound, so a step has sound if and only if it was charged."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

import msgspec

from policies.tasks import QueuedTask
from proxy.features.jobs.core import encoded_records, parts
from proxy.features.jobs.core.uploads import HELD
from proxy.file_store.vault import SealedRecord
from proxy.storage.blobs import drop_keys
from proxy.storage.disk_names import owner_name
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import columns, in_list
from proxy.storage.spoken_voices import BY_VOICE, has_erased_sql
from proxy.storage.store import Condition, Params, Row, Statement, Store
from proxy.storage.tables import PathColumn, Remains, Table
from proxy.storage.task_tables import TaskTable
from speech_engine.redacted import Redacted

State = Literal["making", "open", "done", "failed", "canceled", "expired", "removed"]
"""A job that is `making` or `removed` is written part by part. Neither clients nor operators see it."""
Kind = str
"""The name of a kind of jobs. A feature may bring kinds of its own."""
Waits = Literal["", "credits", "engine", "memory", "suspended"]
"""Why an open job waits."""
MOST_WANTED = 20_000
"""The most steps of an account that wait for their turn."""
MOST_STORED_BYTES = 512 * 1024 * 1024
"""The most bytes that are stored of an account's requests. Results are paid for, and have no limit."""
STEPS_OF_ACCOUNT = 2
"""The steps of an account that a worker runs at the same time."""


class Job(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A job. `key` is the id of the API key that pays. `digest` is that of its text or its recording in the
    vault, and `sealed` has the other fields of its request. If the recording belongs to a saved `voice`, it
    is erased with it."""

    id: str
    account: str
    key: str
    kind: Kind = "speech"
    state: State = "open"
    created: int
    ended: int | None = None
    format: str
    characters: int
    bytes: int = 0
    steps: int
    waits: Waits = ""
    error: str = ""
    error_code: str = ""
    digest: str
    wrapped: str
    sealed: str
    tag: str = ""
    voice: str = ""

    @property
    def record(self) -> SealedRecord:
        return SealedRecord(self.wrapped, self.sealed)


class JobStep(QueuedTask, frozen=True, kw_only=True):
    """A step of a job. It has the piece of the text from the character `first` up to `last`, or of the
    recording, in milliseconds. A step of kind `file` has no piece: it makes the file of all sounds, and has
    the state `later` until the other steps are done. A step of kind `training` is a whole training. `asked`
    is the time of the job's creation."""

    id: str
    job: str
    account: str
    number: int
    first: int
    last: int
    kind: Literal["speech", "file", "training"] = "speech"
    state: Literal["later", "wanted", "done", "failed", "canceled"] = "wanted"
    asked: int

    @property
    def request(self) -> str:
        """The request id of the present attempt. Each attempt has its own, so holds and usage rows tell
        attempts apart."""
        return f"{self.id}_{self.fence}"


class JobClip(msgspec.Struct, frozen=True, kw_only=True):
    """The sound of a step, or its text as JSON, of `samples` that were heard. `digest` is "" if an earlier
    version of voxgate dropped the sound when it was in the encoded file of its job.

    `voices` are the saved voices that spoke, each between blanks. `told` is the digest of the report about
    the sound, which has the times of `words` words. Joined with other clips, the sound plays for `played`
    samples. `source` is IPTC's term for how it was made, if the file has one. If the `consent` is gone,
    neither the sound nor the charge is committed. If `taken` names the step of an earlier job, the clip
    shares that step's sound, and costs nothing. `head_ms` and `tail_ms` of silence are at its ends.
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
    played: int = 0
    words: int = 0
    source: str = ""
    consent: str | None = None
    fingerprint: str = ""
    taken: str = ""
    head_ms: int = 40
    tail_ms: int = 150

    @property
    def played_s(self) -> float:
        return (self.played or self.samples) / self.sample_rate_hz


class StepTotals(NamedTuple):
    """The sums over the clips of a job so far. `credits` are in millionths of a credit."""

    steps: int = 0
    bytes: int = 0
    seconds: float = 0.0
    credits: int = 0
    substitute: str = ""


def step_id(job: Job, step: int | Literal["file"]) -> str:
    """Return the id of a step. It contains the time of the job's creation: after a deletion, an
    Idempotency-Key may make a job of the same id again, and a late step of the old job must not end a step of
    the new one."""
    return f"{job.id}_{job.created}_{step if isinstance(step, str) else f'{step:05}'}"


DROP_CLIP_KEYS = drop_keys("job_clips", "digest", "told")
IS_SHARED = """
job_clips.digest <> '' AND EXISTS (SELECT 1 FROM job_clips AS others WHERE others.account = job_clips.account
    AND others.digest = job_clips.digest AND others.job <> job_clips.job)
"""
"""SQL for a clip whose sound another job has, too."""
DROP_TEXT_KEYS = drop_keys("jobs", "digest")

TABLES = (
    # It comes first, so that the commit that closes an account waits for the part that is being written. No
    # part is written after that commit.
    parts.TABLE,
    Table(
        "job_clips",
        key=("step",),
        recordings=("digest", "told"),
        personal=True,
        paths=(
            PathColumn("account", owner_name),
            PathColumn("digest", unless=""),
            PathColumn("told", unless=""),
        ),
        remains=Remains(
            "files", f"SELECT 1 AS is_there FROM job_clips WHERE {BY_VOICE.format(':subject')} LIMIT 1"
        ),
        settles=JobClip,
        closed_with=(
            DROP_CLIP_KEYS.format(only="job_clips.account = :id"),
            "DELETE FROM job_clips WHERE account = :id",
        ),
    ),
    encoded_records.TABLE,
    Table("job_steps", closed_with=("DELETE FROM job_steps WHERE account = :id",)),
    Table(
        "jobs",
        sealed=True,
        recordings=("digest",),
        personal=True,
        paths=(PathColumn("account", owner_name), PathColumn("digest")),
        remains=Remains("files", "SELECT 1 AS is_there FROM jobs WHERE voice = :subject LIMIT 1"),
        closed_with=(
            DROP_TEXT_KEYS.format(only="jobs.account = :id"),
            "DELETE FROM jobs WHERE account = :id",
        ),
        rotated_with=(
            """
            UPDATE jobs SET key = :new_id WHERE key = :id AND state IN ('open', 'making')
            AND account = (SELECT account FROM keys WHERE keys.id = :new_id)
            """,
        ),
    ),
)
IS_SHOWN = "state NOT IN ('making', 'removed')"
JOBS = ListedTable("jobs", Job, shown=IS_SHOWN)
_ALL_JOBS = ListedTable("jobs", Job)
_WANTED_STEPS = "state = 'wanted' AND kind = 'speech'"
STEPS = TaskTable("job_steps", JobStep, _WANTED_STEPS, earliest="asked", of_account=STEPS_OF_ACCOUNT)
_WANTED_FILES = "state = 'wanted' AND kind = 'file'"
FILES = TaskTable("job_steps", JobStep, _WANTED_FILES, earliest="asked", of_account=1)

_ALL_WAITING = """
SELECT count(*) AS steps FROM job_steps JOIN jobs ON jobs.id = job_steps.job
WHERE job_steps.state = 'wanted' AND jobs.state = 'open' AND jobs.waits NOT IN ('credits', 'suspended')
"""
STORED = f"""
SELECT CAST(coalesce(sum(bytes), 0) + {HELD} AS BIGINT) AS kept FROM jobs WHERE account = :account
"""
"""SQL for the bytes that are stored of an account's requests, and of the files that they name."""
_STILL_WANTED = "SELECT id FROM job_steps WHERE id IN ({steps}) AND state = 'wanted'"
_UNDER_WAY = "SELECT DISTINCT job FROM job_steps WHERE job IN ({jobs}) AND lease > :now"
_LOCK = "UPDATE jobs SET state = state WHERE id = :job"
_CLIP = f"SELECT {columns(JobClip)} FROM job_clips WHERE step = :step"
_CLIPS = f"SELECT {columns(JobClip)} FROM job_clips WHERE job = :job ORDER BY number"
_PIECES = "SELECT number, first, last FROM job_steps WHERE job = :job AND kind = 'speech'"
_CLIP_TOTALS = """
SELECT job_clips.job, count(*) AS steps, CAST(sum(bytes) AS BIGINT) AS bytes,
    sum(CAST(job_clips.samples AS DOUBLE PRECISION) / job_clips.sample_rate_hz) AS seconds,
    CAST(coalesce(sum(CASE WHEN job_clips.taken = '' THEN usage.credits ELSE 0 END), 0) AS BIGINT) AS credits,
    coalesce(max(usage.substitute), '') AS substitute
FROM job_clips LEFT JOIN usage ON usage.id = job_clips.request
WHERE job_clips.job IN ({jobs}) GROUP BY job_clips.job
"""
_WAITS = "UPDATE jobs SET waits = :waits WHERE id = :job AND state = 'open'"
FILE_IF_LAST = """
UPDATE job_steps SET state = 'wanted', due = asked WHERE job = :job AND state = 'later' AND {finished}
AND NOT EXISTS (SELECT 1 FROM job_steps AS others WHERE others.job = :job AND others.state = 'wanted')
"""
_IS_ERASED_CLIP = f"job_clips.step = :step AND {has_erased_sql('job_clips')}"


async def stored_bytes(store: Store, account: str) -> int:
    (row,) = await store.read_long(STORED, {"account": account})
    return int(row["kept"])


async def find_with_making(store: Store, account: str, id_: str) -> Job | None:
    """Find a job, also while it is `making`."""
    job = await _ALL_JOBS.get(store, account, id_)
    return None if job is None or job.state == "removed" else job


async def count_waiting(store: Store) -> int:
    """Return the number of steps that are not done, of all accounts that can pay."""
    (row,) = await store.read(_ALL_WAITING)
    return int(row["steps"])


async def list_of_voice(store: Store, voice: str) -> list[Row]:
    """Return `id` and `account` of each job that has a recording of a voice."""
    return await store.read("SELECT id, account FROM jobs WHERE voice = :voice", {"voice": voice})


async def find_clip(store: Store, step: str) -> JobClip | None:
    rows = await store.read(_CLIP, {"step": step})
    return msgspec.convert(rows[0], JobClip) if rows else None


async def list_wanted_steps(store: Store, steps: Collection[str]) -> set[str]:
    """Return those of these steps that are still to be done."""
    if not steps:
        return set()
    names, params = in_list(sorted(steps))
    rows = await store.read(_STILL_WANTED.format(steps=names), params)
    return {row["id"] for row in rows}


async def list_clips(store: Store, job: str) -> list[JobClip]:
    return [msgspec.convert(row, JobClip) for row in await store.read_long(_CLIPS, {"job": job})]


async def list_pieces(store: Store, job: str) -> dict[int, tuple[int, int]]:
    """Return the start and the end of each step's piece in the text, by the step's number."""
    rows = await store.read_long(_PIECES, {"job": job})
    return {row["number"]: (row["first"], row["last"]) for row in rows}


async def read_totals(store: Store, jobs: Collection[str]) -> dict[str, StepTotals]:
    """Return the totals of these jobs. Jobs without any clip are left out."""
    if not jobs:
        return {}
    names, params = in_list(sorted(jobs))
    rows = await store.read_long(_CLIP_TOTALS.format(jobs=names), params)
    return {row["job"]: StepTotals(*(row[name] for name in StepTotals._fields)) for row in rows}


async def list_under_way(store: Store, jobs: Collection[str]) -> set[str]:
    """Return those of these jobs that have a step under way. A job that has ended may still have one."""
    if not jobs:
        return set()
    names, params = in_list(sorted(jobs))
    rows = await store.read(_UNDER_WAY.format(jobs=names), {**params, "now": await store.now()})
    return {row["job"] for row in rows}


def lock_statement(job: str) -> Statement:
    """Return the statement that locks the row of a job until the commit, so that the ends of its steps are
    committed one after the other."""
    return Statement(_LOCK, {"job": job})


def step_condition(step: JobStep) -> Condition:
    """Return the condition for the end of a step: it was neither canceled nor ended meanwhile. It locks the
    job."""
    return Condition("state = 'wanted'", {}, (lock_statement(step.job),))


def erased_sound_statements(step: str) -> tuple[Statement, ...]:
    """Return the statements that delete a step's sound if its voice was erased. The sound may have been
    committed after the erasure."""
    of_step: Params = {"step": step}
    return (
        Statement(DROP_CLIP_KEYS.format(only=_IS_ERASED_CLIP), of_step),
        Statement(f"DELETE FROM job_clips WHERE {_IS_ERASED_CLIP}", of_step),
    )


async def write_wait_reason(store: Store, job: str, waits: Waits) -> None:
    """Write the reason why an open job waits. "": it does not wait any more."""
    await store.write(Statement(_WAITS, {"job": job, "waits": waits}))
