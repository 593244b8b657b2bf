"""Rows of trainings, one for each job of this kind: the voice, the progress, and the payment.

A training is `held` while its job is open: its price is reserved. The commit that gives the voice its model
makes it `owed`, and the next sweep charges it. If its account ends it after steps on a rented machine, the
commit of this end makes it `owed_part`. After the charge or the refund it is `over`. Until then its row stays
even if its job is deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from proxy.features.jobs.core import encoded_records
from proxy.features.jobs.core.encoded_records import IS_RESULT
from proxy.features.jobs.core.records import JobStep
from proxy.storage.rows import columns, in_list, read_known
from proxy.storage.store import Condition, Params, Statement, Store
from proxy.storage.tables import Table
from proxy.storage.task_tables import TaskTable
from speech_engine.training import Stage, TrainingDone, TrainingProgress


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """A training, by the id of its job. `payer` is the id of the API key that requested it. `hold` is the id
    of the hold, and then of the charge. If the same request arrives twice at once, only one of its two holds
    is stored.

    `mel` is the present loss and `best` the least so far. Before it begins, they are 0 and `stage` is "".
    `asked` is the number of requested steps, `ran` that of steps on rented machines, and `kept` that of steps
    in a complete checkpoint.
    """

    id: str
    account: str
    voice: str
    payer: str
    hold: str
    engine: str
    model: str
    format: str
    state: Literal["held", "owed", "owed_part", "over"] = "held"
    stage: Stage | Literal[""] = ""
    step: int = 0
    most_steps: int
    mel: float = 0.0
    best: float = 0.0
    eta_s: float | None = None
    asked: int
    ran: int = 0
    kept: int = 0
    tag: str = ""

    def __repr__(self) -> str:
        return f"<Training {self.id} of {self.voice}, {self.state}>"


_OWE_PART = """
UPDATE trainings SET state = 'owed_part', eta_s = NULL WHERE state = 'held' AND ran > 0
AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = trainings.id AND jobs.state = 'open') AND {only_if}
"""
TABLE = Table(
    "trainings",
    personal=True,
    erased_with=(_OWE_PART.format(only_if="voice = :subject AND CAST(:by_owner AS BIGINT) = 1"),),
    # The hold or the due price of a closed account is handled by the sweep, like that of a deleted job.
    closed_with=(
        _OWE_PART.format(only_if="account = :id"),
        "DELETE FROM trainings WHERE account = :id AND state = 'over'",
    ),
)
TRAININGS = TaskTable(
    "job_steps", JobStep, "state = 'wanted' AND kind = 'training'", earliest="asked", of_account=1
)
"""The steps of trainings: each has one."""

_SELECT = f"SELECT {columns(Training)} FROM trainings WHERE"
_INSERT = f"""
INSERT INTO trainings ({columns(Training)})
SELECT CAST(:id AS TEXT), CAST(:account AS TEXT), CAST(:voice AS TEXT), CAST(:payer AS TEXT),
    CAST(:hold AS TEXT),
    CAST(:engine AS TEXT), CAST(:model AS TEXT), CAST(:format AS TEXT), CAST(:state AS TEXT),
    CAST(:stage AS TEXT), CAST(:step AS BIGINT), CAST(:most_steps AS BIGINT),
    CAST(:mel AS DOUBLE PRECISION), CAST(:best AS DOUBLE PRECISION), CAST(:eta_s AS DOUBLE PRECISION),
    CAST(:asked AS BIGINT), CAST(:ran AS BIGINT), CAST(:kept AS BIGINT), CAST(:tag AS TEXT)
WHERE EXISTS (SELECT 1 FROM jobs WHERE id = :id)
"""
_HAS_HOLD = "EXISTS (SELECT 1 FROM trainings WHERE hold = :request)"
_NOTE = """
UPDATE trainings SET stage = :stage, step = :step, most_steps = :of, mel = :mel, best = :best,
    eta_s = CAST(:eta_s AS DOUBLE PRECISION),
    ran = CASE WHEN ran < :ran THEN CAST(:ran AS BIGINT) ELSE ran END
WHERE id = :id AND state = 'held' AND {only_if}
"""
_KEEP = "UPDATE trainings SET kept = CAST(:kept AS BIGINT) WHERE id = :job AND state = 'held' AND {only_if}"
_DROP_LOST_STEPS = "UPDATE trainings SET ran = kept WHERE id = :id AND state = 'held' AND ran <> kept"
_OWE = f"""
UPDATE trainings SET state = 'owed', step = :steps, best = :best, eta_s = NULL
WHERE id = :id AND state = 'held' AND {TRAININGS.finished}
AND EXISTS (SELECT 1 FROM trained_models WHERE id = :trained)
"""
_CHARGED = """
SELECT trainings.id, usage.credits FROM trainings JOIN usage ON usage.id = trainings.hold
WHERE trainings.id IN ({jobs})
"""
_DUE = f"{_SELECT} state IN ('owed', 'owed_part') ORDER BY id LIMIT :limit"
_TO_REFUND = f"""
{_SELECT} state = 'held'
AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = trainings.id AND jobs.state = 'open')
ORDER BY id LIMIT :limit
"""
# The same key may have made another training of this id since it was listed.
_IS_THE_SAME = "EXISTS (SELECT 1 FROM trainings WHERE id = :job AND hold = :hold)"
_UNFINISHED = f"job_encoded.job = :job AND NOT {IS_RESULT} AND {_IS_THE_SAME}"
_SETTLE = "UPDATE trainings SET state = 'over', eta_s = NULL WHERE id = :job AND hold = :hold"
_FORGET = """
DELETE FROM trainings WHERE state = 'over' AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = trainings.id)
"""
_OF_VOICE = """
SELECT trainings.id FROM trainings JOIN jobs ON jobs.id = trainings.id
WHERE trainings.voice = :voice AND jobs.state = 'open'
"""


def insert_statement(training: Training) -> Statement:
    """Return the statement that adds a training, for the commit of its job."""
    return Statement(_INSERT, msgspec.structs.asdict(training))


def has_hold_condition(hold: str) -> Condition:
    """Return the condition that the training of a hold was added, for statements after `insert_statement` in
    its commit."""
    return Condition(_HAS_HOLD, {"request": hold})


async def get(store: Store, id_: str) -> Training | None:
    rows = await store.read(f"{_SELECT} id = :id", {"id": id_})
    return msgspec.convert(rows[0], Training) if rows else None


async def find_by_jobs(store: Store, jobs: Collection[str]) -> dict[str, Training]:
    if not jobs:
        return {}
    names, params = in_list(sorted(jobs))
    rows = await store.read(f"{_SELECT} id IN ({names})", params)
    return {each.id: each for each in read_known(rows, Training)}


async def list_charges(store: Store, jobs: Collection[str]) -> dict[str, int]:
    """Return the charges of these trainings, in millionths of a credit. Trainings that were not charged are
    left out."""
    names, params = in_list(sorted(jobs))
    rows = await store.read(_CHARGED.format(jobs=names), params)
    return {row["id"]: row["credits"] for row in rows}


async def note_progress(
    store: Store, job: str, progress: TrainingProgress, only_if: Condition, *, ran: int = 0
) -> None:
    """Note the progress of a training, and the number of steps that `ran` on rented machines, if `only_if` is
    true."""
    values: Params = {"id": job, "ran": ran, **msgspec.structs.asdict(progress)}
    await store.write(Statement(_NOTE.format(only_if=only_if.sql), {**values, **only_if.params}))


def checkpoint_steps_statement(training: Training, step: int, only_if: str) -> Statement:
    """Return the statement that notes the number of steps in a checkpoint from a rented machine."""
    steps = min(max(0, step), training.asked)
    return Statement(_KEEP.format(only_if=only_if), {"job": training.id, "kept": steps})


async def drop_lost_steps(store: Store, job: str) -> None:
    """Note that the steps after the last checkpoint are lost, because a rented machine is gone."""
    await store.write(Statement(_DROP_LOST_STEPS, {"id": job}))


def owe_part_statement(job: str, only_if: str = "1 = 1") -> Statement:
    """Return the statement that makes the price of the steps on rented machines due, for the commit in which
    an account ends the job. It must come before the job's end."""
    return Statement(_OWE_PART.format(only_if=f"id = :of_job AND {only_if}"), {"of_job": job})


def owe_statement(step: JobStep, trained: str, done: TrainingDone) -> Statement:
    """Return the statement that makes the whole price due, for the commit that gives the voice the model of
    the id `trained`."""
    params: Params = {"id": step.job, "trained": trained, "steps": done.steps, "best": done.best}
    return Statement(_OWE, params)


async def list_due(store: Store, limit: int) -> list[Training]:
    return read_known(await store.read(_DUE, {"limit": limit}), Training)


async def list_to_refund(store: Store, limit: int) -> list[Training]:
    """List trainings with a hold whose jobs have ended without a model, or are gone."""
    return read_known(await store.read(_TO_REFUND, {"limit": limit}), Training)


async def close_training(store: Store, training: Training) -> list[str]:
    """Mark a training as over, and delete its checkpoint and partial files. Return their digests."""
    ours: Params = {"job": training.id, "hold": training.hold}
    _, gone, _ = await store.write(
        *encoded_records.removal_statements(_UNFINISHED, ours), Statement(_SETTLE, ours)
    )
    return [row["digest"] for row in gone]


async def delete_over(store: Store) -> None:
    """Delete trainings that are over, and whose job is gone."""
    await store.write(Statement(_FORGET))


async def list_open_of_voice(store: Store, voice: str) -> Sequence[str]:
    return [row["id"] for row in await store.read(_OF_VOICE, {"voice": voice})]
