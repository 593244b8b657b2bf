"""The ends of jobs. Each job ends once, and the same commit notifies its account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from proxy.errors import ErrorDetail
from proxy.features.jobs.core import encoded_records, records
from proxy.features.jobs.core.encoded_records import EncodedBlob
from proxy.features.jobs.core.parts import IS_OURS, LEASE_US, PART, PartClaim, Superseded, part_ranges
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.features.webhooks.records import Event
from proxy.storage.spoken_voices import has_erased_sql
from proxy.storage.store import Condition, Params, Statement, Store

Events = Mapping[records.State, Sequence[Event]]
JOB_EVENTS: Events = {
    "done": ("job.done",),
    "failed": ("job.failed",),
    "expired": ("job.failed",),
    "canceled": ("job.canceled",),
}
"""The events of each end, unless a kind has more of them."""
SOUND_ERASED = ErrorDetail(
    "The sound of a voice in it was erased.", "invalid_request_error", None, "voice_erased"
)
"""The error of a job whose file cannot be made because an erased voice speaks in it."""

END = """
UPDATE jobs SET state = :state, ended = :now, waits = '', error = :error, error_code = :error_code
WHERE id = :job AND state = 'open'
"""
_END_BY_STEP = f"{END} AND {records.STEPS.finished}"
_HAS_ENDED = "state IN ('failed', 'canceled', 'expired')"
_CANCEL_STEPS = f"""
UPDATE job_steps SET state = 'canceled' WHERE job = :job AND state IN ('wanted', 'later')
AND number > :after AND number <= :upto AND EXISTS (SELECT 1 FROM jobs WHERE id = :job AND {_HAS_ENDED})
"""
_CANCEL_PART = f"{_CANCEL_STEPS} AND {IS_OURS}"
_FIRST_PART: Params = {"after": 0, "upto": PART + 1}
_ENDED_NOW = """
EXISTS (SELECT 1 FROM jobs WHERE id = :told_job AND state = :told_state AND ended = :told_ended)
"""
# If another step is under way, the account is not notified yet: the postponed step is tried again after that
# step.
_WAITS_ALONE = f"""
{records.STEPS.finished} AND NOT EXISTS (SELECT 1 FROM job_steps WHERE job = :told_job AND lease > :told_now)
"""
_BEGINS_TO_WAIT = f"""
{_WAITS_ALONE} AND EXISTS (SELECT 1 FROM jobs WHERE id = :told_job AND state = 'open' AND waits <> 'credits')
"""
_WAITS = f"UPDATE jobs SET waits = 'credits' WHERE id = :told_job AND state = 'open' AND {_WAITS_ALONE}"
_GOES_ON = "UPDATE jobs SET waits = '' WHERE id = :job AND waits <> ''"
_DONE_IF_LAST = f"""
UPDATE jobs SET state = 'done', ended = :now, waits = '' WHERE id = :job AND state = 'open'
AND {records.STEPS.finished} AND NOT EXISTS (SELECT 1 FROM job_steps WHERE job = :job AND state = 'wanted')
"""
_FAILED_IF_LESS = f"""
{END} AND {records.FILES.finished}
AND (SELECT count(*) FROM job_encoded WHERE job = :job AND {encoded_records.IS_RESULT})
    < CAST(:files AS BIGINT)
"""


def statements_after_step(
    step: records.JobStep, events: Events, now: int, notices: DeliveryTasks
) -> tuple[Statement, ...]:
    """Return the statements for the commit of a spoken step. After the last step, the job is done, or its
    file is made next."""
    return (*records.erased_sound_statements(step.id), *statements_after_line(step, events, now, notices))


def statements_after_line(
    step: records.JobStep, events: Events, now: int, notices: DeliveryTasks
) -> tuple[Statement, ...]:
    """Return the statements for the commit of a step whose failure does not end the job. After the last step,
    the job is done, or its file is made next."""
    of_job: Params = {"job": step.job, "now": now}
    return (
        Statement(_GOES_ON, of_job),
        Statement(records.FILE_IF_LAST.format(finished=records.STEPS.finished), of_job),
        Statement(_DONE_IF_LAST, of_job),
        *notice_statements(notices, step, events, "done", now, records.STEPS.finished),
    )


def statements_after_failure(
    step: records.JobStep, events: Events, now: int, why: ErrorDetail, notices: DeliveryTasks
) -> tuple[Statement, ...]:
    """Return the statements for the commit of a step whose failure ends the job."""
    failure: Params = {
        "job": step.job,
        "state": "failed",
        "now": now,
        "error": f"Step {step.number}: {why.message}",
        "error_code": why.code,
    }
    return (
        Statement(_END_BY_STEP, failure),
        Statement(_CANCEL_STEPS, {"job": step.job, **_FIRST_PART}),
        _later_parts_statement(step.job, now, records.STEPS.finished),
        *notice_statements(notices, step, events, "failed", now, records.STEPS.finished),
    )


def statements_after_file(
    step: records.JobStep, now: int, files: Sequence[EncodedBlob], notices: DeliveryTasks
) -> tuple[Statement, ...]:
    """Return the statements for the commit of a job's files: they add the rows of the files, and the job is
    done. If an erased voice speaks in a file, they delete this file, and the job has failed."""
    of_job: Params = {"job": step.job, "now": now}
    of_failure: Params = {**of_job, **failure_params(SOUND_ERASED), "files": len(files)}
    is_ours = f"{records.FILES.finished} AND job_encoded.job = :job AND {encoded_records.IS_RESULT}"
    return (
        # Delete the files of an earlier end, if the job was tried again.
        *encoded_records.removal_statements(is_ours, of_job),
        *encoded_records.insert_statements(files, records.FILES.finished),
        *encoded_records.removal_statements(f"{is_ours} AND {has_erased_sql('job_encoded')}", of_job),
        Statement(_FAILED_IF_LESS, of_failure),
        Statement(_DONE_IF_LAST, of_job),
        *notice_statements(notices, step, JOB_EVENTS, "failed", now, records.FILES.finished),
        *notice_statements(notices, step, JOB_EVENTS, "done", now, records.FILES.finished),
    )


def statements_after_no_file(
    step: records.JobStep, now: int, why: ErrorDetail, notices: DeliveryTasks
) -> tuple[Statement, ...]:
    """Return the statements for the commit that fails a job because its file cannot be made."""
    return (
        Statement(_END_BY_STEP, {"job": step.job, "now": now, **failure_params(why)}),
        *notice_statements(notices, step, JOB_EVENTS, "failed", now, records.FILES.finished),
    )


def failure_params(why: ErrorDetail) -> Params:
    """Return the parameters of `END` for a failure. The caller adds the job and the time."""
    return {"state": "failed", "error": why.message, "error_code": why.code}


def notice_statements(
    notices: DeliveryTasks,
    ended: records.Job | records.JobStep,
    events: Events,
    state: records.State,
    now: int,
    only_if: str,
) -> Iterator[Statement]:
    """Return the statements that notify the account if the job gets this state in the same commit. `ended` is
    the job, or a step of it. `only_if` is SQL."""
    job = ended.id if isinstance(ended, records.Job) else ended.job
    params: Params = {"told_job": job, "told_state": state, "told_ended": now}
    has_ended = Condition(f"{only_if} AND {_ENDED_NOW}", params)
    for event in events[state]:
        yield from notices.statements(ended.account, event, {"id": job}, now, has_ended)


def credit_wait_statements(step: records.JobStep, now: int, notices: DeliveryTasks) -> tuple[Statement, ...]:
    """Return the statements for the commit that postpones a step because the account has too few credits. If
    no other step is under way, the job waits, and the account is notified once."""
    params: Params = {"told_job": step.job, "told_now": now}
    begins = Condition(_BEGINS_TO_WAIT, params)
    waiting_rows = notices.statements(step.account, "job.waiting", {"id": step.job}, now, begins)
    return (*waiting_rows, Statement(_WAITS, params))


async def end_job(
    store: Store,
    job: records.Job,
    state: records.State,
    notices: DeliveryTasks,
    why: ErrorDetail | None = None,
    before: Sequence[Statement] = (),
    events: Events = JOB_EVENTS,
) -> None:
    """End an open job with all its open steps. The statements `before` are in the same commit."""
    now = await store.now()
    of_failure = failure_params(why) if why is not None else {"error": "", "error_code": ""}
    params: Params = {**of_failure, "job": job.id, "state": state, "now": now}
    statements = notice_statements(notices, job, events, state, now, "1 = 1")
    await store.write(
        records.lock_statement(job.id),
        *before,
        Statement(END, params),
        Statement(_CANCEL_STEPS, {"job": job.id, **_FIRST_PART}),
        _later_parts_statement(job.id, now),
        *statements,
    )
    if job.steps > PART:
        await cancel_steps(store, job.id, job.steps)


def _later_parts_statement(job: str, now: int, only_if: str = "1 = 1") -> Statement:
    """Return the statement that notes that a large job has more parts to cancel. This process calls
    `cancel_steps` for them, or after a kill the leading server."""
    return PartClaim(job).claim_statement(now, f"{_HAS_ENDED} AND steps > {PART} AND {only_if}", adds=False)


async def cancel_steps(store: Store, job: str, steps: int) -> None:
    """Cancel the steps of a large job that has ended, part by part, unless it was tried again meanwhile."""
    claim, now = PartClaim(job), await store.now()
    ended = Statement("DELETE FROM partial_jobs WHERE job = :job AND lease <= :now", {"job": job, "now": now})
    await store.write(ended, claim.claim_statement(now + LEASE_US, _HAS_ENDED, adds=False))
    with suppress(Superseded):
        for part in part_ranges(steps):
            await claim.write_part(store, Statement(_CANCEL_PART, {**claim.params, **part}))
        await claim.write_part(store, claim.release())
