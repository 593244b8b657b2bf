"""What the rows of jobs bound: who may add some, what a retried job has, and a settlement in doubt."""

import asyncio
from functools import partial

import pytest

from proxy.features.jobs.core import opening, records
from proxy.features.jobs.core.parts import PartClaim, Superseded
from proxy.features.jobs.core.records import Job, step_id
from proxy.features.jobs.core.settling import settle_uncancelled
from proxy.storage import accounts
from proxy.storage.store import Statement, StorageUnreachable, Store


async def new_row(store: Store, steps: int = 1, name: str = "ada") -> Job:
    account = await accounts.create(store, name=name, plan="unlimited")
    return Job(
        id="job_1",
        account=account.id,
        key="key_1",
        created=await store.now(),
        format="mp3",
        characters=5,
        steps=steps,
        digest="d",
        wrapped="",
        sealed="",
    )


async def test_a_closed_account_adds_no_job(store: Store) -> None:
    job = await new_row(store)
    await accounts.close(store, job.account)
    assert not await opening.add_with_steps(store, job, [(0, 5)])
    assert await store.read("SELECT id FROM jobs UNION ALL SELECT id FROM job_steps") == []


async def test_a_retried_job_has_all_its_tries(store: Store) -> None:
    job = await new_row(store, steps=2)
    assert await opening.add_with_steps(store, job, [(0, 5), (5, 9)])
    await store.write(
        Statement("UPDATE jobs SET state = 'failed'"),
        Statement("UPDATE job_steps SET state = 'failed', tries = 7"),
        Statement(
            "INSERT INTO job_clips (step, job, account, number, request, digest, bytes, samples, "
            "sample_rate_hz, voices) SELECT id, job, account, number, '', 'd', 1, 1, 1, '' FROM job_steps "
            "WHERE number = 2"
        ),
    )
    assert await opening.reopen(store, job, "key_2")
    steps = [await records.STEPS.get(store, step_id(job, number)) for number in (1, 2)]
    found = [(step.state, step.tries, step.error) for step in steps if step is not None]
    assert found == [("wanted", 0, ""), ("failed", 7, "")], "what was spoken is not spoken again"
    assert await store.read("SELECT key FROM jobs") == [{"key": "key_2"}], "who tries it again, pays"


async def test_a_claim_that_was_taken_over_writes_nothing_more(store: Store) -> None:
    job = await new_row(store)
    assert await opening.add_with_steps(store, job, [(0, 5)])
    first, second = PartClaim(job.id), PartClaim(job.id)
    await store.write(first.claim_statement(job.created, "state = 'open'", adds=True))
    assert await second.take_over(store) == 0
    with pytest.raises(Superseded):
        await first.write_part(store, made=1)
    assert await second.write_part(store) == []


async def test_a_retried_job_counts_among_the_steps_that_wait(store: Store) -> None:
    job = await new_row(store, steps=records.MOST_WANTED)
    assert await opening.add_with_steps(store, job, [(0, 5)])
    await store.write(Statement("UPDATE jobs SET state = 'failed'"))
    # Its one step waits beside as many as an account may have.
    assert not await opening.reopen(store, job, None)
    await store.write(Statement("UPDATE job_steps SET state = 'failed'"))
    assert await opening.reopen(store, job, None)


async def test_a_settlement_in_doubt_is_tried_until_it_is_known() -> None:
    tries: list[int] = []

    async def settle(most: int) -> None:
        tries.append(1)
        await asyncio.sleep(0)
        if len(tries) < most:
            raise StorageUnreachable("away for a moment")

    await settle_uncancelled(partial(settle, 6))
    assert len(tries) == 6
    tries.clear()
    with pytest.raises(StorageUnreachable):
        await settle_uncancelled(partial(settle, 100))
    assert len(tries) == 6
