"""The erasure of voices and consents, for handlers and for the holders of derived data. Features run it.

A holder of data that is derived of voices implements an interface of this file, and its feature adds it to
`FeatureInstance`. A writer of rows must also check the tombstone in its own commit: see
storage/tombstones.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple, Protocol

from proxy.storage.audit import Act
from proxy.storage.tombstones import Tombstone

Spread = Callable[[Tombstone], Awaitable[bool]]
"""Lets every worker of this server forget, and returns whether all did."""


class OwnedRecord(Protocol):
    """A voice or a consent. The operator's has no account."""

    @property
    def id(self) -> str: ...

    @property
    def account(self) -> str | None: ...


class Erasing(Protocol):
    """The erasures of one worker. `replayed` counts the erasures that a restored backup had undone.

    The bodies are those of a server without the feature.
    """

    replayed: int

    async def erase(self, record: OwnedRecord, act: Act | None = None) -> Tombstone | None:
        """Erase a voice or a consent. None: it is gone already, or another record needs it."""
        del record, act
        return None

    async def erase_voice(
        self, record: OwnedRecord, act: Act | None = None, *, by_owner: bool = False
    ) -> Tombstone:
        """Erase a voice, which is unusable when this returns. Raises NotFound if it is gone already."""
        ...

    async def erase_account(self, account: str) -> None:
        """Erase all data of a closed account."""
        del account

    async def sign_lines(self) -> None:
        """Sign the journal of erasures by the newest master key. Raises StorageFailed."""
        ...

    async def forget(self, tombstone: Tombstone) -> bool:
        """Forget in this worker a voice that any worker erases, and tell whether it is unused."""
        del tombstone
        return True


class Purges(Protocol):
    """The speech that was made with earlier voices and words. Without the feature, none is stored."""

    async def purge_voice(self, account: str | None, voice_id: str) -> None:
        """Drop the speech by this voice, of the account or, without one, of all accounts."""
        del account, voice_id

    async def purge_lexicon(self, account: str) -> None:
        """Drop the speech with an account's lexicons."""
        del account

    async def purge_account(self, account: str) -> None:
        """Drop all speech of an account."""
        del account


class VoiceMemory(Protocol):
    """Something in a worker's memory that is derived of voices."""

    def forget_voice(self, voice: str, digests: Collection[str]) -> None: ...


class VoiceFiles(Protocol):
    """Something on this machine's disk that is derived of voices."""

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        """Remove the data that is derived of a voice. `is_late`: its rows may be gone already.

        Raises OSError and StorageFailed.
        """
        ...


async def no_providers(_voice: str) -> bool:
    """Say that no provider has a copy, where there are no clones."""
    return True


async def no_hosts(_digests: Collection[str]) -> None:
    """Drop recordings where no host has any."""


class DerivedThings(NamedTuple):
    """All of this worker's data of voices. `drop` drops it on the hosts, and raises EngineError if one is
    silent. `wait_for_providers` waits a moment, and tells whether all providers have deleted their copies."""

    memories: Sequence[VoiceMemory] = ()
    files: Sequence[VoiceFiles] = ()
    drop: Callable[[Collection[str]], Awaitable[None]] = no_hosts
    wait_for_providers: Callable[[str], Awaitable[bool]] = no_providers
