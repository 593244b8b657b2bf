"""Links to recordings that are too large for a runner's request, and to the input and results of a training.
Each is for one run of one piece of work.

A link contains its purpose, signed with the operator's key in the vault. The run's row limits its time: a
link of an ended run gets a 404.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.errors import NotFound
from proxy.file_store.vault import Vault, VaultFailed
from proxy.http.connection import Connection
from speech_engine import EngineUnavailable
from speech_engine.runner import RemoteSample

PATH = "/remote/samples/"
TRAININGS_PATH = "/remote/trainings/"
_OPERATOR = ""
_SAMPLE = "remote sample/v1"
_TRAINING = "remote training/v1"
_MOST_CHARACTERS = 1000

T = TypeVar("T")


class SampleLink(msgspec.Struct, frozen=True, array_like=True):
    """The purpose of a link: a recording, as this model needs it, for this run."""

    run: str
    model: str
    digest: str


class Links:
    """Makes and reads links below `root`, this server's public address. Without a root, it makes none."""

    def __init__(self, vault: Vault, root: str = "") -> None:
        self.root = root
        self._vault = vault

    async def linked(self, run: str, model: str, sample: RemoteSample) -> RemoteSample:
        """Return a recording as a link. It is the same each time. Raises EngineUnavailable."""
        url = await self._made(PATH, _SAMPLE, SampleLink(run, model, sample.digest))
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(sample.pcm).hexdigest())
        return RemoteSample(digest=sample.digest, url=url, size=len(sample.pcm), sha256=sha256)

    async def of_training(self, run: str) -> str:
        """Return the link of a training. It is the same each time. Raises EngineUnavailable."""
        return await self._made(TRAININGS_PATH, _TRAINING, run)

    async def read_training(self, token: str) -> str | None:
        """Return the run of a training's link. None: its signature is not ours."""
        return await self._read(token, _TRAINING, str)

    async def read(self, token: str) -> SampleLink | None:
        """Return the purpose of a link. None: its signature is not ours."""
        return await self._read(token, _SAMPLE, SampleLink)

    async def _made(self, path: str, purpose: str, what: SampleLink | str) -> str:
        fingerprint = urlsafe_b64encode(msgspec.json.encode(what)).decode()
        try:
            token = f"{fingerprint}.{await self._proof(purpose, fingerprint)}"
        except VaultFailed:
            raise EngineUnavailable("The vault cannot be opened.") from None
        return f"{self.root.rstrip('/')}{path}{token}"

    async def _read(self, token: str, purpose: str, type_: type[T]) -> T | None:
        fingerprint, _, proof = token.partition(".")
        if len(token) > _MOST_CHARACTERS or not token.isascii():
            return None
        if not hmac.compare_digest(proof, await self._proof(purpose, fingerprint)):
            return None
        return msgspec.json.decode(urlsafe_b64decode(fingerprint), type=type_)

    async def _proof(self, purpose: str, fingerprint: str) -> str:
        made = await self._vault.name_digest(_OPERATOR, f"{purpose}\0{fingerprint}")
        return made.rpartition(":")[2]


class LinkReply(Response):
    """An answer to a link. A failure before the first piece has its own status. A later one breaks the answer
    off. `HEAD` checks the link, and makes no pieces."""

    media_type = "application/octet-stream"

    def __init__(self, opened: AbstractAsyncContextManager[AsyncIterator[bytes]]) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        with connection.stop_when_client_leaves():
            async with self._opened as pieces:
                connection.set_head(200, self.raw_headers)
                if scope["method"] != "HEAD":
                    async for piece in pieces:
                        await connection.send(piece)
                await connection.end(b"")


def nothing_here() -> NotFound:
    """Return the answer to an invalid link, the same for every reason."""
    return NotFound("There is nothing here.")
