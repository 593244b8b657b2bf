"""The process that signs, as its worker sees it: started, asked, and ended with all that it started."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress

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
_INHERITED = ("LD_LIBRARY_PATH", "PYTHONPATH")
_OF_NETWORKS = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)


class SigningProcess:
    """The process, for one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def __repr__(self) -> str:
        return f"<SigningProcess pid {self._process.pid}>"

    @classmethod
    async def start(cls, has_network: bool) -> SigningProcess:
        """Start it. With `has_network`, it may ask for time stamps."""
        names = (*_INHERITED, *(_OF_NETWORKS if has_network else ()))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", _MODULE, *(["network"] if has_network else [])),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in names if name in os.environ},
            start_new_session=True,
        )
        return cls(process)

    @property
    def is_dead(self) -> bool:
        return self._process.returncode is not None

    async def ask(self, request: SignRequest) -> Signed | Unsigned | None:
        """Return the answer, None if the process died or talks nonsense."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            for piece in frame(request):
                stdin.write(piece)
                await stdin.drain()
            head = await stdout.readexactly(HEAD_BYTES)
            answer = await stdout.readexactly(length(head))
            await asyncio.sleep(0)  # others have the loop between two copies of a large file
            return decode_answer(answer)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            return None  # msgspec's errors are ValueErrors, too

    async def end(self) -> None:
        if not self.is_dead:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()
