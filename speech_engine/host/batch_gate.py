"""Says who fits beside the jobs of a batch: the rule of `no_gap`, for jobs as they come."""

from __future__ import annotations

from collections.abc import Iterable

from speech_engine.host.batch_settings import BatchSettings, listener_of
from speech_engine.host.continuity import Listener
from speech_engine.host.no_gap import Capacity, demand_of, fits_in_s
from speech_engine.host.step_times import StepTimes
from speech_engine.values import SpeechJob

REMEMBERED_S = 600.0
"""A part is asked for while the one before it is heard, and a client may read slowly."""


class AdmittedAnswers:
    """The answers that were let in while more of their parts were expected. What follows a part was counted
    with it, so the next part is no newcomer."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def __repr__(self) -> str:
        return f"<AdmittedAnswers: {len(self._until)}>"

    def note(self, job: SpeechJob, now: float) -> None:
        """Note a part that begins. An answer ends here with the last part that is expected."""
        self._until = {key: until for key, until in self._until.items() if until > now}
        self._until.pop((job.tenant, job.id), None)
        if job.follows_s > 0.0:
            heard_s = job.plays_in_s + job.estimated_s / job.plays_rate
            self._until[job.tenant, job.id] = now + heard_s + REMEMBERED_S

    def goes_on(self, job: SpeechJob) -> bool:
        return (job.tenant, job.id) in self._until


def waits_s(
    job: SpeechJob,
    present: Iterable[tuple[str, Listener]],
    admitted: Iterable[SpeechJob],
    settings: BatchSettings,
    times: StepTimes,
    width: int,
    now: float,
) -> float:
    """Return 0 if a newcomer can be heard without a gap for anybody, else after how long it can.

    `present` are the jobs in the batch by their ids, and `admitted` those that have not come there yet.
    """
    newcomer = demand_of(listener_of(job, settings, now), now)
    if newcomer is None:
        return 0.0
    jobs = [*present, *((each.id, listener_of(each, settings, now)) for each in admitted)]
    last = dict(jobs)
    demands = [
        demand
        for id_, each in jobs
        if (demand := demand_of(each, now, is_last=last[id_] is each)) is not None
    ]
    has_idle = any(each.is_idle for _, each in jobs)
    return fits_in_s(newcomer, demands, Capacity(times, width, settings.rows, has_idle))
