"""The steps of a job as its account sees them: what of the text each speaks, and what was charged for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from proxy.storage.rows import LAST_MOMENT, Place
from proxy.storage.store import Params, Store


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """A step, and its sound if there is any: then it has the `request` that was charged. `voice` and
    `substitute` are what usage says of it, and `voices` are the saved ones, each between blanks."""

    id: str
    number: int
    first: int
    last: int
    state: Literal["wanted", "done", "failed", "canceled"]
    error: str
    request: str | None
    samples: int | None
    sample_rate_hz: int | None
    voices: str | None
    voice: str | None
    substitute: str | None
    credits: int | None


_SELECT = """
SELECT job_steps.id, job_steps.number, job_steps.first, job_steps.last, job_steps.state, job_steps.error,
    job_clips.request, job_clips.samples, job_clips.sample_rate_hz, job_clips.voices,
    usage.voice, usage.substitute, usage.credits
FROM job_steps LEFT JOIN job_clips ON job_clips.step = job_steps.id
LEFT JOIN usage ON usage.id = job_clips.request
WHERE job_steps.job = :job AND job_steps.kind = 'speech' AND job_steps.number > :number
ORDER BY job_steps.number LIMIT :limit
"""
_NUMBER = "SELECT number FROM job_steps WHERE id = :id AND job = :job"


async def page(store: Store, job: str, place: Place, limit: int) -> Sequence[StepRow]:
    """List steps, the first one first, from the place on. Places count down, as those of times do."""
    params: Params = {"job": job, "number": LAST_MOMENT - place.at, "limit": limit}
    return msgspec.convert(await store.read_long(_SELECT, params), list[StepRow])


async def place_of(store: Store, job: str, id_: str) -> Place | None:
    """Find the place of a step of a job."""
    rows = await store.read(_NUMBER, {"id": id_, "job": job})
    return Place(LAST_MOMENT - rows[0]["number"], id_) if rows else None
