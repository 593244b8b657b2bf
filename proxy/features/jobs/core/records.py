"""Jobs as rows: the request, its steps, and the sound of each step. The sound is a row of the settlement: it
exists if and only if the step was charged."""

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
"""The most bytes that are stored of an account's requests. The results are paid for; these are not."""
OF_ACCOUNT = 2
"""The steps of an account that are spoken at once in a worker."""


class Job(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A job. `digest` is its text in the vault, or its recording, and `sealed` has the other fields of its
    request. Its recording may be that of a saved `voice`, and is erased with it."""

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
    """A piece of a job's text, from `first` up to `last`, or of its recording, in milliseconds. A step of
    kind `file` has no piece: it makes the file of all sounds, and has the state `later` until the other steps
    are done. A step of kind `training` is a whole training."""

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
        """The id of an attempt's request. Each attempt has its own, so a hold or a usage row names its
        attempt."""
        return f"{self.id}_{self.fence}"


class JobClip(msgspec.Struct, frozen=True, kw_only=True):
    """The sound of a step, or its text as JSON; then `samples` were heard. `voices` are the saved voices that
    spoke, each between blanks. `told` is the digest of the report beside the sound, with the times of so many
    `words`. Joined with others, the sound plays for `played` samples. `source` is IPTC's word for the maker,
    if the file names one. Earlier versions dropped the sound and left "" as `digest` once it was in the
    encoded file of its job. Without the named `consent`, neither the sound nor the charge is committed. A
    clip that was `taken` from the step of an earlier job shares its sound, and costs nothing."""

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

    @property
    def played_s(self) -> float:
        return (self.played or self.samples) / self.sample_rate_hz


class Made(NamedTuple):
    """The results of a job so far. `credits` are in millionths."""

    steps: int = 0
    bytes: int = 0
    seconds: float = 0.0
    credits: int = 0
    substitute: str = ""


def step_id(job: Job, step: int | Literal["file"]) -> str:
    """Name a step of a job. The id contains the job's moment: an Idempotency-Key may make a job of the same
    id again after a deletion, and a late step of the old job must not end one of the new job."""
    return f"{job.id}_{job.created}_{step if isinstance(step, str) else f'{step:05}'}"


OF_CLIPS = drop_keys("job_clips", "digest", "told")
IS_SHARED = """
job_clips.digest <> '' AND EXISTS (SELECT 1 FROM job_clips AS others WHERE others.account = job_clips.account
    AND others.digest = job_clips.digest AND others.job <> job_clips.job)
"""
"""SQL for a clip whose sound another job has, too."""
OF_TEXTS = drop_keys("jobs", "digest")

TABLES = (
    # It comes first: the commit that closes an account waits for the part that is being written, and no part
    # follows.
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
            OF_CLIPS.format(only="job_clips.account = :id"),
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
        closed_with=(OF_TEXTS.format(only="jobs.account = :id"), "DELETE FROM jobs WHERE account = :id"),
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
STEPS = TaskTable("job_steps", JobStep, _WANTED_STEPS, earliest="asked", of_account=OF_ACCOUNT)
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
_MADE = """
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
_FORGET_ERASED = f"job_clips.step = :step AND {has_erased_sql('job_clips')}"


async def stored_bytes(store: Store, account: str) -> int:
    (row,) = await store.read_long(STORED, {"account": account})
    return int(row["kept"])


async def find_made(store: Store, account: str, id_: str) -> Job | None:
    """Return a job, also while it is `making`."""
    job = await _ALL_JOBS.get(store, account, id_)
    return None if job is None or job.state == "removed" else job


async def count_waiting(store: Store) -> int:
    """Return the number of steps that are not done, of all accounts that can pay."""
    (row,) = await store.read(_ALL_WAITING)
    return int(row["steps"])


async def list_of_voice(store: Store, voice: str) -> list[Row]:
    """Return id and account of the jobs with the recording of a voice."""
    return await store.read("SELECT id, account FROM jobs WHERE voice = :voice", {"voice": voice})


async def find_clip(store: Store, step: str) -> JobClip | None:
    rows = await store.read(_CLIP, {"step": step})
    return msgspec.convert(rows[0], JobClip) if rows else None


async def still_wanted(store: Store, steps: Collection[str]) -> set[str]:
    """Return those of these steps that are not done, and whose jobs go on."""
    if not steps:
        return set()
    names, params = in_list(sorted(steps))
    rows = await store.read(_STILL_WANTED.format(steps=names), params)
    return {row["id"] for row in rows}


async def list_clips(store: Store, job: str) -> list[JobClip]:
    return [msgspec.convert(row, JobClip) for row in await store.read_long(_CLIPS, {"job": job})]


async def list_pieces(store: Store, job: str) -> dict[int, tuple[int, int]]:
    """Return the place of each step's piece in the text."""
    rows = await store.read_long(_PIECES, {"job": job})
    return {row["number"]: (row["first"], row["last"]) for row in rows}


async def made(store: Store, jobs: Collection[str]) -> dict[str, Made]:
    """Return the results of these jobs, without jobs that have none yet."""
    if not jobs:
        return {}
    names, params = in_list(sorted(jobs))
    rows = await store.read_long(_MADE.format(jobs=names), params)
    return {row["job"]: Made(*(row[name] for name in Made._fields)) for row in rows}


async def under_way(store: Store, jobs: Collection[str]) -> set[str]:
    """Return the jobs with a step under way. A job that has ended may still have one."""
    if not jobs:
        return set()
    names, params = in_list(sorted(jobs))
    rows = await store.read(_UNDER_WAY.format(jobs=names), {**params, "now": await store.now()})
    return {row["job"] for row in rows}


def hold(job: str) -> Statement:
    """Return the statement that locks the row of a job until the commit. Then the ends of its steps come one
    after the other, and the last one ends the job. It reserves no credits."""
    return Statement(_LOCK, {"job": job})


def is_wanted(step: JobStep) -> Condition:
    """Return the condition for the end of a step: it was neither canceled nor ended meanwhile."""
    return Condition("state = 'wanted'", {}, (hold(step.job),))


def forget_erased(step: str) -> tuple[Statement, ...]:
    """Return the deletion of a step's sound if its voice was erased, however late the settlement came."""
    of_step: Params = {"step": step}
    return (
        Statement(OF_CLIPS.format(only=_FORGET_ERASED), of_step),
        Statement(f"DELETE FROM job_clips WHERE {_FORGET_ERASED}", of_step),
    )


async def wait_for(store: Store, job: str, waits: Waits) -> None:
    """Note why a job waits, unless it has ended. "": it goes on."""
    await store.write(Statement(_WAITS, {"job": job, "waits": waits}))
