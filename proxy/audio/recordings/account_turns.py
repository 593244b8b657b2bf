"""Turns of accounts at something costly: a few at once, some that wait, and none that keeps others out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.errors import DecoderBusy


class AccountTurns:
    """Turns for uploads. An account has one turn at a time, and `of_account` with those that wait."""

    def __init__(self, at_once: int, waiting: int, of_account: int) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._most_of_account = of_account
        self._of_account: dict[str, _OwnTurn] = {}
        self.begun = 0
        """How many have a turn or wait for one."""

    def __repr__(self) -> str:
        return f"<AccountTurns, {self.begun} of {self._most} begun>"

    @asynccontextmanager
    async def turn(self, account: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the block is left.

        Raises DecoderBusy if too many wait, of this account or of all.
        """
        own = self._of_account.get(account) or _OwnTurn()
        if self.begun >= self._most or own.begun >= self._most_of_account:
            raise DecoderBusy
        self._of_account[account] = own
        self.begun += 1
        own.begun += 1
        try:
            async with own.lock, self._turns:
                yield
        finally:
            self.begun -= 1
            own.begun -= 1
            if not own.begun:
                del self._of_account[account]


class _OwnTurn:
    """The turn of one account, and how many of its uploads have it or wait for it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.begun = 0
