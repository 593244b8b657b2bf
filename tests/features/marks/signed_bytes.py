"""Files in memory that a signer signs, for tests that have small ones."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from proxy.features.marks.manifest import ManifestFacts
from proxy.features.marks.signer import Signer, SoundFile
from proxy.helpers.limiter import FairPlace

_PIECE_BYTES = 48 * 1024


class InMemory:
    """A file that is read and written piece by piece."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    @property
    def size(self) -> int:
        return len(self.data)

    async def pieces(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), _PIECE_BYTES):
            yield self.data[at : at + _PIECE_BYTES]

    async def clear(self) -> None:
        self.data = b""

    async def add(self, data: bytes) -> None:
        self.data += data


class SignedBytes(NamedTuple):
    """A file with its manifest."""

    data: bytes
    is_stamped: bool
    has_parent: bool


async def embed(
    signer: Signer,
    facts: ManifestFacts,
    body: bytes,
    media_type: str = "audio/wav",
    parent: SoundFile | None = None,
    *,
    account: str = "",
    place: FairPlace | None = None,
) -> SignedBytes:
    sink = InMemory()
    file = SoundFile(InMemory(body), media_type)
    signed = await signer.embed(facts, file, sink, parent, account=account, place=place)
    assert signed is not None
    return SignedBytes(sink.data, signed.is_stamped, signed.has_parent)
