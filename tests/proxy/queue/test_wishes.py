"""Wishes on both databases: taken once, written by their holder alone, put off, given up, and never lost."""

import asyncio
from typing import Any, Literal

import msgspec
import pytest
import structlog

from policies.tasks import SECOND_US
from proxy.queue.tasks import LEASE_S, Delayed, Done, Result, TaskFailed
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Condition, Statement, StorageFailed, Store
from proxy.storage.task_tables import TaskTable
from proxy.telemetry.metrics import Metrics
from tests.proxy.queue.chores import (
    CHORES,
    EFFECT,
    NOT_ERASED,
    Chore,
    Chores,
    add,
    done,
    effects,
    hang,
    row,
    sql,
)
from tests.waiting import soon

HOUR_US = 3600 * SECOND_US


async def test_many_holders_want_a_lease_and_one_gets_it(store: Store) -> None:
    await add(store, Chore(id="one"), Chore(id="later", due=LAST_MOMENT))
    listed = await row(store)
    found = await asyncio.gather(*(CHORES.take(store, listed, HOUR_US) for _ in range(8)))
    assert [held.fence for held in found if held is not None] == [1]
    assert await CHORES.take(store, await row(store), HOUR_US) is None
    now = await store.now()
    assert await CHORES.list_open(store, now, 9) == []
    assert [each.id for each in await CHORES.list_open(store, now + 2 * HOUR_US, 9)] == ["one"]


async def test_two_workers_that_look_at_once_do_each_chore_once(store: Store) -> None:
    await add(store, *(Chore(id=f"{number}", place=f"place {number}") for number in range(6)))
    workers = [Chores(store), Chores(store)]
    await asyncio.gather(*(worker.step() for worker in workers))
    assert sorted(held.id for worker in workers for held in worker.held) == [
        f"{number}" for number in range(6)
    ]
    rows = await store.read("SELECT DISTINCT state, fence, lease FROM chores")
    assert [tuple(each.values()) for each in rows] == [("done", 1, 0)]


async def test_a_lease_that_has_run_out_is_taken_by_another_and_its_holder_writes_nothing(
    store: Store,
) -> None:
    await add(store, Chore(id="one"))
    old = await CHORES.take(store, await row(store), -1)
    assert old is not None
    new = await CHORES.take(store, await row(store), HOUR_US)
    assert new is not None
    assert not await CHORES.write_held(store, old, {"state": "late"}, also=(EFFECT,), gives_back=True)
    assert await row(store) == new
    assert await CHORES.write_held(store, new, {"state": "done"}, also=(EFFECT,), gives_back=True)
    assert ((await row(store)).state, (await row(store)).lease, await effects(store)) == ("done", 0, ["one"])


async def test_an_end_whose_condition_does_not_hold_writes_nothing_and_gives_the_lease_back(
    store: Store,
) -> None:
    await add(store, Chore(id="one", due=1))
    chores = Chores(store)
    chores.condition = NOT_ERASED._replace(locks=(Statement("INSERT INTO effects (chore) VALUES ('held')"),))

    async def erased_meanwhile(held: Chore) -> Result:
        await sql(store, "UPDATE chores SET state = 'erased'")
        return Done({"state": "done"}, (EFFECT,))

    chores.ends = erased_meanwhile
    await chores.step()
    assert await row(store) == Chore(id="one", due=1, fence=1, state="erased")
    assert (await effects(store), chores.noted_results) == (["held"], [None])
    await sql(store, "UPDATE chores SET state = 'open'")
    chores.condition = chores.condition._replace(sql="account = :mine", params={"mine": "acc_a"})
    chores.ends = finished_with_effect
    await chores.step()
    assert ((await row(store)).state, await effects(store)) == ("done", ["held", "held", "one"])
    assert chores.noted_results == [None, Done({"state": "done"}, (EFFECT,))]


async def finished_with_effect(_held: Chore) -> Result:
    return Done({"state": "done"}, (EFFECT,))


NOTHING_YET: dict[str, Any] = {"state": "open", "lease": 0, "tries": 1, "error": ""}


@pytest.mark.parametrize(
    ("result", "wait_s", "expected"),
    [
        (Done(), None, {**NOTHING_YET, "tries": 0}),
        (Done({"state": "done"}), None, {**NOTHING_YET, "state": "done", "tries": 0}),
        (Delayed("It was away."), 10.0, {**NOTHING_YET, "error": "It was away.", "tries": 2}),
        (Delayed("It asks.", 60.0), 60.0, {**NOTHING_YET, "error": "It asks.", "tries": 2}),
        (Delayed("Not yet.", 7.0, is_try=False), 7.0, {**NOTHING_YET, "error": "Not yet."}),
        (
            Delayed(after_s=7.0, is_try=False, values={"place": "there"}),
            7.0,
            {**NOTHING_YET, "place": "there"},
        ),
        (TaskFailed("Never."), None, {**NOTHING_YET, "error": "Never.", "state": "dead one"}),
        (None, None, {"state": "open", "error": "before", "tries": 1}),
    ],
)
async def test_how_an_attempt_ends(
    store: Store, result: Result, wait_s: float | None, expected: dict[str, Any]
) -> None:
    await add(store, Chore(id="one", tries=1, error="before"))

    async def end(_held: Chore) -> Result:
        return result

    began, chores = await store.now(), Chores(store, end)
    await chores.step()
    found = await row(store)
    assert {name: getattr(found, name) for name in expected} == expected
    due = LAST_MOMENT if isinstance(result, TaskFailed) else 0
    waited_s = (found.due - began) / SECOND_US
    assert found.due == due if wait_s is None else wait_s <= waited_s < wait_s + 5.0
    assert chores.noted_results == [result]
    assert (found.lease > began) == (result is None)


@pytest.mark.parametrize(("is_lost", "told"), [(False, ["one"]), (True, [])])
async def test_what_goes_with_poison_is_written_by_its_holder_alone(
    store: Store, is_lost: bool, told: list[str]
) -> None:
    await add(store, Chore(id="one"))

    async def end(_held: Chore) -> Result:
        if is_lost:
            await sql(store, "UPDATE chores SET fence = 9")
        return TaskFailed("Never.")

    chores = Chores(store, end)
    chores.poison_effects = (EFFECT,)
    await chores.step()
    assert await effects(store) == told


async def test_the_last_try_is_poison_and_what_is_no_try_is_never_the_last(store: Store) -> None:
    await add(store, Chore(id="one", tries=2))
    results: list[Result] = [Delayed("Away.", is_try=False), Delayed("Away.")]

    async def end(_held: Chore) -> Result:
        return results.pop(0)

    chores = Chores(store, end)
    await chores.step()
    assert ((await row(store)).state, (await row(store)).tries) == ("open", 2)
    await chores.step()
    assert (await row(store)) == Chore(
        id="one", state="dead one", tries=2, error="Away.", due=LAST_MOMENT, fence=2
    )


async def test_who_leaves_a_doubt_keeps_the_lease(store: Store) -> None:
    await add(store, Chore(id="one"))

    async def doubt(_held: Chore) -> Result:
        return Delayed("No answer.", keeps_lease=True)

    began = await store.now()
    await Chores(store, doubt).step()
    found = await row(store)
    assert (found.tries, found.lease >= began + LEASE_S * SECOND_US) == (1, True)
    assert await CHORES.list_open(store, found.lease - 1, 9) == []


async def test_a_place_and_an_account_have_bounds_and_accounts_take_turns(store: Store) -> None:
    of_many = [Chore(id=f"many {number}", account="acc_many", due=number) for number in range(9)]
    await add(store, *of_many, Chore(id="other", account="acc_b", due=99), Chore(id="away", place="away"))
    chores = Chores(store, hang)
    assert {each.id for each in await chores.look()} == {"many 0", "other", "away"}
    # `here` has two at once, and `away` has one of this account.
    assert not chores.may_start(Chore(id="more", account="acc_c"))
    assert not chores.may_start(Chore(id="more", place="away"))
    assert chores.may_start(Chore(id="more", place="away", account="acc_c"))
    assert not chores.may_start(Chore(id="away", place="far"))
    await stop(chores)
    assert chores.may_start(Chore(id="more", place="elsewhere"))


async def stop(chores: Chores) -> None:
    with pytest.MonkeyPatch.context() as impatient:
        impatient.setattr("proxy.queue.tasks.TaskKind.closing_s", 0.01)
        async with asyncio.timeout(10):
            await chores.close()


@pytest.mark.parametrize("outlives", [True, False])
async def test_what_a_stopped_worker_left_is_done_by_the_next_one(store: Store, outlives: bool) -> None:
    """Where nothing goes on elsewhere, and nobody else may be at it, its lease is not waited for."""
    await add(store, Chore(id="one"), Chore(id="later", account="acc_b", due=LAST_MOMENT))
    killed = Chores(store, hang)
    await killed.look()
    await killed.has_begun.wait()
    await stop(killed)
    assert (await row(store)).lease > await store.now()
    follower = Chores(store)
    follower.may_outlive_worker = outlives
    left = await follower.finish_interrupted()
    is_finished = not outlives and not store.is_shared
    assert {each.id: each.state for each in left} == ({"one": "done", "later": "done"} if is_finished else {})
    await sql(store, "UPDATE chores SET lease = 0")
    await follower.step()
    assert (await row(store)).state == "done"


async def test_no_delay_ends_before_a_date_of_the_wish_itself(store: Store) -> None:
    await sql(store, "ALTER TABLE chores ADD COLUMN day BIGINT NOT NULL DEFAULT 0")
    await add(store, Chore(id="today", due=LAST_MOMENT), Chore(id="tomorrow", due=LAST_MOMENT))
    tomorrow = await store.now() + 86_400 * SECOND_US
    await sql(store, f"UPDATE chores SET day = {tomorrow} WHERE id = 'tomorrow'")
    dated = TaskTable("chores", Chore, "state = 'open'", earliest="day")
    await dated.end_old_leases(store, await store.now())
    assert ((await row(store, "today")).due, (await row(store, "tomorrow")).due) == (0, tomorrow)


async def test_what_fails_again_is_left_after_one_try(store: Store) -> None:
    await add(store, *(Chore(id=f"{number}") for number in range(5)))

    async def end(_held: Chore) -> Result:
        return Delayed(is_try=False)

    chores = Chores(store, end)
    left = await chores.finish_interrupted()
    assert len(left) == (0 if store.is_shared else 5)


async def test_what_cannot_write_its_end_keeps_no_other_waiting(store: Store) -> None:
    await add(store, Chore(id="one"), Chore(id="two", account="acc_b"))

    async def end(held: Chore) -> Result:
        if held.id == "one":
            raise StorageFailed("full")
        return Done({"state": "done"})

    left = await Chores(store, end).finish_interrupted()
    assert {each.id: each.state for each in left} == (
        {} if store.is_shared else {"one": "open", "two": "done"}
    )


async def test_what_was_committed_with_a_lease_is_begun_without_a_look(store: Store) -> None:
    held = Chore(id="one", fence=1, lease=await store.now() + HOUR_US)
    await add(store, held)
    chores = Chores(store)
    await chores.start_held(held)
    assert (await row(store)).state == "done"


async def test_a_failure_of_ours_belongs_to_its_row_and_the_others_go_on(store: Store) -> None:
    await add(store, Chore(id="one"), Chore(id="two", account="acc_b"))

    async def fail_one(held: Chore) -> Result:
        if held.id == "one":
            raise ZeroDivisionError("a secret")
        return await done(held)

    chores = Chores(store, fail_one)
    chores.most_at_once = 1
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await chores.look()
            await chores.finish()
    assert (await row(store, "two")).state == "done"
    failed = await row(store, "one")
    assert (failed.state, failed.tries, failed.error) == ("open", 1, "The attempt failed: ZeroDivisionError.")
    assert failed.lease > await store.now(), "it may still have an effect"
    assert [(line["event"], line["row"]) for line in logs] == [("task.attempt.failed", "one")]
    assert "secret" not in str(logs)


async def test_a_server_looks_at_once_when_it_begins_when_it_is_woken_and_when_there_is_room_again(
    store: Store,
) -> None:
    """An hour would pass between two looks. What a killed server held is free where no other server is.

    What a living worker holds is not.
    """
    began = await store.now()
    lease = 0 if store.is_shared else began + LEASE_S * SECOND_US
    living = Chore(id="living", account="acc_b", lease=began + (LEASE_S + 1) * SECOND_US)
    await add(store, Chore(id="one"), Chore(id="two", lease=lease), living)
    chores = Chores(store)
    chores.may_outlive_worker = False
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr("proxy.queue.tasks._LONGEST_WAIT_S", 3600.0)
        patient.setattr("proxy.queue.tasks._PAUSE_S", 0.0)
        running = asyncio.create_task(chores.run(Metrics(), began))
        try:
            await soon(lambda: are_done(store, "one", "two"))
            await add(store, Chore(id="three"))
            chores.look_now()
            await soon(lambda: are_done(store, "three"))
            assert await row(store, "living") == living
        finally:
            running.cancel()
            await asyncio.wait([running])
            await chores.close()


async def test_an_account_waits_no_longer_at_one_place_for_what_it_wants_at_another(store: Store) -> None:
    await add(
        store,
        *(Chore(id=f"elsewhere {due}", place="there", due=due) for due in (1, 2)),
        Chore(id="here", due=3),
        *(Chore(id=f"another's {due}", account="acc_b", due=due) for due in (4, 5)),
    )
    listed = await CHORES.list_open(store, await store.now(), 1)
    assert {each.id for each in listed} == {"elsewhere 1", "here"}


async def test_what_comes_while_the_list_is_read_is_looked_for_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(Chores):
        async def list_open(self, now: int) -> list[Chore]:
            found = await super().list_open(now)
            if not found:
                await add(store, Chore(id="one"))
                self.look_now()
            return found

    monkeypatch.setattr("proxy.queue.tasks._LONGEST_WAIT_S", 3600.0)
    chores = Late(store)
    async with asyncio.timeout(30):
        await chores.turn()
    await chores.step()
    assert (await row(store)).state == "done"


async def test_a_store_that_fails_at_the_start_is_asked_again(store: Store) -> None:
    class Failing(Chores):
        failed = 0

        async def _end_old_leases(self, began: int) -> None:
            if not self.failed:
                self.failed += 1
                raise StorageFailed("full")
            await super()._end_old_leases(began)

    await add(store, Chore(id="one"))
    chores = Failing(store)
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr("proxy.queue.tasks._PAUSE_S", 0.0)
        running = asyncio.create_task(chores.run(Metrics(), 0))
        try:
            await soon(lambda: are_done(store, "one"))
        finally:
            running.cancel()
            await asyncio.wait([running])
            await chores.close()
    assert chores.failed == 1


async def are_done(store: Store, *names: str) -> bool:
    return {(await row(store, name)).state for name in names} == {"done"}


async def test_a_database_that_is_away_at_the_end_leaves_the_lease(store: Store) -> None:
    await add(store, Chore(id="one"))

    async def end(_held: Chore) -> Result:
        await sql(store, "ALTER TABLE chores RENAME TO away")
        return Done({"state": "done"})

    chores = Chores(store, end)
    await chores.look()
    with pytest.raises(StorageFailed):
        await chores.finish()
    await sql(store, "ALTER TABLE away RENAME TO chores")
    assert ((await row(store)).state, (await row(store)).lease > 0) == ("open", True)


async def test_of_very_many_wishes_a_few_of_each_account_are_listed_in_turn(store: Store) -> None:
    few = TaskTable("chores", Chore, "state = 'open'", of_account=2)
    busy = [Chore(id=f"busy {number:03}", account="acc_busy", due=1) for number in range(200)]
    under_way, ended = Chore(id="busy", account="acc_busy", lease=HOUR_US), Chore(id="x", state="done")
    others = [Chore(id="short", account="acc_z", due=2), Chore(id="later", account="acc_later", due=100)]
    await add(store, *busy, under_way, ended, *others)
    listed = [each.id for each in await few.list_open(store, 50, 9)]
    assert listed == ["busy 000", "short", "busy 001"]
    assert [each.id for each in await few.list_open(store, 50, 2)] == ["busy 000", "short"]
    only_if = Condition("id <> :skipped", {"skipped": "busy 000"})
    assert [each.id for each in await few.list_open(store, 50, 1, only_if)] == ["busy 001"]
    assert await few.list_open(store, 0, 9) == []


async def test_a_row_that_only_a_newer_version_knows_is_left_alone_and_stops_nothing(store: Store) -> None:
    class Known(Chore, frozen=True, kw_only=True):
        place: Literal["here"] = "here"

    await add(store, Chore(id="new", place="of a newer version"), Chore(id="old", account="acc_b"))
    table = TaskTable("chores", Known, "state = 'open'", place="place")
    assert [each.id for each in await table.list_open(store, await store.now(), 9)] == ["old"]


async def test_an_attempt_that_meets_a_kind_of_a_newer_version_gives_its_row_back(store: Store) -> None:
    await add(store, Chore(id="one", due=1, tries=1, error="before"))

    async def meet(held: Chore) -> Result:
        msgspec.convert(held.place, Literal["there"])
        raise AssertionError

    chores = Chores(store, meet)
    for _ in range(2):
        await chores.step()
    assert len(chores.held) == 1
    assert await row(store) == Chore(id="one", due=1, tries=1, error="before", fence=1)
