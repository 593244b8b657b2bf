"""What goes with a job, with a voice, and with the time: rows, and the keys of the blobs that they name."""

from __future__ import annotations

from proxy.features.jobs import file_records
from proxy.features.jobs.file_records import BY_VOICE, drop_keys, is_erased
from proxy.features.jobs.records import hold
from proxy.storage.store import Params, Statement, Store, write_deletion

_ENCODED = """
SELECT DISTINCT job_clips.job FROM job_clips JOIN jobs ON jobs.id = job_clips.job
WHERE jobs.state = 'done' AND job_clips.digest <> ''
AND EXISTS (SELECT 1 FROM job_files WHERE job_files.job = jobs.id)
"""
_SOUND = "SELECT account, digest FROM job_clips WHERE job = :job AND digest <> ''"
_OLD = "SELECT id, account FROM jobs WHERE ended < :before ORDER BY ended LIMIT :limit"


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
        Statement(drop_keys("job_clips", "job_clips.job = :job", "digest", "told"), of_job),
        Statement("DELETE FROM job_clips WHERE job = :job RETURNING digest, told", of_job),
        *file_records.removal("job_files.job = :job", of_job),
        Statement(drop_keys("jobs", "jobs.id = :job", "digest"), of_job),
        Statement("DELETE FROM job_steps WHERE job = :job", of_job),
        Statement("DELETE FROM jobs WHERE id = :job RETURNING digest", of_job),
    )
    return [row[name] for rows in deleted for row in rows for name in ("digest", "told") if row.get(name)]


async def remove_voice(store: Store, voice: str) -> list[tuple[str, str]]:
    """Delete what a voice has spoken, with the keys. Return account and digest of the files."""
    only = BY_VOICE.format(":voice")
    return await _forget(store, only, only, {"voice": voice})


async def remove_erased(store: Store, since: int) -> list[tuple[str, str]]:
    """Delete what voices have spoken that were erased since then: a kill may keep a step from its end."""
    began = "began >= :since AND "
    return await _forget(
        store, is_erased("job_clips", began), is_erased("job_files", began), {"since": since}
    )


async def list_encoded(store: Store) -> list[str]:
    """List jobs that are done, and have the sound of their steps in encoded files as well."""
    return [row["job"] for row in await store.read_long(_ENCODED)]


async def drop_sound(store: Store, job: str) -> list[tuple[str, str]]:
    """Drop the sound of a job's steps, with its keys. Return account and digest of the files. Its rows stay,
    as they prove what was charged."""
    of_job: Params = {"job": job}
    rows = await store.read(_SOUND, of_job)
    await store.write(
        Statement(drop_keys("job_clips", "job_clips.job = :job", "digest"), of_job),
        Statement("UPDATE job_clips SET digest = '' WHERE job = :job", of_job),
    )
    return [(row["account"], row["digest"]) for row in rows]


async def _forget(store: Store, clips: str, files: str, params: Params) -> list[tuple[str, str]]:
    _, gone, _, gone_files = await store.write(
        Statement(drop_keys("job_clips", clips, "digest", "told"), params),
        Statement(f"DELETE FROM job_clips WHERE {clips} RETURNING account, digest, told", params),
        *file_records.removal(files, params),
    )
    rows = [*gone, *gone_files]
    return [(row["account"], row[name]) for row in rows for name in ("digest", "told") if row.get(name)]
