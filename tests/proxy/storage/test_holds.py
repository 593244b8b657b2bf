"""The statement that takes a hold on PostgreSQL decides, for every position, as `policies.admission` does."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from policies.admission import CreditBalance, Refusal, RunningRequests, Split, admit
from policies.limits import Caps
from policies.plans import Plan, Terms, build_terms
from proxy.feature_list import open_store
from proxy.storage import entries, holds
from proxy.storage.batch_writer import UnitWrite
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.holds import Take
from proxy.storage.store import AlreadyExists, Params, Store
from tests.databases import Postgres

_POOL, _NOW, _LATER = 86_400_000_000, 1_000, 2_000
_ACCOUNTS = 500


@pytest.fixture
async def postgres(tmp_path: Path, shared_postgres: Postgres) -> AsyncIterator[Store]:
    async with open_store(shared_postgres.url(search_path=shared_postgres.new_schema()), tmp_path) as store:
        yield store


def _place(account: str, allowance: int | None, key: str = "key_a") -> Params:
    return {"account": account, "key": key, "allowance": allowance, "pool": _POOL, "now": _NOW}


def _drawn_terms(drawn: random.Random) -> Terms:
    limits = Plan(
        name="p", streams=drawn.choice([None, None, 1, 3]), allowance=drawn.choice([None, 0, 20, 100])
    )
    return build_terms(limits, caps=Caps(streams=drawn.choice([None, 1, 2])))


def _gift(account: str, pool: int, amount: int) -> Entry:
    id_ = f"{account}:{pool}"
    return Entry(id=id_, account=account, pool=pool, amount=amount, kind="correction", at=_NOW)


async def _give(store: Store, account: str, pool: int, amount: int) -> None:
    await store.write(*entries.insert_statements(_gift(account, pool, amount)))


async def test_the_database_decides_as_the_policy_does(postgres: Store) -> None:
    """Each of 500 accounts takes four holds, one after the other, all accounts at once: 2,000 cases."""
    drawn = random.Random(7)
    answers: Counter[str] = Counter()
    accounts = {f"acc_{number}": _drawn_terms(drawn) for number in range(_ACCOUNTS)}
    for pool, least, most in ((_POOL, -60, 0), (GRANTED, -40, 60)):
        given = [_gift(account, pool, drawn.randint(least, most)) for account in accounts]
        await postgres.write(*entries.insert_all_statements(given))
    for request in range(4):
        takes, expected = [], []
        for account, allowed in accounts.items():
            place = _place(account, allowed.allowance, drawn.choice(["key_a", "key_b"]))
            amount = drawn.choice([0, 0, 1, 10, 30, 60])
            found = await holds.read_account_holds(postgres, place)
            answer = admit(amount, allowed, found.live, found.credits)
            expected.append(answer if isinstance(answer, Split) else found)
            answers[answer.reason if isinstance(answer, Refusal) else "held"] += 1
            limits = (allowed.streams, allowed.key.streams)
            takes.append(_taking(place, f"{account}:{request}", amount, *limits))
        assert await _take(postgres, *takes) == expected
    assert answers.total() == 2000
    assert min(answers[each] for each in ("held", "streams", "key_streams", "credits")) > 50


async def test_a_request_that_costs_nothing_is_held_below_zero_too(postgres: Store) -> None:
    await _give(postgres, "acc_owing", _POOL, -30)
    place = _place("acc_owing", 20)
    owing = holds.AccountHolds(CreditBalance(-10, 0), RunningRequests(0, 0))
    assert await _take(postgres, _taking(place, "r", 1)) == [owing]
    assert await _take(postgres, _taking(place, "r", 0)) == [Split(0, 0)]
    assert await holds.read_account_holds(postgres, place) == holds.AccountHolds(
        CreditBalance(-10, 0), RunningRequests(1, 1)
    )


async def test_holds_taken_together_see_each_other_whatever_their_order(postgres: Store) -> None:
    accounts = ["acc_b", "acc_a", "acc_b", "acc_a", "acc_b"]
    takes = [_taking(_place(name, 20), f"r{number}", 10) for number, name in enumerate(accounts)]
    used_up = holds.AccountHolds(CreditBalance(0, 0), RunningRequests(2, 2))
    assert await _take(postgres, *takes) == [Split(10, 0)] * 4 + [used_up]


async def test_a_hold_that_is_there_already_fails_alone(postgres: Store) -> None:
    await _take(postgres, _taking(_place("acc_a", 20), "r1", 1))
    takes = [UnitWrite(_taking(_place("acc_a", 20), f"r{number}", 1)) for number in range(3)]
    for take in takes:
        postgres.submit(take)
    outcomes = [await take.outcome for take in takes]
    assert [isinstance(outcome, AlreadyExists) for outcome in outcomes] == [False, True, False]
    found = await holds.read_account_holds(postgres, _place("acc_a", 20))
    assert found.live.account == 3


def _taking(
    place: Params, request: str, amount: int, streams: int | None = None, key_streams: int | None = None
) -> Take:
    row = {**place, "request": request, "worker": "w", "amount": amount, "expires": _LATER}
    return msgspec.convert({**row, "streams": streams, "key_streams": key_streams}, Take)


async def _take(store: Store, *takes: Take) -> list[Split | holds.AccountHolds]:
    """Take holds in one batch."""
    items = [UnitWrite(take) for take in takes]
    for item in items:
        store.submit(item)
    outcomes = [await item.outcome for item in items]
    assert not any(isinstance(outcome, Exception) for outcome in outcomes), outcomes
    return [holds.take_result(outcome[0][0]) for outcome in outcomes if isinstance(outcome, list)]


def test_every_worker_takes_in_the_order_of_the_accounts_and_so_waits_for_no_other() -> None:
    accounts = ("acc_b", "acc_a", "acc_b")
    takes = [_taking(_place(account, None), f"req_{number}", 1) for number, account in enumerate(accounts)]
    order, (requests, locked, *_) = holds.take_values(takes)
    assert (order, requests, locked) == ([1, 0, 2], ("req_1", "req_0", "req_2"), ("acc_a", "acc_b", "acc_b"))
