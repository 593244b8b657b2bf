"""A value that is read elsewhere: cached for a while, read once for all, and never after a change."""

import asyncio
from collections.abc import Sequence

import pytest

from proxy.storage.read_cache import MOST_TOGETHER, ReadCache, read_singly
from tests.speech_engine.host.simulated_time import simulated


class Source:
    """Values by key, with the test's clock. A test may hold a read back or let it fail."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {"a": 1, "b": 2, "c": 3}
        self.reads: list[str] = []
        self.seconds = 0.0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.has_begun = asyncio.Event()

    def clock(self) -> float:
        return self.seconds

    async def read(self, key: str) -> int:
        self.reads.append(key)
        value = self.values[key]
        self.has_begun.set()
        await self.may_answer.wait()
        return value


@pytest.fixture
def source() -> Source:
    return Source()


def cache_of(source: Source, most: float = 10, ttl_s: float = 5.0) -> ReadCache[str, int]:
    """Values weigh what they are."""
    return ReadCache(
        read_singly(source.read),
        lambda _: ttl_s,
        max_weight=most,
        weight=lambda value: value,
        clock=source.clock,
    )


async def test_a_value_is_believed_for_its_time_and_then_read_again(source: Source) -> None:
    cache = cache_of(source)
    for source.seconds in (0.0, 4.999):
        assert await cache.get("a") == 1
    assert (cache.cached("a"), source.reads) == (1, ["a"])
    source.seconds = 5.0
    assert (cache.cached("a"), cache.last_known("a")) == (None, 1)
    source.values["a"] = 7
    assert await cache.get("a") == 7


async def test_its_time_counts_from_before_the_read(source: Source) -> None:
    cache = cache_of(source)
    source.may_answer.clear()
    read = asyncio.create_task(cache.get("a"))
    await source.has_begun.wait()
    source.seconds = 4.0
    source.may_answer.set()
    await read
    assert cache.cached("a") == 1
    source.seconds = 5.0
    assert cache.cached("a") is None


async def test_a_value_without_time_is_given_and_replaces_an_older_one_by_nothing(source: Source) -> None:
    cache: ReadCache[str, int] = ReadCache(
        read_singly(source.read), lambda value: 5.0 if value == 1 else 0.0, max_weight=9, clock=source.clock
    )
    await cache.get("a")
    source.seconds, source.values["a"] = 5.0, 9
    assert await cache.get("a") == 9
    assert cache.last_known("a") is None


async def test_equal_keys_share_a_read_and_the_first_client_may_leave(source: Source) -> None:
    cache = cache_of(source)
    source.may_answer.clear()
    clients = [asyncio.create_task(cache.get("a")) for _ in range(5)]
    await source.has_begun.wait()
    clients[0].cancel()
    source.may_answer.set()
    answers = await asyncio.gather(*clients, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert (answers[1:], source.reads) == ([1] * 4, ["a"])
    assert repr(cache) == "<ReadCache 1 cached, 0 being read>"


@pytest.mark.parametrize("by_key", [True, False])
async def test_a_read_from_before_a_change_is_neither_kept_nor_joined(source: Source, by_key: bool) -> None:
    cache = cache_of(source)
    source.may_answer.clear()
    early = asyncio.create_task(cache.get("a"))
    await source.has_begun.wait()
    source.values["a"] = 4
    if by_key:
        cache.forget("a")
    else:
        cache.forget_if(lambda _: False)
    late = asyncio.create_task(cache.get("a"))
    source.may_answer.set()
    assert (await early, await late, cache.cached("a")) == (1, 4, 4)


async def test_only_what_a_change_concerns_is_dropped(source: Source) -> None:
    cache = cache_of(source)
    for key in ("a", "b"):
        await cache.get(key)
    cache.forget_if(lambda value: value == 1)
    assert (cache.cached("a"), cache.cached("b")) == (None, 2)
    cache.forget("b")
    assert len(cache) == 0


async def test_the_least_recently_used_values_go_first(source: Source) -> None:
    cache = cache_of(source, most=5)
    for key in ("b", "c", "b", "a"):
        await cache.get(key)
    assert [cache.last_known(key) for key in ("a", "b", "c")] == [1, 2, None]


async def test_a_value_heavier_than_all_the_room_is_kept_alone(source: Source) -> None:
    cache = cache_of(source, most=2)
    for key in ("a", "c"):
        await cache.get(key)
    assert [cache.cached(key) for key in ("a", "c")] == [None, 3]


async def test_a_failure_is_not_kept(source: Source) -> None:
    cache = cache_of(source)
    del source.values["a"]
    with pytest.raises(KeyError):
        await cache.get("a")
    source.values["a"] = 6
    assert await cache.get("a") == 6


class Table:
    """Many values that one query reads, and which keys each query asked for."""

    def __init__(self) -> None:
        self.queries: list[list[str]] = []
        self.left_out = ""
        self.seconds = 0.0

    def clock(self) -> float:
        return self.seconds

    async def read(self, keys: Sequence[str]) -> dict[str, float]:
        self.queries.append([*keys])
        await asyncio.sleep(0)
        return {key: self.seconds for key in keys if key != self.left_out or key == keys[0]}


@pytest.fixture
def table() -> Table:
    return Table()


def polled(table: Table, most: float = 10_000) -> ReadCache[str, float]:
    return ReadCache(
        table.read, lambda _: 5.0, max_weight=most, most_together=MOST_TOGETHER, clock=table.clock
    )


async def test_a_thousand_values_in_use_are_a_few_queries_and_none_is_ever_older(table: Table) -> None:
    cache, keys = polled(table), [str(number) for number in range(1000)]
    for table.seconds in range(60):
        for key in keys:
            assert table.seconds - await cache.get(key) < 5
    first, later = table.queries[:1000], table.queries[1000:]
    assert all(len(query) == 1 for query in first)
    # A query for each 256, every five seconds at most, and one more where some have become old before.
    assert len(later) <= 5 * 60 / 5
    assert max(map(len, later)) == MOST_TOGETHER


async def test_what_nobody_wants_any_more_is_read_along_ten_times(table: Table) -> None:
    cache = polled(table)
    await cache.get("b")
    for turn in range(12):
        table.seconds = turn * 5
        await cache.get("a")
    assert table.queries == [["b"], ["a"], *[["a", "b"]] * 10, ["a"]]
    await cache.get("b")
    table.seconds += 5
    await cache.get("a")
    assert table.queries[-2:] == [["b"], ["a", "b"]]


async def test_a_key_that_was_never_good_brings_no_others_along(table: Table) -> None:
    cache = polled(table)
    for _ in range(2):
        await cache.get("a")
    table.seconds = 4
    await cache.get("guess")
    assert table.queries == [["a"], ["guess"]]


@simulated
async def test_keys_that_any_client_may_send_are_read_together_and_slowly() -> None:
    reads: list[tuple[float, int]] = []
    loop = asyncio.get_running_loop()

    async def read(keys: Sequence[int]) -> dict[int, int]:
        reads.append((loop.time(), len(keys)))
        await asyncio.sleep(0.001)
        return {key: key for key in keys}

    cache: ReadCache[int, int] = ReadCache(
        read, lambda _: 0.0, max_weight=1, most_together=MOST_TOGETHER, gathers_unknown=True
    )
    began = loop.time()
    assert await cache.get(1) == 1
    assert loop.time() - began < 0.0015, "the first one waits for nothing"
    numbers = range(5 * MOST_TOGETHER)
    assert await asyncio.gather(*map(cache.get, numbers)) == [*numbers]
    assert [size for _, size in reads] == [1] + [MOST_TOGETHER] * 5
    # Two at a time, and after each a pause of four times as long.
    assert reads[-1][0] - began > 2 * 0.005
    assert set(await asyncio.gather(cache.get(7), cache.get(7))) == {7}
    assert reads[-1][1] == 1


async def test_a_value_that_a_read_leaves_out_is_read_alone_when_it_is_wanted(table: Table) -> None:
    cache = polled(table)
    for key in ("a", "b", "a", "b"):
        await cache.get(key)
    table.seconds, table.left_out = 5, "b"
    # The second waits for the first one's read, which has nothing for it.
    assert [*await asyncio.gather(cache.get("a"), cache.get("b"))] == [5, 5]
    assert table.queries[2:] == [["a", "b"], ["b"]]


async def test_a_value_forgotten_while_it_is_read_along_is_not_cached(table: Table) -> None:
    cache = polled(table)
    for key in ("a", "b", "a", "b"):
        await cache.get(key)
    table.seconds = 5
    reading = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    cache.forget("b")
    await reading
    assert (cache.cached("a"), cache.cached("b")) == (5, None)


async def test_no_more_is_cached_than_there_is_room_for_and_its_weight_is_known(table: Table) -> None:
    cache = polled(table, most=3)
    for key in "abcdef":
        await cache.get(key)
    assert (len(cache), cache.weight) == (3, 3)
    cache.forget("f")
    cache.forget_if(lambda _: True)
    assert (len(cache), cache.weight) == (0, 0)
