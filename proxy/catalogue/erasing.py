"""The erasure of voices and consents, for their handlers. A feature runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from proxy.catalogue.derived_things import OwnedRecord
from proxy.storage.audit import Act
from proxy.storage.tombstones import Tombstone

Spread = Callable[[Tombstone], Awaitable[bool]]
"""Lets every worker of this server forget, and returns whether all did."""


class Erasing(Protocol):
    """The erasures of one worker. `replayed` counts the erasures that a restored backup had undone."""

    replayed: int

    async def erase(self, record: OwnedRecord, act: Act | None = None) -> Tombstone | None:
        """Erase a voice or a consent. None: it is gone already, or another record needs it."""
        ...

    async def erase_voice(
        self, record: OwnedRecord, act: Act | None = None, *, by_owner: bool = False
    ) -> Tombstone:
        """Erase a voice, which is unusable when this returns. Raises NotFound if it is gone already."""
        ...

    async def erase_account(self, account: str) -> None:
        """Erase all data of a closed account."""
        ...

    async def forget(self, tombstone: Tombstone) -> bool:
        """Forget in this worker a voice that any worker erases, and tell whether it is unused."""
        ...
