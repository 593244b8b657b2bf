"""Lets a job take over clips of an earlier job. Both share the sound, and nothing is charged for it."""

from __future__ import annotations

from collections.abc import Collection

from proxy.features.jobs.core.records import JobClip, JobStep, erased_sound_statements, lock_statement
from proxy.storage.rows import columns, in_list
from proxy.storage.store import Params, Statement, Store

_FINGERPRINTS_A_QUERY = 256
_USABLE = """
job_clips.job = :source AND job_clips.account = :account AND job_clips.digest <> ''
AND fingerprint IN ({fingerprints})
AND EXISTS (SELECT 1 FROM jobs WHERE id = :source AND jobs.account = :account
    AND state NOT IN ('making', 'removed'))
"""
_HAS_BLOB = """
EXISTS (SELECT 1 FROM blobs WHERE blobs.account = job_clips.account AND blobs.digest = job_clips.digest
    AND blobs.wrapped <> '')
"""
# It adds nothing if the step was canceled, deleted or done meanwhile, or if the source was removed.
_TAKE = f"""
INSERT INTO job_clips ({columns(JobClip)})
SELECT {{values}} FROM job_clips WHERE {_USABLE} AND {_HAS_BLOB}
AND EXISTS (SELECT 1 FROM job_steps WHERE id = :step AND state = 'wanted' AND fence = :fence)
AND NOT EXISTS (SELECT 1 FROM job_clips AS others WHERE others.step = :step)
ORDER BY CASE WHEN job_clips.number = :number THEN 0 ELSE 1 END, job_clips.number LIMIT 1
RETURNING step
"""
# The other columns of a taken clip are those of the source's clip.
_OWN_VALUES = {
    "step": "CAST(:step AS TEXT)",
    "job": "CAST(:job AS TEXT)",
    "number": "CAST(:number AS BIGINT)",
    "consent": "NULL",
    "taken": "job_clips.step",
}
_TAKE_SQL = _TAKE.replace(
    "{values}", ", ".join(_OWN_VALUES.get(name, f"job_clips.{name}") for name in JobClip.__struct_fields__)
)
_FIND = f"SELECT DISTINCT fingerprint FROM job_clips WHERE {_USABLE} AND {_HAS_BLOB}"


async def take_clip(store: Store, step: JobStep, source: str, fingerprints: Collection[str]) -> bool:
    """Give a step a clip of the job `source` with one of these fingerprints, in one commit. False: there is
    none."""
    if not fingerprints:
        return False
    names, params = in_list(sorted(fingerprints), "fingerprint")
    values: Params = {
        **params,
        "source": source,
        "account": step.account,
        "job": step.job,
        "step": step.id,
        "number": step.number,
        "fence": step.fence,
    }
    taking = Statement(_TAKE_SQL.format(fingerprints=names), values)
    # The locks order this commit and removals of either job.
    jobs = sorted({source, step.job})
    answers = await store.write(*map(lock_statement, jobs), taking, *erased_sound_statements(step.id))
    return bool(answers[len(jobs)])


async def find_usable(store: Store, source: str, account: str, fingerprints: Collection[str]) -> set[str]:
    """Return those of these fingerprints that clips of the job `source` have."""
    found, wanted = set[str](), sorted(fingerprints)
    for first in range(0, len(wanted), _FINGERPRINTS_A_QUERY):
        names, params = in_list(wanted[first : first + _FINGERPRINTS_A_QUERY], "fingerprint")
        sql = _FIND.format(fingerprints=names)
        rows = await store.read(sql, {**params, "source": source, "account": account})
        found.update(row["fingerprint"] for row in rows)
    return found
