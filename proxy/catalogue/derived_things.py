"""What is derived of voices, and what an erasure needs of its keepers.

What keeps something new implements one of these interfaces, and its feature gives it in `FeatureInstance`.
What is written down looks for the tombstone in its own commit besides: see storage/tombstones.py.
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
        """Remove what is derived of a voice. `is_late`: its rows may be gone already.

        Raises OSError and StorageFailed.
        """
        ...


async def no_providers(_voice: str) -> bool:
    """Say that no provider has a copy, where there are no clones."""
    return True


async def no_hosts(_digests: Collection[str]) -> None:
    """Drop recordings where no host has any."""


class DerivedThings(NamedTuple):
    """All that this worker has of voices. `drop` tells the hosts, and raises EngineError if one is silent.
    `wait_for_providers` tells whether no provider has a copy any more, after a moment."""

    memories: Sequence[VoiceMemory] = ()
    files: Sequence[VoiceFiles] = ()
    drop: Callable[[Collection[str]], Awaitable[None]] = no_hosts
    wait_for_providers: Callable[[str], Awaitable[bool]] = no_providers
