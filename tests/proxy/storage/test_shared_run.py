"""Work that is done once for all who ask: never with a run that began too early, and again if it must be."""

import asyncio

import pytest

from proxy.storage.batch_writer import SharedRun


class Work:
    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.begun = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> bool:
        self.begun += 1
        await self.may_end.wait()
        return self.answers.pop(0) if self.answers else True


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_those_who_ask_during_a_run_share_the_next_one() -> None:
    work = Work()
    shared = SharedRun(work)
    first = asyncio.create_task(shared.run())
    await turns()
    others = [asyncio.create_task(shared.run()) for _ in range(5)]
    await turns()
    assert work.begun == 1
    work.may_end.set()
    assert await asyncio.gather(first, *others) == [True] * 6
    assert work.begun == 2


async def test_a_caller_who_leaves_stops_nobody() -> None:
    work = Work()
    shared = SharedRun(work)
    leaves, stays = asyncio.create_task(shared.run()), asyncio.create_task(shared.run())
    await turns()
    leaves.cancel()
    await asyncio.wait([leaves])
    work.may_end.set()
    assert await stays


async def test_it_is_tried_again() -> None:
    work = Work(False, False, True)
    work.may_end.set()
    assert await SharedRun(work).run()
    assert work.begun == 3


async def test_a_failure_is_told_and_the_next_run_is_made() -> None:
    fails = True

    async def work() -> bool:
        if fails:
            raise ValueError
        return True

    shared = SharedRun(work)
    with pytest.raises(ValueError):
        await shared.run()
    fails = False
    assert await shared.run()
