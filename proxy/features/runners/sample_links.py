"""Links to recordings that are too large for a runner's request. Each is for one run of one piece of work.

A link says what it is for, under a proof that only the operator's key in the vault makes. The run's row says
until when: a link to a run that is over leads nowhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from proxy.kept.vault import Vault, VaultFailed
from speech_engine import EngineUnavailable
from speech_engine.runner import RemoteSample

PATH = "/remote/samples/"
_OPERATOR = ""
_PURPOSE = "remote sample/v1"
_MOST_CHARACTERS = 1000


class SampleLink(msgspec.Struct, frozen=True, array_like=True):
    """What a link is for: a recording, as this model needs it, for this run."""

    run: str
    model: str
    digest: str


class SampleLinks:
    """Makes and reads links below `root`, this server's public address. Without a root, none are made."""

    def __init__(self, vault: Vault, root: str = "") -> None:
        self.root = root
        self._vault = vault

    def __repr__(self) -> str:
        return f"<SampleLinks below {self.root or 'nothing'}>"

    async def linked(self, run: str, model: str, sample: RemoteSample) -> RemoteSample:
        """Return a recording as a link. It is the same each time. Raises EngineUnavailable."""
        said = urlsafe_b64encode(msgspec.json.encode(SampleLink(run, model, sample.digest))).decode()
        try:
            token = f"{said}.{await self._proof(said)}"
        except VaultFailed:
            raise EngineUnavailable("The vault cannot be opened.") from None
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(sample.pcm).hexdigest())
        url = f"{self.root.rstrip('/')}{PATH}{token}"
        return RemoteSample(digest=sample.digest, url=url, size=len(sample.pcm), sha256=sha256)

    async def read(self, token: str) -> SampleLink | None:
        """Return what a link is for. None: we have not made it."""
        said, _, proof = token.partition(".")
        if len(token) > _MOST_CHARACTERS or not token.isascii():
            return None
        if not hmac.compare_digest(proof, await self._proof(said)):
            return None
        return msgspec.json.decode(urlsafe_b64decode(said), type=SampleLink)

    async def _proof(self, said: str) -> str:
        made = await self._vault.name_digest(_OPERATOR, f"{_PURPOSE}\0{said}")
        return made.rpartition(":")[2]
