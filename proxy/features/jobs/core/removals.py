"""Removals with a job, with a voice, and after time: rows, and the keys of the blobs that they name."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.features.jobs.core import encoded_records
from proxy.features.jobs.core.parts import IS_OURS, LEASE_US, PartClaim, ranges
from proxy.features.jobs.core.records import OF_CLIPS, OF_TEXTS, hold
from proxy.storage.blobs import drop_keys
from proxy.storage.rows import any_of
from proxy.storage.store import Params, Row, Statement, Store, Value, write_deletion
from proxy.storage.tombstones import BY_VOICE, has_erased
from proxy.storage.turns import write_in_turn

_ENCODED = f"""
SELECT DISTINCT job_clips.job FROM job_clips JOIN jobs ON jobs.id = job_clips.job
WHERE jobs.state = 'done' AND job_clips.digest <> ''
AND EXISTS (SELECT 1 FROM job_encoded WHERE job_encoded.job = jobs.id AND {encoded_records.IS_RESULT})
"""
_HIDE = """
UPDATE jobs SET state = 'removed' WHERE id = :job AND (state <> 'making'
OR NOT EXISTS (SELECT 1 FROM partial_jobs WHERE partial_jobs.job = :job AND lease > :now))
"""
_PART = 100
"""The steps of a part. Each may have a row of sound and two blobs."""
_IN_PART = f" AND {{table}}.number > :after AND {{table}}.number <= :upto AND {IS_OURS}"
_SOUND = "SELECT step, account, digest FROM job_clips WHERE job = :job AND digest <> ''"


async def remove(store: Store, job: str, before: Sequence[Statement] = ()) -> list[str]:
    """Delete a job, and the keys of its sound and text. Return the digests of the files. The statements
    `before` are in the first commit. It hides a job of several parts, which the last commit deletes. A job in
    the making stays while it has a writer. Raises StorageFailed if another request removes it."""
    claim, of_job = PartClaim(job), dict[str, Value](job=job)
    deleted = list[list[Row]]()
    found = await store.read("SELECT steps FROM jobs WHERE id = :job", of_job)
    if found and found[0]["steps"] > _PART:
        now = await store.now()
        hiding = Statement(_HIDE, {**of_job, "now": now})
        hidden = claim.statement(now + LEASE_US, "state = 'removed'", adds=False)
        if not (await store.write(hold(job), hiding, *before, hidden))[-1]:
            return []
        before = ()
        for part in ranges(found[0]["steps"], _PART):
            deleted += await claim.write_part(store, *_removal(_IN_PART, {**claim.ours, **part}))
    deleted += await write_deletion(
        store,
        hold(job),
        *before,
        *_removal("", of_job),
        *encoded_records.removal("job_encoded.job = :job", of_job),
        Statement(OF_TEXTS.format(only="jobs.id = :job"), of_job),
        Statement("DELETE FROM jobs WHERE id = :job RETURNING digest", of_job),
        Statement("DELETE FROM partial_jobs WHERE job = :job", of_job),
    )
    return [row[name] for rows in deleted for row in rows for name in ("digest", "told") if row.get(name)]


def _removal(only: str, params: Params) -> tuple[Statement, ...]:
    """Return the deletion of a job's steps, and of their sound with its keys."""
    clips = f"job_clips.job = :job{only.format(table='job_clips')}"
    return (
        Statement(OF_CLIPS.format(only=clips), params),
        Statement(f"DELETE FROM job_clips WHERE {clips} RETURNING digest, told", params),
        Statement(f"DELETE FROM job_steps WHERE job = :job{only.format(table='job_steps')}", params),
    )


async def remove_voice(store: Store, voice: str) -> list[tuple[str, str]]:
    """Delete the sound of a voice, with the keys. Return account and digest of the files."""
    only = BY_VOICE.format(":voice")
    return await _forget(store, only, only, {"voice": voice})


async def remove_erased(store: Store, since: int) -> list[tuple[str, str]]:
    """Delete the sound of voices that were erased since then: a kill may prevent a step's end."""
    began = "began >= :since AND "
    return await _forget(
        store, has_erased("job_clips", began), has_erased("job_encoded", began), {"since": since}
    )


async def list_encoded(store: Store) -> list[str]:
    """List finished jobs that have the sound of their steps in encoded files as well."""
    return [row["job"] for row in await store.read_long(_ENCODED)]


async def drop_sound(store: Store, job: str) -> list[tuple[str, str]]:
    """Drop the sound of a job's steps, with its keys. Return account and digest of the files. The rows stay
    as a proof of the charges."""
    of_job: Params = {"job": job}
    rows = await store.read_long(_SOUND, of_job)
    await _of_steps(
        store, rows, drop_keys("job_clips", "digest"), "UPDATE job_clips SET digest = '' WHERE {only}"
    )
    return [(row["account"], row["digest"]) for row in rows]


async def _forget(store: Store, clips: str, files: str, params: Params) -> list[tuple[str, str]]:
    _, rows = await store.write(*encoded_records.removal(files, params))
    found = await store.read_long(f"SELECT step FROM job_clips WHERE {clips}", params)
    deleting = "DELETE FROM job_clips WHERE {only} RETURNING account, digest, told"
    rows += await _of_steps(store, found, OF_CLIPS, deleting)
    return [(row["account"], row[name]) for row in rows for name in ("digest", "told") if row.get(name)]


async def _of_steps(store: Store, clips: Sequence[Row], *sqls: str) -> list[Row]:
    """Run SQL on the sound of steps, part by part. Return the rows of the last statement."""
    rows = list[Row]()
    for first in range(0, len(clips), _PART):
        names, steps = any_of([row["step"] for row in clips[first : first + _PART]])
        statements = [Statement(sql.format(only=f"job_clips.step IN ({names})"), steps) for sql in sqls]
        rows += (await write_in_turn(store, 4 * len(steps), *statements))[-1]
    return rows
