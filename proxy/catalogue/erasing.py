"""The interfaces of erasing voices and consents: for handlers, and for objects that have data of voices.

An object with data that is derived from voices implements `VoiceMemory` or `VoiceFiles`, and its feature adds
it to `FeatureInstance`. A writer of rows must check the tombstone in its own commit: see
storage/tombstones.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple, Protocol

from proxy.storage.audit import Act
from proxy.storage.tombstones import Tombstone

ForgetEverywhere = Callable[[Tombstone], Awaitable[bool]]
"""Lets every worker of this server forget an erased voice. Returns whether all did."""


class OwnedRecord(Protocol):
    """A voice or a consent. If it is the operator's, `account` is None."""

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
        """Erase a voice or a consent. None: it was erased before, or another record needs it."""
        del record, act
        return None

    async def erase_voice(
        self, record: OwnedRecord, act: Act | None = None, *, by_owner: bool = False
    ) -> Tombstone:
        """Erase a voice, by its owner if `by_owner`. It is then unusable. Raises NotFound if it is gone."""
        ...

    async def erase_account(self, account: str) -> None:
        """Erase all data of a closed account."""
        del account

    async def sign_lines(self) -> None:
        """Sign the journal of erasures by the newest master key. Raises StorageFailed."""
        ...

    async def forget(self, tombstone: Tombstone) -> bool:
        """Forget the erased voice in this worker. Return whether no stream uses it any more."""
        del tombstone
        return True


class Purges(Protocol):
    """The deletion of stored speech. Without its feature, none is stored."""

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
    """An object that has data of voices in a worker's memory."""

    def forget_voice(self, voice: str, digests: Collection[str]) -> None: ...


class VoiceFiles(Protocol):
    """An object that has data of voices on this machine's disk."""

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        """Remove the data that is derived from a voice. With `is_late`, its rows may be deleted already.

        Raises OSError and StorageFailed.
        """
        ...


async def no_providers(_voice: str) -> bool:
    """Return that no provider has a copy, since there are no clones."""
    return True


async def no_hosts(_digests: Collection[str]) -> None:
    """Do nothing, since no host has recordings."""


class DerivedData(NamedTuple):
    """All objects of this worker that have data of voices. `drop` drops recordings on the hosts, and raises
    EngineError if a host does not answer. `wait_for_providers` waits a moment, and returns whether all
    providers have deleted their copies."""

    memories: Sequence[VoiceMemory] = ()
    files: Sequence[VoiceFiles] = ()
    drop: Callable[[Collection[str]], Awaitable[None]] = no_hosts
    wait_for_providers: Callable[[str], Awaitable[bool]] = no_providers
