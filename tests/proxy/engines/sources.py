"""A source of recordings for tests: it has them by account, and does as told."""

import asyncio

from proxy.engines.sample_source import SampleUnavailable
from speech_engine import ModelInfo

PART_BYTES = 300_000


class FileInParts:
    """A file that is read in parts, of which one may be missing."""

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self.size = len(data) if size is None else size
        self._parts = [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]

    async def next_part(self) -> bytes:
        return self._parts.pop(0) if self._parts else b""


class Recordings:
    """The recordings by tenant and digest. `asked` has what was asked of it; `gate` closed makes it wait."""

    def __init__(self, **by_tenant: dict[str, bytes]) -> None:
        self.by_tenant = by_tenant
        self.asked: list[tuple[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0

    async def pcm(self, tenant: str, digest: str, info: ModelInfo) -> bytes:
        self.asked.append((tenant, digest))
        self.waiting += 1
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        return self._found(tenant, digest)

    async def model(self, tenant: str, digest: str) -> FileInParts:
        self.asked.append((tenant, digest))
        return FileInParts(self._found(tenant, digest))

    def _found(self, tenant: str, digest: str) -> bytes:
        if (pcm := self.by_tenant.get(tenant, {}).get(digest)) is None:
            raise SampleUnavailable(f"{tenant} has no such recording")
        return pcm
