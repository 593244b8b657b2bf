"""Links by which a rented machine fetches large recordings, and the input of a training, and uploads the
results of a training. The machine has no API key: each link is valid for one run.

The token of a link is its content and a signature by the operator's key in the vault. A link ends with its
run. Every invalid link gets the same 404. As for all requests, the path is never logged.
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

from proxy.engines.local_samples import find_model
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

SAMPLES_PATH = "/remote/samples/"
TRAININGS_PATH = "/remote/trainings/"
_OPERATOR_ACCOUNT = ""
_SAMPLE_PURPOSE = "remote sample/v1"
_TRAINING_PURPOSE = "remote training/v1"
_MOST_TOKEN_CHARACTERS = 1000
_MOST_COUNTED_LINKS = 10_000

T = TypeVar("T")


class SampleLink(msgspec.Struct, frozen=True, array_like=True):
    """The content of a link to a recording: the run that may fetch it, the model that needs it, and its
    digest."""

    run: str
    model: str
    digest: str


class Links:
    """Makes links below `root`, the public address of this server, and reads their tokens. If `root` is
    empty, callers make no links: see `as_sent` in work.py."""

    def __init__(self, vault: Vault, root: str = "") -> None:
        self.root = root
        self._vault = vault

    async def link_sample(self, run: str, model: str, sample: RemoteSample) -> RemoteSample:
        """Return a recording as a link, without its bytes. The link is the same each time. Raises
        EngineUnavailable."""
        content = SampleLink(run, model, sample.digest)
        url = await self._build_url(SAMPLES_PATH, _SAMPLE_PURPOSE, content)
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(sample.pcm).hexdigest())
        return RemoteSample(digest=sample.digest, url=url, size=len(sample.pcm), sha256=sha256)

    async def training_url(self, run: str) -> str:
        """Return the link of a training's run. It is the same each time. Raises EngineUnavailable."""
        return await self._build_url(TRAININGS_PATH, _TRAINING_PURPOSE, run)

    async def read_training_token(self, token: str) -> str | None:
        """Return the run of a training's link. None: the signature is wrong."""
        return await self._read_token(token, _TRAINING_PURPOSE, str)

    async def read_sample_token(self, token: str) -> SampleLink | None:
        """Return the content of a recording's link. None: the signature is wrong."""
        return await self._read_token(token, _SAMPLE_PURPOSE, SampleLink)

    async def _build_url(self, path: str, purpose: str, content: SampleLink | str) -> str:
        encoded = urlsafe_b64encode(msgspec.json.encode(content)).decode()
        try:
            token = f"{encoded}.{await self._sign(purpose, encoded)}"
        except VaultFailed:
            raise EngineUnavailable("The vault cannot be opened.") from None
        return f"{self.root.rstrip('/')}{path}{token}"

    async def _read_token(self, token: str, purpose: str, type_: type[T]) -> T | None:
        encoded, _, signature = token.partition(".")
        if len(token) > _MOST_TOKEN_CHARACTERS or not token.isascii():
            return None
        if not hmac.compare_digest(signature, await self._sign(purpose, encoded)):
            return None
        return msgspec.json.decode(urlsafe_b64decode(encoded), type=type_)

    async def _sign(self, purpose: str, encoded: str) -> str:
        digest = await self._vault.name_digest(_OPERATOR_ACCOUNT, f"{purpose}\0{encoded}")
        return digest.removeprefix("hmac:")


class LinkReply(Response):
    """The reply to a link: it streams the pieces that `opened` yields. A failure before the head is sent has
    its own status. A later failure breaks the reply off. `HEAD` checks the link, and sends no pieces."""

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


def link_not_found() -> NotFound:
    """Return the answer to an invalid link, the same for every reason."""
    return NotFound("There is nothing here.")


class ReadLimit:
    """Counts the downloads by each link in this worker, and allows `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: LRUCache[SampleLink | str, int] = LRUCache(_MOST_COUNTED_LINKS)

    def check_reads_left(self, link: SampleLink | str) -> None:
        """Raise NotFound if all downloads of a link are used up."""
        if self._counts.get(link, 0) >= self._most:
            raise link_not_found()

    def count_read(self, link: SampleLink | str) -> None:
        self._counts[link] = self._counts.get(link, 0) + 1


MOST_SAMPLE_READS = 6
"""Downloads of one recording by one run in a worker: a remote end tries three times."""
_BLOCK_BYTES = 256 * 1024
_SAMPLES_AT_ONCE, _SAMPLE_PLACES = 4, 16
_SAMPLE_PLACES_OF_RUN = 4


class SampleEndpoint(Resource):
    """Serves the recordings of links. `engines` are the remote engines by name."""

    def __init__(self, store: Store, links: Links, engines: Mapping[str, RemoteEngine]) -> None:
        self._store = store
        self._links = links
        self._engines = engines
        # Each run counts as an account of the limiter.
        self._limiter = FairLimiter(
            "recordings that leave",
            places=_SAMPLE_PLACES,
            of_account=_SAMPLE_PLACES_OF_RUN,
            at_once=_SAMPLES_AT_ONCE,
        )
        self._read_limit = ReadLimit(MOST_SAMPLE_READS)

    @endpoint(
        "GET",
        f"{SAMPLES_PATH}{{token}}",
        media=("application/octet-stream",),
        access="open",
        pace="own",
        failures=(NotFound, NoPlace),
    )
    async def remote_sample(self, request: Request) -> Response:
        """A recording for a run on a rented machine, by a link of this server's"""
        return LinkReply(self._open_sample(request.path_params["token"], is_sent=request.method != "HEAD"))

    @asynccontextmanager
    async def _open_sample(self, token: str, *, is_sent: bool) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the recording of a link. Raises NotFound, and NoPlace if too many are sent at once."""
        link = await self._links.read_sample_token(token)
        if link is None:
            raise link_not_found()
        self._read_limit.check_reads_left(link)
        async with self._limiter.hold_turn(link.run):
            # During the wait, other downloads may have used up the limit.
            self._read_limit.check_reads_left(link)
            if is_sent:
                self._read_limit.count_read(link)
            pcm, loan = await self._borrow_sample(link)
            try:
                # An erasure ends all loans, and a later loan finds no row.
                run = await records.find_run_of_sample(self._store, link.run, link.digest)
                if run is None or loan.is_dropped:
                    raise link_not_found()
                async with aclosing(_yield_blocks(pcm, loan)) as blocks:
                    yield blocks
            finally:
                loan.end()

    async def _borrow_sample(self, link: SampleLink) -> tuple[bytes, SampleLoan]:
        """Return the sound of a recording, and its loan: an erasure of its voice drops the loan. Raises
        NotFound."""
        run = await records.find_run_of_sample(self._store, link.run, link.digest)
        engine = None if run is None else self._engines.get(run.engine)
        info = None if engine is None else find_model(engine.models(), link.model)
        if run is None or engine is None or info is None:
            raise link_not_found()
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
            raise link_not_found() from None
        return engine.samples.sample_cache.pcm(job, sample), loan


async def _yield_blocks(pcm: bytes, loan: SampleLoan) -> AsyncGenerator[bytes, None]:
    """Yield a recording in blocks. If its voice is erased meanwhile, the rest is not sent."""
    for start in range(0, len(pcm), _BLOCK_BYTES):
        if loan.is_dropped:
            raise link_not_found()
        yield pcm[start : start + _BLOCK_BYTES]


MOST_TRAINING_READS = 12
"""Downloads of the input by one run in a worker: a remote end tries ten times, with three processes."""
_LOOK_EVERY_S = 1.0
_MOST_BODY_BYTES = BLOB_BYTES + 64 * 1024
_BODY_TIMEOUT_S = 120.0
"""The time limit of an upload. The remote end sends a late upload again."""
_DOWNLOADS_AT_ONCE, _DOWNLOAD_PLACES = 8, 16
_UPLOADS_AT_ONCE, _UPLOAD_PLACES = 4, 32
_TRANSFER_PLACES_OF_RUN = 2
"""In each direction: one, and one more while the try before it may still be open."""

_decode_message = msgspec.msgpack.Decoder(RemoteMessage).decode


class TrainingEndpoint(Resource):
    def __init__(self, store: Store, links: Links, trainings: TrainingsOnRunners) -> None:
        self._store = store
        self._links = links
        self._trainings = trainings
        # Each run counts as an account of the limiters. A download takes minutes: with one limiter for both
        # directions, downloads would delay uploads.
        self._downloads = FairLimiter(
            "trainings elsewhere",
            places=_DOWNLOAD_PLACES,
            of_account=_TRANSFER_PLACES_OF_RUN,
            at_once=_DOWNLOADS_AT_ONCE,
        )
        self._uploads = FairLimiter(
            "pieces of trainings elsewhere",
            places=_UPLOAD_PLACES,
            of_account=_TRANSFER_PLACES_OF_RUN,
            at_once=_UPLOADS_AT_ONCE,
        )
        self._read_limit = ReadLimit(MOST_TRAINING_READS)

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
        return LinkReply(self._open_training(request.path_params["token"], is_sent=request.method != "HEAD"))

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
        run = await self._find_open_run(request.path_params["token"])
        async with self._uploads.hold_turn(run.id):
            parts = connection_of(request).body_parts(_MOST_BODY_BYTES, _BODY_TIMEOUT_S)
            async with aclosing(parts):
                body = b"".join([part async for part in parts])
            try:
                message = decoded(_decode_message, body)
            except ValueError:
                raise link_not_found() from None
            await self._trainings.store_message(run.job, run.step, message, records.is_open_condition(run))
        return Response(media_type=LinkReply.media_type)

    @asynccontextmanager
    async def _open_training(self, token: str, *, is_sent: bool) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the input of a training by its link. Raises NotFound, and NoPlace if too many are sent at
        once."""
        run = await self._find_open_run(token)
        self._read_limit.check_reads_left(run.id)
        async with self._downloads.hold_turn(run.id):
            # During the wait, other downloads may have used up the limit.
            self._read_limit.check_reads_left(run.id)
            if is_sent:
                self._read_limit.count_read(run.id)
            async with (
                aclosing(self._trainings.read_input(run.job, run.samples.split())) as messages,
                aclosing(self._frames_while_open(token, messages)) as frames,
            ):
                yield frames

    async def _frames_while_open(
        self, token: str, messages: AsyncIterator[TrainingMessage]
    ) -> AsyncGenerator[bytes, None]:
        """Yield messages as frames. Every `_LOOK_EVERY_S`, raise NotFound if the run has ended."""
        monotonic_s = asyncio.get_running_loop().time
        checked_at_s = monotonic_s()
        async for message in messages:
            if monotonic_s() >= checked_at_s + _LOOK_EVERY_S:
                await self._find_open_run(token)
                checked_at_s = monotonic_s()
            yield pack(message)

    async def _find_open_run(self, token: str) -> Run:
        """Return the run of a link. Raises NotFound if the link is invalid, or the run is over."""
        id_ = await self._links.read_training_token(token)
        run = None if id_ is None else await records.find_open_run(self._store, id_)
        if run is None:
            raise link_not_found()
        return run
