"""/remote/trainings/TOKEN: the input and the messages of one run's training, for a remote end without a key.
Every invalid link gets the same 404."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import msgspec
from cachetools import LRUCache
from starlette.requests import Request
from starlette.responses import Response

from proxy.errors import NoPlace, NotFound
from proxy.features.jobs.kinds.training.on_runners import TrainingsOnRunners
from proxy.features.jobs.remote import records
from proxy.features.jobs.remote.links import TRAININGS_PATH, LinkReply, Links, nothing_here
from proxy.features.jobs.remote.records import Run
from proxy.helpers.limiter import FairLimiter
from proxy.http.body import BODY_FAILURES, open_body
from proxy.http.resource import Resource, endpoint
from proxy.storage.store import Store
from speech_engine.host.pipe import pack
from speech_engine.training import BLOB_BYTES, RemoteMessage, TrainingMessage

MOST_READS = 12
"""Downloads of the input by one run in a worker: a remote end tries ten times, with three processes."""
_MOST_COUNTED = 10_000
_LOOK_S = 1.0
_MOST_BODY_BYTES = BLOB_BYTES + 64 * 1024
_BODY_S = 120.0
"""The time limit of a piece. Afterwards it is sent again."""

_decode = msgspec.msgpack.Decoder(RemoteMessage).decode


class TrainingEndpoint(Resource):
    def __init__(self, store: Store, links: Links, trainings: TrainingsOnRunners) -> None:
        self._store = store
        self._links = links
        self._trainings = trainings
        # A run has one place in each pool, and one more while its last try may still be open. A download
        # takes minutes, so it takes no place of uploads.
        self._limiter = FairLimiter("trainings elsewhere", places=16, of_account=2, at_once=8)
        self._take = FairLimiter("pieces of trainings elsewhere", places=32, of_account=2, at_once=4)
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
        async with self._take.turn(run.id):
            parts = open_body(request).body_parts(_MOST_BODY_BYTES, _BODY_S)
            async with aclosing(parts):
                body = b"".join([part async for part in parts])
            try:
                told = _decode(body)
            except msgspec.MsgspecError:
                raise nothing_here() from None
            await self._trainings.take(run.job, run.step, told, records.is_open(run))
        return Response(media_type=LinkReply.media_type)

    @asynccontextmanager
    async def _frames(self, token: str, *, is_read: bool = True) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the training of a link. Raises NotFound, and NoPlace if too much is under way."""
        run = await self._run(token)
        if (reads := self._reads.get(run.id, 0)) >= MOST_READS:
            raise nothing_here()
        async with (
            self._limiter.turn(run.id),
            aclosing(self._trainings.asked(run.job, run.samples.split())) as messages,
            aclosing(self._while_open(token, messages)) as frames,
        ):
            self._reads[run.id] = reads + is_read
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
