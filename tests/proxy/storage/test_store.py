"""What every store promises, whichever database is behind it."""

import asyncio

import pytest

from proxy.storage.store import AlreadyExists, MissingReference, Statement, StorageFailed, Store

_ACCOUNT = """
INSERT INTO accounts (id, name, plan, created) VALUES (:id, :name, 'free', 0) RETURNING id, name
"""
_KEY = """
INSERT INTO keys (id, account, hash, role, name, hint, created)
VALUES ('key_1', :account, 'h', 'speech', '', 'abcd', 0)
"""

_LONG = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000)
SELECT count(*) AS count FROM numbers
"""


def account(id_: str, name: str | None = None) -> Statement:
    return Statement(_ACCOUNT, {"id": id_, "name": name or id_})


async def names(store: Store) -> list[str]:
    return [row["name"] for row in await store.read("SELECT name FROM accounts ORDER BY name")]


async def test_a_write_gives_the_returned_rows_of_each_statement(store: Store) -> None:
    silent = Statement("UPDATE accounts SET plan = :plan", {"plan": "pro"})
    answer = await store.write(account("acc_1", "one"), silent, account("acc_2", "two"))
    assert answer == [[{"id": "acc_1", "name": "one"}], [], [{"id": "acc_2", "name": "two"}]]


async def test_a_read_sees_every_write_answered_before(store: Store) -> None:
    for number in range(20):
        await store.write(account(f"acc_{number:02}"))
        assert len(await names(store)) == number + 1


async def test_a_unit_is_kept_whole_or_not_at_all(store: Store) -> None:
    await store.write(account("acc_1"))
    with pytest.raises(AlreadyExists):
        await store.write(account("acc_2"), account("acc_1"))
    assert await names(store) == ["acc_1"]


async def test_a_unit_that_only_the_driver_refuses_leaves_nothing_either(store: Store) -> None:
    with pytest.raises(StorageFailed):
        await store.write(account("acc_1"), account("acc_2", "half a surrogate \ud800"))
    await store.write(account("acc_3"))
    assert await names(store) == ["acc_3"]


async def test_one_failing_unit_among_fifty_fails_alone(store: Store) -> None:
    units = [account(f"acc_{number:02}", "same" if number in (3, 30) else None) for number in range(50)]
    answers = await asyncio.gather(*map(store.write, units), return_exceptions=True)
    failed = [number for number, answer in enumerate(answers) if isinstance(answer, BaseException)]
    assert failed in ([3], [30])  # which of the two comes first is the database's affair
    assert isinstance(answers[failed[0]], AlreadyExists)
    assert len(await names(store)) == 49


async def test_a_value_taken_twice_already_exists_and_the_message_does_not_repeat_it(store: Store) -> None:
    await store.write(account("acc_1", "Ada Lovelace"))
    with pytest.raises(AlreadyExists) as caught:
        await store.write(account("acc_2", "Ada Lovelace"))
    assert "name" in str(caught.value)
    assert "Ada" not in str(caught.value)


async def test_a_reference_to_nothing_is_refused_by_its_own_name(store: Store) -> None:
    with pytest.raises(MissingReference):
        await store.write(Statement(_KEY, {"account": "acc_nobody"}))


@pytest.mark.parametrize("bad", ["half a surrogate \ud800", "a NUL \0", 2**63, -(2**63) - 1])
async def test_a_value_no_database_can_hold_fails_alone_and_is_not_repeated(
    store: Store, bad: str | int
) -> None:
    poisoned = Statement(_ACCOUNT, {"id": "acc_bad", "name": bad})
    good, failed, after = await asyncio.gather(
        store.write(account("acc_1")),
        store.write(poisoned),
        store.write(account("acc_2")),
        return_exceptions=True,
    )
    assert isinstance(failed, StorageFailed)
    assert "surrogate " not in str(failed)
    assert "NUL \0" not in str(failed)
    assert failed.__cause__ is failed.__context__ is None
    assert not isinstance(good, BaseException)
    assert not isinstance(after, BaseException)
    assert await names(store) == ["acc_1", "acc_2"]


async def test_a_statement_that_makes_no_sense_fails_and_the_store_goes_on(store: Store) -> None:
    with pytest.raises(StorageFailed):
        await store.write(Statement("INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(StorageFailed):
        await store.read("SELECT nothing FROM nowhere")
    with pytest.raises(StorageFailed):
        await store.write(Statement(_ACCOUNT, {"id": "acc_1"}))
    await store.write(account("acc_1"))
    assert await names(store) == ["acc_1"]


async def test_reading_cannot_write(store: Store) -> None:
    with pytest.raises(StorageFailed):
        await store.read(_ACCOUNT, {"id": "acc_1", "name": "one"})
    assert await names(store) == []


async def test_long_reads_keep_no_other_waiting(store: Store) -> None:
    await store.write(account("acc_1", "one"))
    long = [asyncio.create_task(store.read_long(_LONG)) for _ in range(3)]
    for _ in range(3):
        assert await names(store) == ["one"]
    assert not any(task.done() for task in long)
    for task in long:
        assert [row["count"] for row in await task] == [1_000_000]


async def test_a_long_read_sees_every_write_answered_before_and_cannot_write(store: Store) -> None:
    await store.write(account("acc_1", "one"))
    assert await store.read_long("SELECT name FROM accounts") == [{"name": "one"}]
    with pytest.raises(StorageFailed):
        await store.read_long("DELETE FROM accounts")
    assert await names(store) == ["one"]


async def test_a_cancelled_caller_disturbs_nobody_and_its_unit_is_still_carried_out(store: Store) -> None:
    writes = [asyncio.create_task(store.write(account(f"acc_{number}"))) for number in range(9)]
    await asyncio.sleep(0)
    writes[4].cancel()
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(answer) for answer in answers].count(list) == 8
    assert isinstance(answers[4], asyncio.CancelledError)
    async with asyncio.timeout(5):
        while len(await names(store)) < 9:
            pass  # nobody is left to be told


async def test_closing_carries_out_what_was_handed_over_and_refuses_what_comes_later(store: Store) -> None:
    writes = [asyncio.create_task(store.write(account(f"acc_{number:03}"))) for number in range(600)]
    await asyncio.sleep(0)
    await store.close()
    answers = await asyncio.gather(*writes)
    assert [rows[0]["id"] for (rows,) in answers] == [f"acc_{number:03}" for number in range(600)]
    with pytest.raises(StorageFailed):
        await store.write(account("acc_late"))
    with pytest.raises(StorageFailed):
        await store.read("SELECT 1")
    await store.close()


async def test_the_clock_is_in_microseconds_and_goes_on(store: Store) -> None:
    first, second = await store.now(), await store.now()
    assert 1_700_000_000_000_000 < first <= second < 5_000_000_000_000_000


def test_a_statement_shows_no_parameters() -> None:
    assert repr(account("acc_1", "Ada")).count("Ada") == 0
