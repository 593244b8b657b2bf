"""The process that signs, as its worker sees it: what it is started with, and how it is asked."""

from __future__ import annotations

import asyncio

from proxy.audio.recordings.piped_process import PipedProcess
from proxy.provenance.signing import (
    HEAD_BYTES,
    Signed,
    SignRequest,
    Unsigned,
    decode_answer,
    frame,
    length,
)

_MODULE = "proxy.provenance.signing_child"
_OF_NETWORKS = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)


class SigningProcess(PipedProcess):
    """The process, for one request at a time."""

    @classmethod
    async def begin(cls, *, has_network: bool) -> SigningProcess:
        """Start it. With `has_network`, it may ask for time stamps. Raises OSError."""
        if not has_network:
            return await cls.start(_MODULE)
        return await cls.start(_MODULE, "network", variables=_OF_NETWORKS)

    async def ask(self, request: SignRequest) -> Signed | Unsigned | None:
        """Return the answer, None if the process died or talks nonsense."""
        try:
            for piece in frame(request):
                self.stdin.write(piece)
                await self.stdin.drain()
            head = await self.stdout.readexactly(HEAD_BYTES)
            answer = await self.stdout.readexactly(length(head))
            await asyncio.sleep(0)  # others have the loop between two copies of a large file
            return decode_answer(answer)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            return None  # msgspec's errors are ValueErrors, too
