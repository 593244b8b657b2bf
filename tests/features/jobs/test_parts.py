"""Large jobs are written part by part: what others see meanwhile, and what is left after a kill."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import pytest
import structlog
from msgspec.structs import replace

from proxy.errors import ErrorDetail
from proxy.features.admin.verify import verify
from proxy.features.jobs.core import ends, opening, records, removals
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.parts import PART, PartClaim, Superseded
from proxy.features.jobs.core.records import JOBS, MOST_WANTED, STEPS, Job
from proxy.features.jobs.core.retention import JobRetention
from proxy.features.jobs.kinds.batch.kind import BATCHES
from proxy.storage import accounts
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import NEWEST
from proxy.storage.store import MissingReference, Statement, Store
from proxy.storage.turns import write_in_turn
from tests import forked
from tests.features.jobs.job_rig import jobs_inside, kind_of
from tests.features.jobs.parts_program import NO_NOTICES, carry_out, pieces
from tests.features.jobs.test_retention import retention
from tests.features.jobs.test_rows import new_row
from tests.proxy.api.inside import Inside
from tests.waiting import soon

LARGE = 2 * PART + 50
"""Three parts."""


async def count(store: Store, sql: str) -> int:
    (row,) = await store.read(f"SELECT count(*) AS n FROM {sql}")
    return int(row["n"])


async def states(store: Store) -> dict[str, int]:
    rows = await store.read("SELECT state, count(*) AS n FROM job_steps GROUP BY state")
    return {row["state"]: row["n"] for row in rows}


class Parts:
    """Stops the writer of a large job between two of its commits."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
        self.come, self.go = asyncio.Event(), asyncio.Event()
        self._left = before
        monkeypatch.setattr("proxy.features.jobs.core.parts.write_in_turn", self._passing)

    async def _passing(self, *arguments: Any) -> Any:
        self._left -= 1
        if not self._left:
            self.come.set()
            await self.go.wait()
        return await write_in_turn(*arguments)


@pytest.fixture
def stop(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Parts]:
    return lambda before: Parts(store, monkeypatch, before)


async def test_a_job_in_the_making_is_shown_to_nobody_and_counts(
    store: Store, stop: Callable[[int], Parts]
) -> None:
    job = await new_row(store, LARGE)
    making = stop(2)
    added = asyncio.create_task(opening.add_with_steps(store, job, pieces(job)))
    await making.come.wait()
    assert await JOBS.get(store, None, job.id) is await JOBS.get(store, job.account, job.id) is None
    assert await JOBS.place_of(store, job.account, job.id) is None
    for listed in (JOBS, BATCHES):
        assert await listed.page(store, None, NEWEST, 9, {}) == []
    assert await JOBS.count(store, job.account) == await records.count_waiting(store) == 0
    assert await STEPS.list_open(store, await store.now(), 9) == []
    # Of its steps 400 are written, and all count.
    other = replace(job, id="job_2", created=job.created - 1, steps=MOST_WANTED - LARGE + 1)
    assert not await opening.add_with_steps(store, other, [(0, 1)])
    other = replace(other, steps=MOST_WANTED - LARGE)
    assert await opening.add_with_steps(store, other, [(0, 1)])
    making.go.set()
    assert await added
    assert await JOBS.get(store, job.account, job.id) == job
    assert await states(store) == {"wanted": LARGE + 1}
    first = await STEPS.list_open(store, await store.now(), 9)
    assert [each.job for each in first] == ["job_2", "job_1"]
    assert await count(store, "partial_jobs") == 0


class OlderJob(msgspec.Struct, frozen=True):
    """A job as the versions before know it."""

    id: str
    state: Literal["open", "done", "failed", "canceled", "expired"]


async def test_an_older_server_leaves_a_job_in_the_making_where_it_is(
    store: Store, stop: Callable[[int], Parts]
) -> None:
    job, making = await new_row(store, LARGE), stop(2)
    added = asyncio.create_task(opening.add_with_steps(store, job, pieces(job)))
    await making.come.wait()
    older = ListedTable("jobs", OlderJob)
    assert await older.page(store, None, NEWEST, 9, {}) == []
    # Its look for work and its retention find nothing, and it may close the account.
    assert await STEPS.list_open(store, await store.now(), 9) == []
    await store.write(
        Statement("DELETE FROM job_steps"), Statement("DELETE FROM jobs WHERE ended IS NULL AND id = 'job_1'")
    )
    making.go.set()
    with pytest.raises(MissingReference):
        await added


async def test_the_account_of_a_job_in_the_making_is_closed(
    store: Store, stop: Callable[[int], Parts]
) -> None:
    job, making = await new_row(store, LARGE), stop(3)
    added = asyncio.create_task(opening.add_with_steps(store, job, pieces(job)))
    await making.come.wait()
    await accounts.close(store, job.account)
    making.go.set()
    with pytest.raises(Superseded):
        await added
    left = "jobs UNION ALL SELECT 1 FROM job_steps UNION ALL SELECT 1 FROM partial_jobs"
    assert await store.read(f"SELECT 1 AS n FROM {left}") == []


async def test_a_second_writer_goes_on_and_the_first_one_stops(
    store: Store, stop: Callable[[int], Parts]
) -> None:
    job, making = await new_row(store, LARGE), stop(2)
    first = asyncio.create_task(opening.add_with_steps(store, job, pieces(job)))
    await making.come.wait()
    begun = await records.find_with_making(store, job.account, job.id)
    assert begun is not None
    assert begun.state == "making"
    # The configuration has changed, and the pieces with it.
    with pytest.raises(Superseded):
        await opening.add_with_steps(store, begun, [(9, 10)] * LARGE)
    assert await opening.add_with_steps(store, begun, pieces(job))
    making.go.set()
    with pytest.raises(Superseded):
        await first
    assert await JOBS.get(store, job.account, job.id) == job
    assert await states(store) == {"wanted": LARGE}


async def test_a_writer_without_its_claim_writes_nothing_more(
    store: Store, stop: Callable[[int], Parts]
) -> None:
    job, making = await new_row(store, LARGE), stop(2)
    first = asyncio.create_task(opening.add_with_steps(store, job, pieces(job)))
    await making.come.wait()
    before = await states(store)
    await PartClaim(job.id).take_over(store)
    making.go.set()
    with pytest.raises(Superseded):
        await first
    assert await states(store) == before


async def test_no_commit_has_more_than_500_rows_and_others_write_between(store: Store) -> None:
    job, written = await new_row(store, LARGE), 0
    is_over = asyncio.Event()

    async def neighbour() -> None:
        nonlocal written
        while not is_over.is_set():
            await store.write(Statement("UPDATE accounts SET name = name WHERE id = 'none'"))
            written += 1

    beside = asyncio.create_task(neighbour())
    with structlog.testing.capture_logs() as logs:
        for what, commits in (("make", 5), ("cancel", 4), ("retry", 5), ("remove", 10)):
            before = written
            await carry_out(store, job, what)
            assert written - before >= commits, what
            if what != "remove":
                assert await count(store, "job_steps") == LARGE
    is_over.set()
    await beside
    assert [log for log in logs if log["event"] == "commit.held" and log["rows"] > 500] == []
    assert await count(store, "jobs") == await count(store, "job_steps") == 0


async def test_a_small_job_that_is_canceled_while_it_is_tried_again_is_not_done(
    store: Store, stop: Callable[[int], Parts]
) -> None:
    job = await new_row(store, 3)
    for what in ("make", "cancel"):
        await carry_out(store, job, what)
    retry = stop(2)
    retrying = asyncio.create_task(opening.reopen(store, job, None))
    stopped = asyncio.create_task(retry.come.wait())
    await asyncio.wait({retrying, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await carry_out(store, job, "cancel")
    retry.go.set()
    assert await retrying
    await stopped if retry.come.is_set() else stopped.cancel()
    found = await JOBS.get(store, job.account, job.id)
    assert found is not None
    assert (found.state, await states(store)) == ("canceled", {"canceled": 3})


async def test_a_second_job_of_the_same_id_that_has_no_room_adds_no_steps(store: Store) -> None:
    job = await new_row(store, 3)
    await carry_out(store, job, "make")
    other = replace(job, created=job.created + 1, bytes=records.MOST_STORED_BYTES + 1)
    assert not await opening.add_with_steps(store, other, pieces(other))
    assert await states(store) == {"wanted": 3}


async def test_a_step_that_ends_a_large_job_leaves_most_steps_to_the_server_that_leads(store: Store) -> None:
    job = await new_row(store, LARGE)
    await carry_out(store, job, "make")
    (step,) = await STEPS.list_open(store, await store.now(), 1)
    held = await STEPS.take(store, step, 10**9)
    assert held is not None
    why = ErrorDetail("Its voice is gone.", "invalid_request_error", None, "voice_not_found")
    also = ends.statements_after_failure(held, ends.JOB_EVENTS, await store.now(), why, NO_NOTICES)
    assert await STEPS.write_held(store, held, {"state": "failed"}, also=also, gives_back=True)
    assert await states(store) == {"failed": 1, "canceled": PART, "wanted": LARGE - PART - 1}
    await JobRetention(JobFiles(store, NO_NOTICES), NO_NOTICES).end_abandoned()
    assert await states(store) == {"failed": 1, "canceled": LARGE - 1}
    assert await count(store, "partial_jobs") == 0


async def test_two_removals_at_once_leave_nothing(store: Store, stop: Callable[[int], Parts]) -> None:
    job = await new_row(store, LARGE)
    await carry_out(store, job, "make")
    removing = stop(3)
    first = asyncio.create_task(removals.remove_job_rows(store, job.id))
    await removing.come.wait()
    await removals.remove_job_rows(store, job.id)
    removing.go.set()
    with pytest.raises(Superseded):
        await first
    assert await count(store, "jobs") == await count(store, "job_steps") == 0


async def test_a_spoken_job_of_one_part_is_removed_in_commits_of_500_rows(store: Store) -> None:
    job = await new_row(store, PART)
    await carry_out(store, job, "make")
    await store.write(
        Statement("""
        INSERT INTO job_clips
            (step, job, account, number, request, digest, bytes, samples, sample_rate_hz, voices)
        SELECT id, job, account, number, id, id, 1, 1, 24000, '' FROM job_steps
        """),
        Statement("""
        INSERT INTO blobs (account, digest, wrapped, size, created)
        SELECT account, id, 'key', 1, 1 FROM job_steps
        """),
    )
    with structlog.testing.capture_logs() as logs:
        assert len(await removals.remove_job_rows(store, job.id)) == PART + 1
    # A machine that stands still for a moment holds a small commit, too.
    assert [log for log in logs if log["event"] == "commit.held" and log["rows"] > 500] == []
    assert await count(store, "blobs WHERE wrapped <> ''") == 0
    assert (
        await count(store, "jobs") == await count(store, "job_steps") == await count(store, "job_clips") == 0
    )


@pytest.mark.slow
async def test_the_largest_batch_is_taken(store: Store) -> None:
    job = await new_row(store, MOST_WANTED)
    with structlog.testing.capture_logs() as logs:
        for what in ("make", "cancel", "retry"):
            await carry_out(store, job, what)
    assert await states(store) == {"wanted": MOST_WANTED}
    found = await JOBS.get(store, job.account, job.id)
    assert found is not None
    assert found.state == "open"
    assert [log for log in logs if log["event"] == "commit.held" and log["rows"] > 500] == []


class Kill(NamedTuple):
    what: str
    parts: int
    goes_on: bool = True


KILLS = (
    *(Kill("make", 0), Kill("make", 1), Kill("make", 3), Kill("make", 2, goes_on=False)),
    *(
        Kill("cancel", 0),
        Kill("cancel", 2),
        Kill("retry", 0),
        Kill("retry", 2),
        Kill("remove", 0),
        Kill("remove", 5),
    ),
)
"""After so many parts."""


@pytest.mark.slow
async def test_a_kill_between_parts_leaves_nothing_half_done(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url, name="ben") as server:
        kind_of(server).most_at_once = 0
        store = server.worker.store
        row = replace(await new_row(store, LARGE), key="key_none")
        for number, kill in enumerate(KILLS):
            job = replace(row, id=f"job_{number}", created=row.created + number)
            if kill.what != "make":
                await carry_out(store, job, "make")
            if kill.what == "retry":
                await carry_out(store, job, "cancel")
                job = replace(job, state="canceled")
            sent = msgspec.json.encode(job).decode()
            arguments = (store_url, str(tmp_path / "data"), sent, kill.what, str(kill.parts))
            ended = await forked.run("tests.features.jobs.parts_program", *arguments)
            assert ended.returncode == -signal.SIGKILL, ended.stdout
            assert await count(store, "partial_jobs") == 1, kill
            await _expect_whole(server, store, job, kill)
            assert await count(store, "partial_jobs") == 0, kill
            await removals.remove_job_rows(store, job.id)
        assert await count(store, "jobs") == await count(store, "job_steps") == 0
        assert (await verify(store)).is_clean


async def _expect_whole(server: Inside, store: Store, job: Job, kill: Kill) -> None:
    found = await JOBS.get(store, job.account, job.id)
    if kill.what == "make" and kill.goes_on:
        begun = await records.find_with_making(store, job.account, job.id)
        assert found is None
        assert begun is not None
        assert await removals.remove_job_rows(store, job.id) == [], "its writer has the lease"
        await carry_out(store, begun, "make")
        numbers = await store.read("SELECT number FROM job_steps ORDER BY number")
        assert [row["number"] for row in numbers] == list(range(1, LARGE + 1))
        return
    await store.write(Statement("UPDATE partial_jobs SET lease = 0"))
    await retention(server).end_abandoned()
    if kill.what in ("make", "remove"):
        assert found is None
        assert await records.find_with_making(store, job.account, job.id) is None
        assert await count(store, "job_steps") == 0
        return
    assert found is not None
    assert found.state == "canceled"
    assert await states(store) == {"canceled": LARGE}
    await carry_out(store, job, "retry")
    assert await states(store) == {"wanted": LARGE}


@pytest.mark.slow
async def test_after_the_first_commit_of_a_cancel_no_step_begins(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        kind, store = kind_of(server), server.worker.store
        kind.most_at_once = 0
        job = replace(await new_row(store, LARGE, "ben"), key="key_none")
        await carry_out(store, job, "make")
        cancel = Parts(store, monkeypatch, 1)
        canceling = asyncio.create_task(carry_out(store, job, "cancel"))
        await cancel.come.wait()
        # Only the steps of later parts are left, and they are due now.
        await store.write(Statement("UPDATE job_steps SET due = 0 WHERE state = 'wanted'"))
        kind.most_at_once = 4
        kind.look_now()
        await soon(lambda: _taken(store))
        assert kind._postponed_jobs.keys() == {job.id}
        assert await count(store, "usage") == await count(store, "job_clips") == 0
        cancel.go.set()
        await canceling
        assert await states(store) == {"canceled": LARGE}


async def _taken(store: Store) -> bool:
    return await count(store, "job_steps WHERE fence > 0 AND lease = 0") > 0
