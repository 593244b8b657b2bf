"""The erasure of voices and consents, as their handlers need it. A feature carries it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from proxy.catalogue.derived_things import OwnedRecord
from proxy.storage.audit import Act
from proxy.storage.tombstones import Tombstone

Spread = Callable[[Tombstone], Awaitable[bool]]
"""Lets every worker of this server forget, and returns whether all did."""


class Erasing(Protocol):
    """The erasures of one worker. `replayed` counts those that a backup had taken back when it opened."""

    replayed: int

    async def erase(self, record: OwnedRecord, act: Act | None = None) -> Tombstone | None:
        """Erase a voice or a consent. None: it is gone already, or something needs it."""
        ...

    async def erase_voice(
        self, record: OwnedRecord, act: Act | None = None, *, by_owner: bool = False
    ) -> Tombstone:
        """Erase a voice, which is unusable when this returns. Raises NotFound if it is gone already."""
        ...

    async def erase_account(self, account: str) -> None:
        """Erase all that an account has which is closed."""
        ...

    async def forget(self, tombstone: Tombstone) -> bool:
        """Forget in this worker what any worker of this server erases, and tell whether nothing uses it."""
        ...
