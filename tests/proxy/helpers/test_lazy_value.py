"""A value that is made at its first use: once, whoever waits and whoever leaves."""

import asyncio
import threading

import pytest

from proxy.helpers.lazy_value import LazyValue


async def test_all_that_ask_at_once_get_one_value() -> None:
    made = list[int]()

    def make() -> int:
        made.append(threading.get_ident())
        return 7

    value = LazyValue(make)
    assert await asyncio.gather(*(value.get() for _ in range(24))) == [7] * 24
    assert await value.get() == 7
    assert len(made) == 1
    assert made[0] != threading.get_ident()


async def test_a_failure_reaches_all_that_wait_and_is_not_kept() -> None:
    faults = [OSError("not yet")]

    def make() -> int:
        if faults:
            raise faults.pop()
        return 7

    value = LazyValue(make)
    first = await asyncio.gather(value.get(), value.get(), return_exceptions=True)
    assert [str(each) for each in first] == ["not yet"] * 2
    assert await value.get() == 7


async def test_one_that_leaves_takes_the_value_from_nobody() -> None:
    may_end = threading.Event()
    value = LazyValue(may_end.wait)
    leaving, waiting = asyncio.create_task(value.get()), asyncio.create_task(value.get())
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    may_end.set()
    assert await waiting
