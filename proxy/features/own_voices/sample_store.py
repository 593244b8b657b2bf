"""The recordings of accounts as models need them: opened, cut, levelled and resampled.

They stay in memory for a minute, since the processes of an engine request them one after the other. They are
never on the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from policies.sample_quality import SampleQuality
from proxy.audio.recordings.recording import UnusableRecording
from proxy.engines.sample_source import ModelFileReader, SampleUnavailable
from proxy.file_store.sealed_file import SealedFileReader
from proxy.file_store.vault import Vault
from proxy.storage import samples, trained_models
from proxy.storage.read_cache import ReadCache, read_singly
from proxy.storage.store import StorageFailed, Store
from speech_engine import ModelInfo

if TYPE_CHECKING:
    from proxy.audio.recordings.derivation import SampleSpec

_CACHED_S = 60.0
_MOST_BYTES = 64 * 1024 * 1024


class _Key(NamedTuple):
    account: str
    digest: str
    spec: SampleSpec


class _Derived(NamedTuple):
    digest: str
    pcm: bytes


class _SealedFile:
    def __init__(self, size: int, reader: SealedFileReader) -> None:
        self.size = size
        self._reader = reader

    async def next_part(self) -> bytes:
        try:
            return await self._reader.next_part()
        except StorageFailed as error:
            raise SampleUnavailable(str(error)) from None


class SampleStore:
    """A SampleSource over the vault."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault
        self._derived: ReadCache[_Key, _Derived] = ReadCache(
            read_singly(self._derive),
            lambda _derived: _CACHED_S,
            max_weight=_MOST_BYTES,
            weight=lambda derived: len(derived.pcm),
        )

    async def pcm(self, tenant: str, digest: str, info: ModelInfo) -> bytes:
        """Return a recording of this account as the model needs it. Raises SampleUnavailable."""
        # This loads large libraries of sound, so the first recording imports it, and not the start.
        from proxy.audio.recordings.derivation import SampleSpec

        try:
            return (await self._derived.get(_Key(tenant, digest, SampleSpec.of(info)))).pcm
        except StorageFailed as error:
            raise SampleUnavailable(str(error)) from None

    async def model(self, tenant: str, digest: str) -> ModelFileReader:
        """Return the trained model of a voice of this account; "" is the operator's. Raises
        SampleUnavailable."""
        try:
            size = await trained_models.find_size(self._store, tenant, digest)
            if size is not None:
                return _SealedFile(size, await self._vault.reader(tenant, digest))
        except StorageFailed as error:
            raise SampleUnavailable(str(error)) from None
        raise SampleUnavailable(f"the account has no model {digest[:8]}")

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        """Forget the derived samples of recordings, also those that are being derived now."""
        gone = frozenset(digests)
        self._derived.forget_if(lambda derived: derived.digest in gone)

    async def _derive(self, key: _Key) -> _Derived:
        from proxy.audio.recordings.derivation import derive_sample

        quality = await samples.find_quality(self._store, key.account, key.digest)
        if quality is None:
            raise SampleUnavailable(f"the account has no recording {key.digest[:8]}")
        master = await self._vault.open(key.account, key.digest)
        facts = msgspec.json.decode(quality, type=SampleQuality)
        try:
            pcm = await asyncio.to_thread(derive_sample, master, facts, key.spec)
        except UnusableRecording as error:
            raise SampleUnavailable(str(error)) from None
        return _Derived(key.digest, pcm)
