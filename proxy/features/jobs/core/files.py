"""The texts and the sound of jobs in the vault. Prefixes differ, so no two are ever one blob."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Iterable, Sequence

from proxy.features.jobs.core import removals
from proxy.features.jobs.core.records import JobClip
from proxy.file_store.vault import Vault
from proxy.storage import blobs
from proxy.storage.store import Statement, Store

BEGINNING = 16
"""The length of the prefix of each blob."""


class JobFiles:
    """The files of jobs in the vault. An erasure reaches them. Every method raises StorageFailed."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self.store = store
        self.vault = vault

    async def put(self, account: str, data: bytes) -> str:
        """Store bytes, and return their digest. A row must name it within an hour."""
        return await self.vault.put(account, secrets.token_bytes(BEGINNING) + data)

    async def drop(self, account: str, *digests: str) -> None:
        """Drop blobs that no row names."""
        await self.vault.drop(account, digests)

    async def keep(self, account: str, digests: Iterable[str]) -> bool:
        """Protect these blobs from the clean-up for another hour. False: one of them is gone."""
        return all([await blobs.touch(self.store, account, digest) for digest in digests])

    async def drop_encoded(self) -> None:
        """Drop the sound of steps that is in the encoded files of their jobs as well."""
        for job in await removals.list_encoded(self.store):
            await self._drop(await removals.drop_sound(self.store, job))

    async def whole(self, account: str, digest: str) -> bytes:
        return (await self.vault.open(account, digest))[BEGINNING:]

    async def text(self, account: str, digest: str) -> str:
        return (await self.whole(account, digest)).decode()

    async def report_of(self, clip: JobClip) -> bytes:
        """Return the JSON report beside a clip's sound. b"": the clip is older than reports."""
        return await self.whole(clip.account, clip.told) if clip.told else b""

    async def part(self, account: str, digest: str, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """Yield what was put, from byte `first` up to `last`."""
        if first < last:
            reader = await self.vault.reader(account, digest)
            reader.seek(BEGINNING + first)
            left = last - first
            while left:
                data = (await reader.next_part())[:left]
                left -= len(data)
                yield data

    async def piece(self, account: str, digest: str, first: int, last: int) -> bytes:
        return b"".join([data async for data in self.part(account, digest, first, last)])

    async def remove_job(self, job: str, account: str, before: Sequence[Statement] = ()) -> None:
        digests = await removals.remove(self.store, job, before)
        await self.vault.drop(account, digests)

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        """Remove the sound of a voice."""
        del is_late
        await self._drop(await removals.remove_voice(self.store, voice))

    async def remove_erased(self, since: int) -> None:
        """Remove the sound of voices that were erased since then, in steps that never ended."""
        await self._drop(await removals.remove_erased(self.store, since))

    async def _drop(self, files: Sequence[tuple[str, str]]) -> None:
        for account, digest in files:
            await self.vault.drop(account, [digest])
