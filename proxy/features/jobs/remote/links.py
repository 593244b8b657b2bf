"""Links to recordings that are too large for a runner's request, and to the input and results of a training.
Each is for one run of one piece of work, whose remote end has no key.

A link contains its purpose, signed with the operator's key in the vault. The run's row limits its time: a
link of an ended run gets a 404. Every invalid link gets the same 404. As for all requests, the path is never
logged.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import TypeVar

import msgspec
from cachetools import LRUCache
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.engines.hosts.local_samples import find_model
from proxy.engines.remote_engine import RemoteEngine
from proxy.errors import NoPlace, NotFound
from proxy.features.jobs.kinds.training.on_runners import TrainingsOnRunners
from proxy.features.jobs.remote import records
from proxy.features.jobs.remote.records import Run
from proxy.file_store.vault import Vault, VaultFailed
from proxy.helpers.limiter import FairLimiter
from proxy.http.body import BODY_FAILURES, connection_of
from proxy.http.connection import Connection
from proxy.http.resource import Resource, endpoint
from proxy.storage.store import Store
from speech_engine import EngineError, EngineUnavailable, Sample, Samples, SpeechJob
from speech_engine.bounds import decoded
from speech_engine.host.pipe import pack
from speech_engine.host.sample_cache import SampleLoan
from speech_engine.runner import RemoteSample
from speech_engine.training import BLOB_BYTES, RemoteMessage, TrainingMessage

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
        super().__init__()
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


MOST_SAMPLE_READS = 6
"""Downloads of one recording by one run in a worker: a remote end tries three times."""
_MOST_COUNTED = 10_000
_BLOCK_BYTES = 256 * 1024


class SampleEndpoint(Resource):
    """Serves the recordings of links. `engines` are the remote engines by name."""

    def __init__(self, store: Store, links: Links, engines: Mapping[str, RemoteEngine]) -> None:
        self._store = store
        self._links = links
        self._engines = engines
        self._places = FairLimiter("recordings that leave", places=16, of_account=4, at_once=4)
        self._reads: LRUCache[SampleLink, int] = LRUCache(_MOST_COUNTED)

    @endpoint(
        "GET",
        f"{PATH}{{token}}",
        media=("application/octet-stream",),
        access="open",
        pace="own",
        failures=(NotFound, NoPlace),
    )
    async def remote_sample(self, request: Request) -> Response:
        """A recording for a run on a rented machine, by a link of this server's"""
        return LinkReply(self._opened(request.path_params["token"], is_read=request.method != "HEAD"))

    @asynccontextmanager
    async def _opened(self, token: str, *, is_read: bool = True) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the recording of a link. Raises NotFound, and NoPlace if too many are sent at once."""
        link = await self._links.read(token)
        if link is None or self._reads.get(link, 0) >= MOST_SAMPLE_READS:
            raise nothing_here()
        async with self._places.hold_turn(link.run):
            # Read anew: others may have been counted during the wait.
            self._reads[link] = self._reads.get(link, 0) + is_read
            pcm, loan = await self._download(link)
            try:
                # An erasure ends all loans, and a later loan finds no row.
                run = await records.for_recording(self._store, link.run, link.digest)
                if run is None or loan.is_dropped:
                    raise nothing_here()
                async with aclosing(_blocks(pcm, loan)) as blocks:
                    yield blocks
            finally:
                loan.end()

    async def _download(self, link: SampleLink) -> tuple[bytes, SampleLoan]:
        """Return a recording, and its loan, which says if its voice is erased meanwhile. Raises NotFound."""
        run = await records.for_recording(self._store, link.run, link.digest)
        engine = None if run is None else self._engines.get(run.engine)
        info = None if engine is None else find_model(engine.models(), link.model)
        if run is None or engine is None or info is None:
            raise nothing_here()
        sample = Sample(link.digest)
        job = SpeechJob(
            id=run.id,
            tenant=run.account,
            model=link.model,
            voice=Samples((sample,)),
            segments=(),
            language="",
        )
        try:
            loan = await engine.samples.borrow(job, info)
        except EngineError:
            raise nothing_here() from None
        return engine.samples.sample_cache.pcm(job, sample), loan


async def _blocks(pcm: bytes, loan: SampleLoan) -> AsyncGenerator[bytes, None]:
    """Yield a recording in pieces. If its voice is erased meanwhile, the rest is not sent."""
    for at in range(0, len(pcm), _BLOCK_BYTES):
        if loan.is_dropped:
            raise nothing_here()
        yield pcm[at : at + _BLOCK_BYTES]


MOST_TRAINING_READS = 12
"""Downloads of the input by one run in a worker: a remote end tries ten times, with three processes."""
_LOOK_S = 1.0
_MOST_BODY_BYTES = BLOB_BYTES + 64 * 1024
_BODY_S = 120.0
"""The time limit of a piece. The remote end sends a late piece again."""

_decode = msgspec.msgpack.Decoder(RemoteMessage).decode


class TrainingEndpoint(Resource):
    def __init__(self, store: Store, links: Links, trainings: TrainingsOnRunners) -> None:
        self._store = store
        self._links = links
        self._trainings = trainings
        # A run has one place in each pool, and one more while its last try may still be open. A download
        # takes minutes, so it takes no place of uploads.
        self._downloads = FairLimiter("trainings elsewhere", places=16, of_account=2, at_once=8)
        self._uploads = FairLimiter("pieces of trainings elsewhere", places=32, of_account=2, at_once=4)
        self._reads: LRUCache[str, int] = LRUCache(_MOST_COUNTED)

    @endpoint(
        "GET",
        f"{TRAININGS_PATH}{{token}}",
        media=("application/octet-stream",),
        access="open",
        pace="own",
        failures=(NotFound, NoPlace),
    )
    async def remote_training(self, request: Request) -> Response:
        """What a training on a rented machine learns from, by a link of this server's"""
        return LinkReply(self._frames(request.path_params["token"], is_read=request.method != "HEAD"))

    @endpoint(
        "POST",
        f"{TRAININGS_PATH}{{token}}",
        media=("application/octet-stream",),
        access="open",
        pace="own",
        failures=(*BODY_FAILURES, NotFound, NoPlace),
    )
    async def tell_remote_training(self, request: Request) -> Response:
        """What a training on a rented machine tells, by a link of this server's"""
        run = await self._run(request.path_params["token"])
        async with self._uploads.hold_turn(run.id):
            parts = connection_of(request).body_parts(_MOST_BODY_BYTES, _BODY_S)
            async with aclosing(parts):
                body = b"".join([part async for part in parts])
            try:
                message = decoded(_decode, body)
            except ValueError:
                raise nothing_here() from None
            await self._trainings.store_message(run.job, run.step, message, records.is_open(run))
        return Response(media_type=LinkReply.media_type)

    @asynccontextmanager
    async def _frames(self, token: str, *, is_read: bool = True) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the training of a link. Raises NotFound, and NoPlace if too much is under way."""
        run = await self._run(token)
        if self._reads.get(run.id, 0) >= MOST_TRAINING_READS:
            raise nothing_here()
        async with (
            self._downloads.hold_turn(run.id),
            aclosing(self._trainings.asked(run.job, run.samples.split())) as messages,
            aclosing(self._while_open(token, messages)) as frames,
        ):
            self._reads[run.id] = self._reads.get(run.id, 0) + is_read
            yield frames

    async def _while_open(
        self, token: str, messages: AsyncIterator[TrainingMessage]
    ) -> AsyncGenerator[bytes, None]:
        """Yield messages as frames. A moment after the run has ended, the rest is not sent."""
        now = asyncio.get_running_loop().time
        looked = now()
        async for message in messages:
            if now() >= looked + _LOOK_S:
                await self._run(token)
                looked = now()
            yield pack(message)

    async def _run(self, token: str) -> Run:
        """Return the run of a link. Raises NotFound if the link is invalid, or the run is over."""
        id_ = await self._links.read_training(token)
        run = None if id_ is None else await records.open_run(self._store, id_)
        if run is None:
            raise nothing_here()
        return run
