"""The texts and the sound of jobs in the vault. Each begins otherwise, so no two are ever one blob."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence

from proxy.features.jobs import records
from proxy.features.jobs.records import JobClip
from proxy.kept.vault import Vault
from proxy.storage.store import Store

_BEGINNING = 16


class JobFiles:
    """What jobs have in the vault. An erasure reaches it. Every method raises StorageFailed."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    def __repr__(self) -> str:
        return f"<JobFiles in {self._vault!r}>"

    async def put(self, account: str, data: bytes) -> str:
        """Keep bytes, and return their digest. A row has to name it within an hour."""
        return await self._vault.put(account, secrets.token_bytes(_BEGINNING) + data)

    async def text(self, account: str, digest: str) -> str:
        return (await self._vault.open(account, digest))[_BEGINNING:].decode()

    async def told(self, clip: JobClip) -> bytes:
        """Return what is told of a clip beside its sound, in JSON. b"": it was made before there was any."""
        return (await self._vault.open(clip.account, clip.told))[_BEGINNING:] if clip.told else b""

    async def parts(self, clips: Sequence[JobClip], start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end` of these clips one after the other."""
        for clip in clips:
            first, last = max(0, start), min(clip.bytes, end)
            if first < last:
                reader = await self._vault.reader(clip.account, clip.digest)
                reader.seek(_BEGINNING + first)
                left = last - first
                while left:
                    data = (await reader.next_part())[:left]
                    left -= len(data)
                    yield data
            start, end = start - clip.bytes, end - clip.bytes

    async def remove_job(self, job: str, account: str) -> None:
        """Delete a job and all that was made of it."""
        digests = await records.remove(self._store, job)
        await self._vault.drop(account, digests)

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        """Remove what a voice has spoken."""
        del is_late
        await self._drop(await records.remove_voice(self._store, voice))

    async def remove_erased(self, since: int) -> None:
        """Remove what voices have spoken that were erased since then, in steps that never ended."""
        await self._drop(await records.remove_erased(self._store, since))

    async def _drop(self, files: Sequence[tuple[str, str]]) -> None:
        for account, digest in files:
            await self._vault.drop(account, [digest])
