"""Places for costly work: a few holders work at once, others wait, and half of the places are kept for
accounts that have none.

A pool belongs to one worker. Each caller that takes a place must give it back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Self

from proxy.errors import NoPlace

WAIT_S = 30.0
"""The longest wait for a turn. Then the answer says to come back."""


class FairLimiter:
    """A pool of places for the work `name`. `at_once` holders have a turn at once, only one of each account.

    An account that holds a place gets another one only while less than half of all are taken, and up to
    `of_account`. So a few accounts cannot take the other half. In addition, `of_operator` places are for the
    operator, who has no account. A place may have a weight, if its work has a size.
    """

    def __init__(
        self,
        name: str,
        *,
        places: int,
        of_account: int,
        at_once: int,
        of_operator: int = 0,
        wait_s: float = WAIT_S,
    ) -> None:
        self.name = name
        self.wait_s = wait_s
        self.taken_weight = 0
        self.turns = asyncio.Semaphore(at_once)
        self._places = places
        self._of_account = of_account
        self._of_operator = of_operator
        self._owners: dict[str, _Owner] = {}
        self._waiting: list[str] = []
        self._place_was_left = asyncio.Event()

    def __repr__(self) -> str:
        return f"<FairLimiter for {self.name}, {self.taken_weight} of {self._places} taken>"

    def reserve_place(self, account: str, weight: int = 1) -> FairPlace:
        """Take a place of this weight at once. Raises NoPlace."""
        owner = self._owners.get(account)
        most_taken = self._places if owner is None else self._places // 2
        operator = self._owners.get("")
        operator_weight = min(self._of_operator, operator.taken_weight if operator else 0)
        is_reserved = not account and operator_weight < self._of_operator
        is_full = self.taken_weight - operator_weight + weight > most_taken and not is_reserved
        if is_full or (owner is not None and owner.taken_weight + weight > self._of_account):
            raise NoPlace(self.name)
        if owner is None:
            owner = self._owners[account] = _Owner()
        owner.taken_weight += weight
        self.taken_weight += weight
        return FairPlace(self, account, owner, weight)

    @asynccontextmanager
    async def hold_turn(self, account: str, *, waits: bool = False) -> AsyncIterator[None]:
        """Take a place, wait for its turn, and hold both until the block is left.

        Raises NoPlace if there is no place, or no turn within `wait_s`. With `waits`, the place too is
        awaited within that time, for callers whose number is bounded already.
        """
        deadline = time.monotonic() + self.wait_s
        with await self.wait_for_place(account) if waits else self.reserve_place(account) as place:
            async with place.hold_turn(deadline - time.monotonic()):
                yield

    @property
    def is_awaited(self) -> bool:
        """Whether an account that holds no place waits for one."""
        return any(account not in self._owners for account in self._waiting)

    async def wait_for_place(self, account: str) -> FairPlace:
        """Take a place as soon as the account may have one. The longest wait is served first.

        Raises NoPlace if there is none within `wait_s`.
        """
        self._waiting.append(account)
        try:
            async with asyncio.timeout(self.wait_s):
                while True:
                    with suppress(NoPlace):
                        return self.reserve_place(account)
                    self._place_was_left.clear()
                    await self._place_was_left.wait()
        except TimeoutError:
            raise NoPlace(self.name) from None
        finally:
            self._waiting.remove(account)

    def release_weight(self, account: str, weight: int) -> None:
        """Free the weight of a place, or a part of it. Only `FairPlace` calls this."""
        owner = self._owners[account]
        owner.taken_weight -= weight
        self.taken_weight -= weight
        if not owner.taken_weight:
            del self._owners[account]
        self._place_was_left.set()


class FairPlace:
    """A place that is held until it is given back. A second call of `give_back` does nothing."""

    def __init__(self, pool: FairLimiter, account: str, owner: _Owner, weight: int) -> None:
        self._pool = pool
        self._account = account
        self._owner = owner
        self._weight = weight
        self._is_held = True
        self._is_at_work = False

    def __repr__(self) -> str:
        return f"<FairPlace for {self._pool.name}, {'held' if self._is_held else 'left'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Give the place back. This does nothing while the work of `give_back_after` goes on."""
        if self._is_held and not self._is_at_work:
            self._is_held = False
            self._pool.release_weight(self._account, self._weight)

    def give_back_after(self, work: asyncio.Task[Any]) -> None:
        """Give the place back at the end of this work."""

        def end(_: asyncio.Task[Any]) -> None:
            self._is_at_work = False
            self.give_back()

        self._is_at_work = True
        work.add_done_callback(end)

    def shrink_to(self, weight: int) -> None:
        """Reduce the place's weight to this, which is above 0."""
        self._pool.release_weight(self._account, self._weight - weight)
        self._weight = weight

    @asynccontextmanager
    async def hold_turn(self, wait_s: float | None = None) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the block is left. Raises NoPlace if none comes within `wait_s`.
        A place may have many turns, one by one."""
        async with AsyncExitStack() as turns:
            try:
                async with asyncio.timeout(wait_s):
                    # The account's own turn comes first: its next place waits behind other accounts that came
                    # meanwhile.
                    await turns.enter_async_context(self._owner.turn)
                    await turns.enter_async_context(self._pool.turns)
            except TimeoutError:
                raise NoPlace(self._pool.name) from None
            yield


class _Owner:
    """An account that holds places. One of them at a time may have a turn."""

    def __init__(self) -> None:
        self.taken_weight = 0
        self.turn = asyncio.Lock()
