"""The loaded models: by need, never more than there is memory for, and the longest unused goes first."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import NamedTuple

import pytest

from speech_engine.errors import EngineBusy
from speech_engine.host.model_cache import ModelCache
from tests.waiting import soon


class Model(NamedTuple):
    name: str
    bytes: int = 10


class Loader:
    """Loads a model as its name, and remembers when. `before` may wait or fail."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def load(self, wanted: Model) -> str:
        self.loaded.append(wanted.name)
        await self.gate.wait()
        if self.fails:
            raise OSError
        return wanted.name


async def used(sample_cache: ModelCache[Model, str], *names: str) -> None:
    for name in names:
        async with sample_cache.lend(Model(name)) as lent:
            assert lent == name


async def test_a_model_is_loaded_once_and_the_longest_unused_goes_first() -> None:
    loader = Loader()
    sample_cache = ModelCache(30, loader.load)
    await used(sample_cache, "a", "b", "c", "a", "d")
    assert sample_cache.names() == ["c", "a", "d"]
    assert loader.loaded == ["a", "b", "c", "d"]
    await used(sample_cache, "b")
    assert sample_cache.names() == ["a", "d", "b"]


async def test_a_model_that_speaks_stays_and_another_waits_for_room() -> None:
    sample_cache = ModelCache(20, Loader().load)
    async with sample_cache.lend(Model("a")):
        async with sample_cache.lend(Model("b")):
            waiting = asyncio.create_task(used(sample_cache, "c"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert sample_cache.names() == ["a", "b"]
            assert not waiting.done()
        await waiting
        assert sample_cache.names() == ["a", "c"]


async def test_a_model_in_constant_use_makes_room_for_who_came_before_its_next_listener() -> None:
    sample_cache = ModelCache(10, Loader().load)
    heard: list[str] = []

    async def listen(name: str) -> None:
        async with sample_cache.lend(Model(name, 6)) as lent:
            heard.append(lent)

    async with sample_cache.lend(Model("popular", 6)):
        other = asyncio.create_task(listen("other"))
        await asyncio.sleep(0)
        listeners = [asyncio.create_task(listen("popular")) for _ in range(3)]
        await asyncio.sleep(0)
        assert heard == []
    await asyncio.gather(other, *listeners)
    assert heard == ["other", *["popular"] * 3]


async def test_who_waits_for_room_holds_up_only_the_listeners_of_what_will_make_it() -> None:
    sample_cache = ModelCache(30, Loader().load)
    async with AsyncExitStack() as lent:
        for name in "abc":
            await lent.enter_async_context(sample_cache.lend(Model(name)))
        first = asyncio.create_task(used(sample_cache, "d"))
        await asyncio.sleep(0)
        await used(sample_cache, "b", "c")
        again = asyncio.create_task(used(sample_cache, "a"))
        await asyncio.sleep(0)
        assert not again.done()
        first.cancel()
        await again
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_no_model_is_forgotten_in_vain() -> None:
    sample_cache = ModelCache(30, Loader().load)
    await used(sample_cache, "idle")
    async with sample_cache.lend(Model("used", 15)):
        with pytest.raises(EngineBusy):
            async with sample_cache.lend(Model("large", 20), 0.0):
                pass
        assert sample_cache.names() == ["idle", "used"]


async def test_who_waits_for_room_may_leave() -> None:
    sample_cache = ModelCache(10, Loader().load)
    async with sample_cache.lend(Model("a")):
        waiting = asyncio.create_task(used(sample_cache, "b"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await used(sample_cache, "c")
    assert sample_cache.names() == ["c"]


async def test_who_waits_for_room_until_the_deadline_is_told_that_the_engine_is_busy() -> None:
    sample_cache = ModelCache(10, Loader().load)
    async with sample_cache.lend(Model("a"), 0.0):
        with pytest.raises(EngineBusy):
            async with sample_cache.lend(Model("b"), 0.0):
                pass
    async with sample_cache.lend(Model("b"), 0.0) as lent:
        assert lent == "b"


async def test_a_wait_for_room_is_marked_as_no_work_and_loading_is_not() -> None:
    marks: list[str] = []

    @contextmanager
    def waiting() -> Iterator[None]:
        marks.append("waits")
        try:
            yield
        finally:
            marks.append("goes on")

    loader = Loader()
    sample_cache = ModelCache(10, loader.load, waiting)
    async with sample_cache.lend(Model("a")):
        assert marks == []
        second = asyncio.create_task(used(sample_cache, "b"))
        await asyncio.sleep(0)
        assert marks == ["waits"]
        loader.gate.clear()
    await soon(lambda: len(loader.loaded) == 2)
    assert marks == ["waits", "goes on"]
    loader.gate.set()
    await second
    assert marks == ["waits", "goes on"]


async def test_a_model_that_is_forgotten_while_it_loads_is_waited_for() -> None:
    loader = Loader()
    loader.gate.clear()
    loader.fails = True
    sample_cache = ModelCache(10, loader.load)
    assert sample_cache.forget("a") is None
    listening = asyncio.create_task(used(sample_cache, "a"))
    await soon(lambda: bool(loader.loaded))
    listening.cancel()
    forgotten = sample_cache.forget("a")
    assert forgotten is not None
    assert (sample_cache.names(), sample_cache.bytes, forgotten.done()) == ([], 10, False)
    loader.gate.set()
    await forgotten
    await soon(lambda: not sample_cache.bytes)


async def test_no_more_than_two_models_are_loaded_at_a_time() -> None:
    loader = Loader()
    loader.gate.clear()
    sample_cache = ModelCache(50, loader.load)
    listeners = [asyncio.create_task(used(sample_cache, name)) for name in "abcd"]
    await soon(lambda: len(loader.loaded) == 2)
    for _ in range(5):
        await asyncio.sleep(0)
    assert loader.loaded == ["a", "b"]
    loader.gate.set()
    await asyncio.gather(*listeners)
    assert loader.loaded == ["a", "b", "c", "d"]


async def test_two_who_want_the_same_model_load_it_once_and_one_may_leave() -> None:
    loader = Loader()
    loader.gate.clear()
    sample_cache = ModelCache(10, loader.load)
    first, second = (asyncio.create_task(used(sample_cache, "a")) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    loader.gate.set()
    await second
    assert loader.loaded == ["a"]


async def test_a_model_that_could_not_be_loaded_is_tried_again() -> None:
    loader = Loader()
    loader.fails = True
    sample_cache = ModelCache(10, loader.load)
    with pytest.raises(OSError):
        await used(sample_cache, "a")
    assert sample_cache.bytes == 0
    loader.fails = False
    await used(sample_cache, "a", "b")
    assert sample_cache.names() == ["b"]


async def test_under_load_there_is_never_more_than_the_bound_and_everybody_is_served() -> None:
    chance = random.Random(7)
    most = 0
    sample_cache: ModelCache[Model, str]

    async def load(wanted: Model) -> str:
        nonlocal most
        most = max(most, sample_cache.bytes)
        await asyncio.sleep(0)
        return wanted.name

    sample_cache = ModelCache(35, load)
    names = "abcdefg"

    async def listener() -> None:
        for _ in range(20):
            name = chance.choice(names)
            async with AsyncExitStack() as stack:
                lent = await stack.enter_async_context(
                    sample_cache.lend(Model(name, 5 + 5 * names.index(name) // 2))
                )
                assert lent == name
                await asyncio.sleep(0)

    async with asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(listener())
    assert 0 < most <= 35
    await sample_cache.close()
    assert sample_cache.bytes == 0
