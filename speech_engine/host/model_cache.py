"""The loaded models. A model is loaded when it is needed. When memory is short, the least recently used model
is forgotten. Jobs that wait for memory get it in the order of their arrival.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Generic, Protocol, TypeVar

from speech_engine.errors import EngineBusy


class LoadableModel(Protocol):
    """A model that can be loaded. `bytes` is an estimate of the memory that it needs then."""

    @property
    def name(self) -> str: ...

    @property
    def bytes(self) -> int: ...


M = TypeVar("M", bound=LoadableModel)
T = TypeVar("T")

LOADS_AT_ONCE = 2
"""More loads at once would take the processors from each other and from speech: all would be late."""


class _CachedModel(Generic[T]):
    def __init__(self, size: int, loading: asyncio.Task[T]) -> None:
        self.size = size
        self.loading = loading
        self.load_ended = asyncio.get_running_loop().create_future()
        loading.add_done_callback(lambda _loading: self.load_ended.set_result(None))
        self.users = 0


class ModelCache(Generic[M, T]):
    """Lends loaded models. All of them have at most `most_bytes`, also while one comes and one goes.

    `waiting` marks time that is no work of the engine, as `Context.waiting` does.
    """

    def __init__(
        self,
        most_bytes: int,
        load: Callable[[M], Awaitable[T]],
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._most_bytes = most_bytes
        self._load = load
        self._waiting = waiting
        self._cached: OrderedDict[str, _CachedModel[T]] = OrderedDict()
        self._leaving: list[_CachedModel[T]] = []
        self._queue: dict[object, M] = {}
        self._changed = asyncio.Event()
        self._loads = asyncio.Semaphore(LOADS_AT_ONCE)

    @property
    def bytes(self) -> int:
        return sum(cached.size for cached in (*self._cached.values(), *self._leaving))

    def names(self) -> list[str]:
        """Return the loaded models, the longest unused first."""
        return list(self._cached)

    @asynccontextmanager
    async def lend(self, model: M, within_s: float | None = None) -> AsyncIterator[T]:
        """Give a model, once there is room for it. While it is lent, it stays.

        Raises EngineBusy if there is no room after `within_s` seconds. None waits for ever.
        """
        cached = self._find_or_load(model, None) or await self._wait_for_room(model, within_s)
        cached.users += 1
        try:
            # If the job is cancelled, the loading goes on for the jobs after it.
            yield await asyncio.shield(cached.loading)
        finally:
            cached.users -= 1
            self._let_leave()

    def forget(self, name: str) -> asyncio.Future[None] | None:
        """Lend a model no more. Its present users keep it, and its room, until they end.

        Returns a future that is done when the model is not being loaded: until then its file is in use.
        """
        cached = self._cached.pop(name, None)
        if cached is None:
            return None
        self._leaving.append(cached)
        self._let_leave()
        return cached.load_ended

    def forget_idle(self) -> None:
        """Forget all models without users: there is less memory than was thought."""
        for name in self._idle():
            self.forget(name)

    def _let_leave(self) -> None:
        self._leaving = [each for each in self._leaving if each.users or not each.loading.done()]
        self._changed.set()

    async def _wait_for_room(self, model: M, within_s: float | None) -> _CachedModel[T]:
        turn = object()
        self._queue[turn] = model
        try:
            with self._waiting():
                async with asyncio.timeout(within_s):
                    while (cached := self._find_or_load(model, turn)) is None:
                        self._changed.clear()
                        await self._changed.wait()
        except TimeoutError:
            raise EngineBusy("The engine has no room for one more model.", retry_after_s=1.0) from None
        finally:
            del self._queue[turn]
            self._changed.set()
        return cached

    def _find_or_load(self, model: M, turn: object | None) -> _CachedModel[T] | None:
        """Return the model's entry, a new one if need be. Return None if there is no room, or if another turn
        comes first."""
        is_next = next(iter(self._queue), turn) is turn
        cached = self._cached.get(model.name)
        if cached is not None and not is_next and model.name in self._names_to_be_freed():
            return None
        if cached is None:
            if not is_next or not self._make_room(model):
                return None
            cached = _CachedModel(model.bytes, asyncio.create_task(self._load_model(model)))
            self._cached[model.name] = cached
        self._cached.move_to_end(model.name)
        return cached

    def _make_room(self, model: M) -> bool:
        """Forget models without users, if that makes room enough; else none of them."""
        lacking = self.bytes + model.bytes - self._most_bytes
        to_free = self._names_to_free(lacking, self._idle())
        if sum(self._cached[name].size for name in to_free) < lacking:
            return False
        for name in to_free:
            del self._cached[name]
        return True

    def _names_to_be_freed(self) -> list[str]:
        """Return the models that will make room for the first in line. They are not lent again, or the room
        would never come."""
        loaded_bytes = sum(cached.size for cached in self._cached.values())
        idle = self._idle()
        used = [name for name in self._cached if name not in idle]
        return self._names_to_free(
            loaded_bytes + next(iter(self._queue.values())).bytes - self._most_bytes, [*idle, *used]
        )

    def _idle(self) -> list[str]:
        return [name for name, each in self._cached.items() if not each.users and each.loading.done()]

    def _names_to_free(self, lacking: int, names: Iterable[str]) -> list[str]:
        """Return as many of these, from the first on, as have the lacking bytes together, or all."""
        to_free: list[str] = []
        for name in names:
            if lacking <= 0:
                break
            to_free.append(name)
            lacking -= self._cached[name].size
        return to_free

    async def _load_model(self, model: M) -> T:
        try:
            async with self._loads:
                return await self._load(model)
        except BaseException:
            # The next job tries again. If the model was forgotten, the name may be another entry's.
            cached = self._cached.get(model.name)
            if cached is not None and cached.loading is asyncio.current_task():
                del self._cached[model.name]
            raise
        finally:
            asyncio.get_running_loop().call_soon(self._let_leave)

    async def close(self) -> None:
        """Wait for models that are being loaded, and forget all."""
        loading = [cached.loading for cached in (*self._cached.values(), *self._leaving)]
        if loading:
            await asyncio.wait(loading)
        self._cached.clear()
        self._leaving.clear()
