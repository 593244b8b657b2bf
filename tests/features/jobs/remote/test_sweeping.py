"""The end of runs that nobody waits for, on each kind of database."""

from contextlib import suppress

import pytest
from msgspec.structs import replace

from policies.tasks import SECOND_US
from proxy.features.jobs.core import opening
from proxy.features.jobs.core import records as job_records
from proxy.features.jobs.remote.sweeping import TIDY_RETRY_S, Sweeping
from proxy.storage.store import Statement, Store
from proxy.telemetry.metrics import Metrics
from speech_engine import EngineUnavailable
from tests.features.jobs.remote.rented import MOST_USD, USD
from tests.features.jobs.remote.test_runs import JOB, MICRO, PIECE, Rig, rig
from tests.features.jobs.test_rows import new_row


async def want_step(store: Store) -> None:
    """Have the step of `PIECE` wanted."""
    job = replace(await new_row(store), id=JOB.of_job, created=5)
    assert await opening.add_with_steps(store, job, [(0, 9)])
    assert await job_records.list_wanted_steps(store, [JOB.step.rpartition(".")[0]])


def sweeping(at: Rig, engine: str = "far") -> Sweeping:
    return Sweeping(at.store, {engine: at.another()}, Metrics(), at.metrics)


async def test_only_what_no_step_wants_is_ended(store: Store) -> None:
    async with rig(store) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        # What introduces an engine is of no step.
        await at.leave(PIECE._replace(name="hello.far", job=replace(JOB, step="", of_job="")))
        await want_step(store)
        await sweeping(at).sweep()
        assert at.machines.canceled == []
        await store.write(Statement("UPDATE job_steps SET state = 'done'"))
        await sweeping(at).sweep()
        assert at.machines.canceled == [f"{PIECE.name}.1"]
        assert (await at.latest()).state == "canceled"
        assert await at.costs() == {f"{PIECE.name}.1": USD * MICRO}


async def test_what_nobody_wants_is_looked_for_before_it_is_given_up(store: Store) -> None:
    async with rig(store) as at:
        at.machines.submits, at.machines.finds = ["lost"], "yes"
        with suppress(EngineUnavailable):
            await at.runs.frames(PIECE)
        await sweeping(at).sweep()
        assert (await at.latest()).state == "starting", "its submit may be under way"
        await at.pass_("asked_by")
        await sweeping(at).sweep()
        assert at.machines.canceled == [f"{PIECE.name}.1"]
        assert (await at.latest()).state == "canceled"


async def test_what_is_past_its_time_is_charged_and_frees_what_it_held(store: Store) -> None:
    async with rig(store) as at:
        at.machines.submits = ["nothing"]
        with suppress(EngineUnavailable):
            await at.runs.frames(PIECE)
        await at.pass_("asked_by", "over_at")
        await want_step(store)
        await sweeping(at).sweep()
        assert (await at.latest()).state == "lost"
        assert await at.costs() == {f"{PIECE.name}.1": MOST_USD * MICRO}


@pytest.mark.parametrize("moments", [(), ("asked_by", "over_at")])
async def test_a_run_whose_engine_is_gone_ends_when_it_surely_is_over(
    store: Store, moments: tuple[str, ...]
) -> None:
    async with rig(store) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        await at.pass_(*moments)
        await sweeping(at, engine="another").sweep()
        assert (await at.latest()).state == ("lost" if moments else "running")
        assert await at.costs() == ({f"{PIECE.name}.1": MOST_USD * MICRO} if moments else {})


async def test_a_runner_learns_which_names_are_alive(store: Store) -> None:
    async with rig(store) as at:
        await at.runs.frames(PIECE)
        at.machines.may_end.clear()
        await at.leave(PIECE._replace(name="job_1_5_00002.0.far"))
        await sweeping(at).tidy()
        # Whoever was killed may fetch the first one again.
        (live,) = at.machines.live
        assert live.keys() == {f"name-{PIECE.name}.1", "name-job_1_5_00002.0.far.1"}
        assert 0.0 == live["name-job_1_5_00002.0.far.1"] < live[f"name-{PIECE.name}.1"] < 60.0
        await at.pass_("ended")
        await sweeping(at).tidy()
        assert at.machines.live[1:] == [{"name-job_1_5_00002.0.far.1": 0.0}]


async def test_a_runner_is_asked_when_a_machine_has_been_idle_for_its_time(store: Store) -> None:
    """It was only every five minutes: a machine billed for up to ten minutes more than its idle time."""
    async with rig(store) as at:
        at.machines.limits = replace(at.machines.limits, kept_s=20.0, idle_s=40.0)
        await at.runs.frames(PIECE)
        turns = sweeping(at)
        for _ in range(2):
            await turns.tidy()
        assert len(at.machines.live) == 1, "nothing is idle for so long"
        # It ended such a time ago that it is idle for 40 s just now, and then for less.
        for idle_s, asked in ((40.0, 2), (39.0, 2), (30.0, 2), (54.0, 3), (56.0, 3)):
            ended = turns._tidied["rented"][0] - round(idle_s * SECOND_US) + 1
            await store.write(Statement("UPDATE remote_runs SET ended = :ended", {"ended": ended}))
            await turns.tidy()
            assert len(at.machines.live) == asked, idle_s


async def test_a_runner_that_does_not_answer_is_asked_again_in_a_minute(store: Store) -> None:
    async with rig(store) as at:
        at.machines.tidies_left = 0
        turns = sweeping(at)
        await turns.tidy()
        assert turns._tidied["rented"][1] <= await store.now() + round(TIDY_RETRY_S * SECOND_US)
        await turns.tidy()
        assert len(at.machines.live) == 1


async def test_old_rows_go_and_their_costs_stay(store: Store) -> None:
    async with rig(store) as at:
        await at.runs.frames(PIECE)
        await sweeping(at).tidy()
        assert (await at.latest()).state == "done"
        await at.pass_("ended")
        await sweeping(at).tidy()
        assert await store.read("SELECT id FROM remote_runs") == []
        assert len(await at.costs()) == 1


async def test_an_introduction_after_a_long_time_is_another_run_and_charged(store: Store) -> None:
    hello = PIECE._replace(name="hello.far", job=None)
    async with rig(store) as at:
        await at.runs.frames(hello)
        await at.pass_("ended")
        await sweeping(at).tidy()
        await at.runs.frames(hello)
        assert await at.costs() == {f"hello.far.{number}": USD * MICRO for number in (1, 2)}
