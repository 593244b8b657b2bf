"""/remote/trainings/TOKEN: what the training of one run learns from, and what it tells, for a far end without
a key.

Whatever is wrong with a link, the answer is the same 404.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.catalogue.far_trainings import FarTrainings
from proxy.errors import NoPlace, NotFound
from proxy.features.runners import records
from proxy.features.runners.link_reply import LinkReply
from proxy.features.runners.records import Run
from proxy.features.runners.sample_links import TRAININGS_PATH, SampleLinks
from proxy.helpers.places import FairPlaces
from proxy.http.body import BODY_FAILURES, open_body
from proxy.http.resource import Resource, answers
from proxy.storage.store import Store
from speech_engine.host.far_training import BLOB_BYTES
from speech_engine.host.pipe import pack
from speech_engine.training import FarTold

_MOST_BODY_BYTES = BLOB_BYTES + 64 * 1024
_BODY_S = 120.0
"""A piece comes in so long, or is sent again."""

_decode = msgspec.msgpack.Decoder(FarTold).decode


class TrainingDoor(Resource):
    def __init__(self, store: Store, links: SampleLinks, trainings: FarTrainings) -> None:
        self._store = store
        self._links = links
        self._trainings = trainings
        self._places = FairPlaces("trainings elsewhere", places=16, of_account=2, at_once=2)

    @answers(
        "GET",
        f"{TRAININGS_PATH}{{token}}",
        media=("application/octet-stream",),
        access="open",
        pace="own",
        failures=(NotFound, NoPlace),
    )
    async def remote_training(self, request: Request) -> Response:
        """What a training on a rented machine learns from, by a link of this server's"""
        return LinkReply(self._frames(request.path_params["token"]))

    @answers(
        "POST",
        f"{TRAININGS_PATH}{{token}}",
        media=("application/octet-stream",),
        access="open",
        pace="own",
        failures=(*BODY_FAILURES, NotFound, NoPlace),
    )
    async def tell_remote_training(self, request: Request) -> Response:
        """What a training on a rented machine tells, by a link of this server's"""
        async with self._opened(request.path_params["token"]) as run:
            parts = open_body(request).body_parts(_MOST_BODY_BYTES, _BODY_S)
            async with aclosing(parts):
                body = b"".join([part async for part in parts])
            try:
                told = _decode(body)
            except msgspec.MsgspecError:
                raise _nothing() from None
            await self._trainings.take(run.job, run.step, told, records.is_open(run))
        return Response(media_type=LinkReply.media_type)

    @asynccontextmanager
    async def _frames(self, token: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open what a link leads to. Raises NotFound, and NoPlace if too much is under way."""
        async with self._opened(token) as run, aclosing(self._trainings.asked(run.job)) as messages:
            yield (pack(message) async for message in messages)

    @asynccontextmanager
    async def _opened(self, token: str) -> AsyncIterator[Run]:
        id_ = await self._links.read_training(token)
        run = None if id_ is None else await records.open_run(self._store, id_)
        if run is None:
            raise _nothing()
        async with self._places.turn(run.id):
            yield run


def _nothing() -> NotFound:
    return NotFound("There is nothing here.")
