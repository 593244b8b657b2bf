"""The loaded models: loaded when needed, and forgotten, the longest unused first, when memory is short."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Generic, Protocol, TypeVar

from speech_engine.errors import EngineBusy


class Shelved(Protocol):
    """A model that can be loaded. `bytes` is the memory that it needs then, as an estimate."""

    @property
    def name(self) -> str: ...

    @property
    def bytes(self) -> int: ...


M = TypeVar("M", bound=Shelved)
T = TypeVar("T")


class _Place(Generic[T]):
    """A model that is loaded, or will be soon."""

    def __init__(self, size: int, loading: asyncio.Task[T]) -> None:
        self.size = size
        self.loading = loading
        self.users = 0

    def __repr__(self) -> str:
        return f"<_Place of {self.size} bytes, {self.users} users>"


class ModelShelf(Generic[M, T]):
    """Lends loaded models. All of them have at most `most_bytes`, also while one comes and one goes.

    `waiting` marks what is no work of the engine, as `Context.waiting` does.
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
        self._places: OrderedDict[str, _Place[T]] = OrderedDict()
        self._leaving: list[_Place[T]] = []
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<ModelShelf, {self.names()} of {self.bytes} bytes>"

    @property
    def bytes(self) -> int:
        return sum(place.size for place in (*self._places.values(), *self._leaving))

    def names(self) -> list[str]:
        """Return the loaded models, the longest unused first."""
        return list(self._places)

    @asynccontextmanager
    async def lend(self, model: M, within_s: float | None = None) -> AsyncIterator[T]:
        """Give a model, once there is room for it. While it is lent, it stays.

        Raises EngineBusy if there is no room `within_s` seconds.
        """
        place = self._place(model) or await self._place_in_time(model, within_s)
        place.users += 1
        try:
            # A job that is cancelled leaves the loading to those who come after it.
            yield await asyncio.shield(place.loading)
        finally:
            place.users -= 1
            self._let_leave()

    def forget(self, name: str) -> None:
        """Lend a model to nobody any more. Those who have it keep it, and its room, until they end."""
        place = self._places.pop(name, None)
        if place is not None:
            self._leaving.append(place)
            self._let_leave()

    def _let_leave(self) -> None:
        self._leaving = [each for each in self._leaving if each.users or not each.loading.done()]
        self._changed.set()

    async def _place_in_time(self, model: M, within_s: float | None) -> _Place[T]:
        try:
            with self._waiting():
                async with asyncio.timeout(within_s):
                    while (place := self._place(model)) is None:
                        self._changed.clear()
                        await self._changed.wait()
        except TimeoutError:
            raise EngineBusy("The engine has no room for one more model.", retry_after_s=1.0) from None
        return place

    def _place(self, model: M) -> _Place[T] | None:
        """Return the model's place, a new one if need be, or None as long as there is no room."""
        place = self._places.get(model.name)
        if place is None:
            idle = [name for name, each in self._places.items() if not each.users and each.loading.done()]
            while idle and self.bytes + model.bytes > self._most_bytes:
                del self._places[idle.pop(0)]
            if self.bytes + model.bytes > self._most_bytes:
                return None
            place = _Place(model.bytes, asyncio.create_task(self._loaded(model)))
            self._places[model.name] = place
        self._places.move_to_end(model.name)
        return place

    async def _loaded(self, model: M) -> T:
        try:
            return await self._load(model)
        except BaseException:
            # The next job tries again. If the model was forgotten, the name may be another place's.
            place = self._places.get(model.name)
            if place is not None and place.loading is asyncio.current_task():
                del self._places[model.name]
            raise
        finally:
            asyncio.get_running_loop().call_soon(self._let_leave)

    async def close(self) -> None:
        """Wait for what is being loaded, and forget all."""
        loading = [place.loading for place in (*self._places.values(), *self._leaving)]
        if loading:
            await asyncio.wait(loading)
        self._places.clear()
        self._leaving.clear()
