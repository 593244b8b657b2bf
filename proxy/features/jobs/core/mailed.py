"""Chooses the mails to users about their jobs: on trainings, waits for credits, and the ends of long jobs."""

from __future__ import annotations

from collections.abc import Mapping

from policies.tasks import SECOND_US
from proxy.features.jobs.core import records
from proxy.storage.store import Store

_LONG_US = 600 * SECOND_US
_ENDS = {"job.done": "done", "job.failed": "failed", "job.canceled": "canceled"}


async def describe_mail(store: Store, event: str, job_id: str) -> tuple[str, Mapping[str, str]] | None:
    """Return the kind of the mail about an event of a job, and its facts. None: this event needs no mail, or
    the job has gone on meanwhile."""
    job = await records.JOBS.get(store, None, job_id)
    if job is None:
        return None
    if event == "job.waiting":
        return ("job_waits", {}) if job.state == "open" and job.waits == "credits" else None
    is_long = job.ended is not None and job.ended - job.created >= _LONG_US
    if job.state == "open" or not (is_long or job.kind == "training"):
        return None
    return f"{'training' if job.kind == 'training' else 'job'}_{_ENDS[event]}", {}
