"""Data that is derived of voices, and the interfaces by which an erasure removes it.

A holder of such data implements one of these interfaces, and its feature adds it to `FeatureInstance`. A
writer of rows must also check the tombstone in its own commit: see storage/tombstones.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple, Protocol


class OwnedRecord(Protocol):
    """A voice or a consent. The operator's has no account."""

    @property
    def id(self) -> str: ...

    @property
    def account(self) -> str | None: ...


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
