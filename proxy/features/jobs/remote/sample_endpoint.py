"""GET /remote/samples/TOKEN: a recording for the remote end of one run, which has no key. Every invalid link
gets the same 404. As for all requests, the path is never logged."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from cachetools import LRUCache
from starlette.requests import Request
from starlette.responses import Response

from proxy.engines.local_samples import find_model
from proxy.engines.remote_engine import RemoteEngine
from proxy.errors import NoPlace, NotFound
from proxy.features.jobs.remote import records
from proxy.features.jobs.remote.links import PATH, LinkReply, Links, SampleLink, nothing_here
from proxy.helpers.limiter import FairLimiter
from proxy.http.resource import Resource, endpoint
from proxy.storage.store import Store
from speech_engine import EngineError, Sample, Samples, SpeechJob
from speech_engine.host.sample_cache import SampleLoan

MOST_READS = 6
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
        if link is None or (reads := self._reads.get(link, 0)) >= MOST_READS:
            raise nothing_here()
        async with self._places.turn(link.run):
            self._reads[link] = reads + is_read
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
