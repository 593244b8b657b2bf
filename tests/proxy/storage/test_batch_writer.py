"""What is written together: enough of it, or what comes in a few turns of the loop."""

import asyncio
from collections.abc import Sequence

import pytest

from proxy.storage.batch_writer import BatchWriter, UnitWrite
from proxy.storage.store import Content, Statement, StorageFailed, WriteOutcome

ENOUGH = 16
TURNS = 20
"""More than a batch is gathered for."""


class _Batches:
    """A database that keeps what it gets. The test says when a batch is written."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.writer = BatchWriter(self._take)

    def _take(self, contents: Sequence[Content]) -> None:
        self.sizes.append(len(contents))

    def add(self, count: int) -> list[UnitWrite]:
        units = [UnitWrite((Statement("SELECT 1", {}),)) for _ in range(count)]
        for unit in units:
            self.writer.add(unit)
        return units

    def written(self) -> None:
        self.writer.answer_batch([[]] * self.sizes[-1])


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_comes_in_a_few_turns_is_one_batch() -> None:
    batches = _Batches()
    for _ in range(4):
        batches.add(2)
        await _turns(1)
    assert batches.sizes == []
    await _turns(TURNS)
    assert batches.sizes == [8]


async def test_many_items_do_not_wait_for_more() -> None:
    batches = _Batches()
    batches.add(ENOUGH)
    await _turns(2)
    assert batches.sizes == [ENOUGH]


async def test_what_waited_for_a_batch_goes_at_once_if_it_is_enough() -> None:
    batches = _Batches()
    batches.add(1)
    await _turns(TURNS)
    batches.add(ENOUGH + 1)
    batches.written()
    assert batches.sizes == [1, ENOUGH + 1]


async def test_a_stopped_writer_refuses_what_it_gathers_and_hands_nothing_over() -> None:
    batches = _Batches()
    (unit,) = batches.add(1)
    await _turns(2)
    batches.writer.refuse_all(None)
    assert isinstance(await unit.outcome, StorageFailed)
    await asyncio.wait_for(batches.writer.drain(), timeout=5)
    await _turns(TURNS)
    assert batches.sizes == []


async def test_a_batch_that_is_gathered_is_drained() -> None:
    batches = _Batches()
    batches.add(1)
    draining = asyncio.create_task(batches.writer.drain())
    await _turns(TURNS)
    assert batches.sizes == [1]
    assert not draining.done()
    batches.written()
    await asyncio.wait_for(draining, timeout=5)


class _Breaks(UnitWrite):
    def answer(self, content: Content, outcome: WriteOutcome) -> None:
        raise ZeroDivisionError


async def test_an_item_that_breaks_leaves_the_others_their_answers() -> None:
    batches = _Batches()
    batches.writer.add(_Breaks((Statement("SELECT 1", {}),)))
    (unit,) = batches.add(1)
    await _turns(TURNS)
    with pytest.raises(ZeroDivisionError):
        batches.written()
    await _turns(1)
    assert unit.outcome.done()
