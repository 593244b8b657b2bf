"""Places are counted: half of a pool is for accounts that hold none, and every exit gives its place back."""

import asyncio
from collections import Counter

import pytest

from proxy.errors import NoPlace
from proxy.helpers.limiter import FairLimiter, FairPlace
from tests.speech_engine.host import simulated_time
from tests.tables import each_row

MANY = 50


def pool(places: int = 10, of_account: int = 3, at_once: int = 1, wait_s: float = 60.0) -> FairLimiter:
    return FairLimiter("tries", places=places, of_account=of_account, at_once=at_once, wait_s=wait_s)


def taken(places: FairLimiter, account: str, most: int = MANY) -> list[FairPlace]:
    """All places that an account gets."""
    got: list[FairPlace] = []
    for _ in range(most):
        try:
            got.append(places.reserve_place(account))
        except NoPlace:
            break
    return got


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@each_row(
    ("places", "of_account", "accounts", "shares"),
    [
        (10, 3, 1, [3]),
        (10, 8, 1, [5]),
        # Whoever comes when half is taken gets one.
        (10, 3, 3, [3, 2, 1]),
        (10, 3, 20, [3, 2, 1, 1, 1, 1, 1, 0]),
        (10, 8, 20, [5, 1, 1, 1, 1, 1, 0]),
        (64, 16, 3, [16, 16, 1]),
        (2, 2, 3, [1, 1, 0]),
        (1, 1, 2, [1, 0]),
    ],
)
def test_half_of_all_places_are_for_accounts_that_hold_none(
    places: int, of_account: int, accounts: int, shares: list[int]
) -> None:
    fair = pool(places, of_account)
    got = [len(taken(fair, f"acc_{number}")) for number in range(accounts)]
    assert got == shares + [0] * (accounts - len(shares))
    assert fair.taken_weight == sum(shares)


def test_the_operator_has_a_place_when_accounts_hold_all_others_and_takes_none_of_theirs() -> None:
    for operator_first in (True, False):
        fair = FairLimiter("tries", places=2, of_account=1, at_once=1, of_operator=1)
        order = ["", "acc_1", "acc_2"] if operator_first else ["acc_1", "acc_2", ""]
        assert [len(taken(fair, account)) for account in order] == [1, 1, 1]
        assert taken(fair, "acc_3") == []
        assert taken(fair, "") == []


def test_a_place_may_be_left_twice_and_then_an_account_is_new_again() -> None:
    fair = pool()
    (first, *others), _ = taken(fair, "acc_many"), taken(fair, "acc_other")
    for place in (first, first, *others):
        place.give_back()
    assert repr(first) == "<FairPlace for tries, left>"
    assert repr(fair) == "<FairLimiter for tries, 2 of 10 taken>"
    assert len(taken(fair, "acc_many")) == 3


def test_an_account_that_has_left_may_have_the_last_place() -> None:
    fair = pool(places=4, of_account=4)
    fair.reserve_place("acc_back").give_back()
    taken(fair, "acc_1")
    taken(fair, "acc_2")
    assert fair.taken_weight == 3
    fair.reserve_place("acc_back")
    assert fair.taken_weight == 4


def test_a_refusal_says_when_to_come_back() -> None:
    fair = pool(places=1)
    fair.reserve_place("acc")
    with pytest.raises(NoPlace, match="There are too many tries now") as refused:
        fair.reserve_place("acc_other")
    assert (refused.value.status, refused.value.code) == (503, "server_busy")
    assert refused.value.retry_after_s


@each_row("leaves", ["ends", "fails", "is cancelled in its turn", "is cancelled while it waits"])
async def test_every_exit_gives_place_and_turn_back(leaves: str) -> None:
    fair, goes_on = pool(), asyncio.Event()

    async def work() -> None:
        async with fair.hold_turn("acc"):
            await goes_on.wait()
            if leaves == "fails":
                raise ZeroDivisionError

    is_waiting = leaves == "is cancelled while it waits"
    before = asyncio.create_task(work())
    await settled()
    task = asyncio.create_task(work()) if is_waiting else before
    await settled()
    assert fair.taken_weight == 1 + is_waiting
    if "cancelled" in leaves:
        task.cancel()
    if leaves in ("ends", "fails") or is_waiting:
        goes_on.set()
    await asyncio.wait([before, task])
    assert repr(fair) == "<FairLimiter for tries, 0 of 10 taken>"
    async with asyncio.timeout(60.0), fair.hold_turn("acc"):
        assert fair.taken_weight == 1


@pytest.mark.parametrize("account", ["acc_busy", "acc_other"], ids=["its own turn", "any turn"])
async def test_a_wait_is_bounded_and_leaves_nothing(account: str) -> None:
    fair = pool(wait_s=0.0)
    with fair.reserve_place("acc_busy") as place:
        async with place.hold_turn():
            with pytest.raises(NoPlace):
                async with fair.hold_turn(account):
                    pytest.fail("there was no turn")
            assert fair.taken_weight == 1
        async with asyncio.timeout(60.0), place.hold_turn():
            assert fair.taken_weight == 1
    assert fair.taken_weight == 0


async def test_an_account_has_one_turn_and_others_go_before_its_next_ones() -> None:
    fair, order = pool(at_once=2), list[str]()
    most: Counter[str] = Counter()
    running: Counter[str] = Counter()

    async def work(account: str) -> None:
        async with fair.hold_turn(account):
            order.append(account)
            running[account] += 1
            most[account] = max(most[account], running[account])
            most["all"] = max(most["all"], running.total())
            await settled()
            running[account] -= 1

    accounts = ["acc_a", "acc_a", "acc_a", "acc_b", "acc_c"]
    await asyncio.gather(*(work(account) for account in accounts))
    assert order == ["acc_a", "acc_b", "acc_c", "acc_a", "acc_a"]
    assert most == {"acc_a": 1, "acc_b": 1, "acc_c": 1, "all": 2}


async def test_a_place_has_many_turns_between_which_others_have_theirs() -> None:
    fair, order = pool(), list[str]()

    async def work(account: str) -> None:
        with fair.reserve_place(account) as place:
            for _ in range(3):
                async with place.hold_turn():
                    order.append(account)
                    await asyncio.sleep(0)

    await asyncio.gather(work("acc_a"), work("acc_b"))
    assert order == ["acc_a", "acc_b"] * 3
    assert fair.taken_weight == 0


async def test_who_waits_for_a_place_gets_the_next_one_that_its_account_may_have() -> None:
    fair, order = pool(places=4, of_account=2), list[str]()

    async def work(account: str, number: int) -> None:
        async with fair.hold_turn(account, waits=True):
            order.append(f"{account}{number}")
            assert fair.taken_weight <= 4
            await settled()

    many = [asyncio.create_task(work("a", number)) for number in range(4)]
    await settled()
    # Half is for accounts that hold none, however many of another wait.
    other = asyncio.create_task(work("b", 0))
    await asyncio.gather(*many, other)
    assert order == ["a0", "b0", "a1", "a2", "a3"]
    assert fair.taken_weight == 0


async def test_the_wait_for_a_place_is_bounded_and_leaves_nothing() -> None:
    fair = pool(places=1, wait_s=0.01)
    with fair.reserve_place("acc_busy"):
        with pytest.raises(NoPlace):
            async with fair.hold_turn("acc_other", waits=True):
                pytest.fail("there was no place")
        waiting = asyncio.create_task(fair.hold_turn("acc_other", waits=True).__aenter__())
        await settled()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert fair.taken_weight == 1
    assert fair.taken_weight == 0


def test_the_wait_for_a_place_is_taken_off_the_wait_for_a_turn() -> None:
    fair, waited = pool(places=2, at_once=1, wait_s=30.0), list[float]()

    async def play() -> None:
        loop = asyncio.get_running_loop()
        async with fair.hold_turn("acc_busy"):
            second = fair.reserve_place("acc_second")
            loop.call_later(20.0, second.give_back)
            with pytest.raises(NoPlace):
                async with fair.hold_turn("acc_other", waits=True):
                    pytest.fail("another has the turn")
            waited.append(loop.time())

    simulated_time.run(play())
    assert waited == [30.0]
