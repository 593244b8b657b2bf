"""Deletes the rows of jobs, of erased voices and of old sound, with the keys of the blobs that they name."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.features.jobs.core import encoded_records, uploads
from proxy.features.jobs.core.parts import IS_OURS, LEASE_US, PartClaim, part_ranges
from proxy.features.jobs.core.records import DROP_CLIP_KEYS, DROP_TEXT_KEYS, IS_SHARED, lock_statement
from proxy.storage.rows import in_list
from proxy.storage.spoken_voices import BY_VOICE, has_erased_sql
from proxy.storage.store import Params, Row, Statement, Store, Value, write_deletion
from proxy.storage.turns import write_in_turn

_HIDE = """
UPDATE jobs SET state = 'removed' WHERE id = :job AND (state <> 'making'
OR NOT EXISTS (SELECT 1 FROM partial_jobs WHERE partial_jobs.job = :job AND lease > :now))
"""
_STEPS_OF_PART = 100
"""The steps of a part. Each may have a row of sound and two blobs."""
_IN_PART = f" AND {{table}}.number > :after AND {{table}}.number <= :upto AND {IS_OURS}"


async def remove_job_rows(store: Store, job: str, before: Sequence[Statement] = ()) -> list[str]:
    """Delete a job, and the keys of its sound and text. Return the digests of its files. The statements
    `before` are in the first commit. The first commit hides a job of several parts, and the last one deletes
    it. A job that is `making` stays while it has a writer. Raises StorageFailed if another request removes
    the job."""
    claim, of_job = PartClaim(job), dict[str, Value](job=job)
    deleted = list[list[Row]]()
    found = await store.read("SELECT steps FROM jobs WHERE id = :job", of_job)
    if found and found[0]["steps"] > _STEPS_OF_PART:
        now = await store.now()
        hiding = Statement(_HIDE, {**of_job, "now": now})
        claiming = claim.claim_statement(now + LEASE_US, "state = 'removed'", adds=False)
        if not (await store.write(lock_statement(job), hiding, *before, claiming))[-1]:
            return []
        before = ()
        for part in part_ranges(found[0]["steps"], _STEPS_OF_PART):
            deleted += await claim.write_part(store, *_removal_statements(_IN_PART, {**claim.params, **part}))
    deleted += await write_deletion(
        store,
        lock_statement(job),
        *before,
        *_removal_statements("", of_job),
        *encoded_records.removal_statements("job_encoded.job = :job", of_job),
        *uploads.removal_statements(job),
        Statement(DROP_TEXT_KEYS.format(only="jobs.id = :job"), of_job),
        Statement("DELETE FROM jobs WHERE id = :job RETURNING digest", of_job),
        Statement("DELETE FROM partial_jobs WHERE job = :job", of_job),
    )
    return [row[name] for rows in deleted for row in rows for name in ("digest", "told") if row.get(name)]


def _removal_statements(only: str, params: Params) -> tuple[Statement, ...]:
    """Return the statements that delete a job's steps, and their sound with its keys."""
    clips = f"job_clips.job = :job{only.format(table='job_clips')}"
    return (
        Statement(DROP_CLIP_KEYS.format(only=f"{clips} AND NOT ({IS_SHARED})"), params),
        Statement(f"DELETE FROM job_clips WHERE {clips} RETURNING digest, told", params),
        Statement(f"DELETE FROM job_steps WHERE job = :job{only.format(table='job_steps')}", params),
    )


async def remove_voice(store: Store, voice: str) -> list[tuple[str, str]]:
    """Delete the sound of a voice, with the keys. Return the account and the digest of each file."""
    only = BY_VOICE.format(":voice")
    return await _remove_sound(store, only, only, {"voice": voice})


async def remove_erased(store: Store, since: int) -> list[tuple[str, str]]:
    """Delete the sound of voices that were erased since then. The end of a step does this, but a kill may
    prevent it."""
    began = "began >= :since AND "
    return await _remove_sound(
        store, has_erased_sql("job_clips", began), has_erased_sql("job_encoded", began), {"since": since}
    )


async def _remove_sound(
    store: Store, clips_sql: str, files_sql: str, params: Params
) -> list[tuple[str, str]]:
    _, rows = await store.write(*encoded_records.removal_statements(files_sql, params))
    found = await store.read_long(f"SELECT step FROM job_clips WHERE {clips_sql}", params)
    deleting = "DELETE FROM job_clips WHERE {only} RETURNING account, digest, told"
    for first in range(0, len(found), _STEPS_OF_PART):
        names, steps = in_list([row["step"] for row in found[first : first + _STEPS_OF_PART]])
        only = f"job_clips.step IN ({names})"
        statements = [Statement(sql.format(only=only), steps) for sql in (DROP_CLIP_KEYS, deleting)]
        rows += (await write_in_turn(store, 4 * len(steps), *statements))[-1]
    return [(row["account"], row[name]) for row in rows for name in ("digest", "told") if row.get(name)]
