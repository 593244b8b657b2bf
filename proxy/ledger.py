"""hold → settle: the seam through which every request's cost will pass, and its usage row passes now.

Until plans exist a hold keeps nothing back; settling writes the usage row, once, in the group commit.
A block left without a settlement settles as failed, which charges nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import msgspec

from proxy.callers import Caller
from proxy.storage import usage
from proxy.storage.store import Store

Outcome = Literal["finished", "left", "failed"]


class Spent(msgspec.Struct, kw_only=True):
    """What a request has come to so far; the pipeline fills it in as it learns."""

    engine: str = ""
    model: str = ""
    voice: str = ""
    language: str = ""
    format: str = ""
    characters: int = 0
    samples: int = 0
    sample_rate_hz: int = 24_000
    first_byte_ms: int | None = None
    error: str | None = None


class Hold:
    """One request's place in the ledger; `settle` counts once, later calls do nothing."""

    def __init__(self, store: Store, request: str, caller: Caller, started: int) -> None:
        self.spent = Spent()
        self._store = store
        self._request = request
        self._caller = caller
        self._started = started
        self._settled = False

    def __repr__(self) -> str:
        return f"<Hold {self._request} {'settled' if self._settled else 'open'}>"

    async def settle(self, outcome: Outcome) -> None:
        """Returns after the commit: only then may the last chunk go out."""
        if self._settled:
            return
        spent = msgspec.structs.asdict(self.spent)
        row = usage.UsageRow(
            id=self._request,
            account=self._caller.account,
            key=self._caller.key,
            started=self._started,
            outcome=outcome,
            **spent,
        )
        await usage.record(self._store, row)
        # Only now: where the commit failed, leaving the block tries once more to put the failure on record.
        self._settled = True


class Ledger:
    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def hold(self, request: str, caller: Caller, ceiling: int = 0) -> AsyncIterator[Hold]:
        """`ceiling` is the most the request may cost, in micro-credits; free of charge for now."""
        del ceiling
        hold = Hold(self._store, request, caller, await self._store.now())
        try:
            yield hold
        finally:
            await hold.settle("failed")
