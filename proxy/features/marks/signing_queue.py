"""One signing process, for its worker: the queue, and the files that pass through it in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Protocol

import msgspec

from proxy.features.marks.signing import Signed, SignRequest, Unsigned, decode_answer
from proxy.helpers.helper import Helper, HelperFailed, HelperSpec, Life
from proxy.helpers.limiter import FairPlace
from proxy.speech.speech_stream import FileSink
from speech_engine import EngineError

LARGE_BYTES = 2 * 2**20
"""Above, a file takes the process for longer than ten others."""

_PIECE_BYTES = 64 * 1024
_NETWORK_VARIABLES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)

FILE_GONE = Unsigned("the file was gone")
"""Its client left while it was sent, and waits for no signature."""


class FileSource(Protocol):
    """A whole file that can be read several times."""

    @property
    def size(self) -> int: ...

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield all of it. Raises EngineError if it is gone."""
        ...


class SigningQueue(Helper):
    """Signs requests one by one. With `has_network`, its process may ask for time stamps."""

    def __init__(self, *, has_network: bool) -> None:
        super().__init__(
            HelperSpec(
                module="proxy.features.marks.signing_child",
                name="the signing process",
                arguments=("network",) if has_network else (),
                variables=_NETWORK_VARIABLES if has_network else (),
                most_tries=2,
            )
        )
        self._large = asyncio.Lock()

    @asynccontextmanager
    async def turn_of(self, place: FairPlace | None, size: int) -> AsyncIterator[None]:
        """Wait for the turn to `sign` so many bytes, and hold it. A file has a place, and a digest none.

        Files of one account go one by one. Only one large file waits among the small ones, so these wait for
        one of them at most.
        """
        large = self._large if size > LARGE_BYTES else nullcontext()
        async with nullcontext() if place is None else place.hold_turn(), large, self.turn:
            yield

    async def sign(
        self,
        request: SignRequest,
        within_s: float,
        sources: Sequence[FileSource] = (),
        sink: FileSink | None = None,
    ) -> Signed | Unsigned:
        """Send the request to the process, and to a second one if the first dies. The caller has the turn.

        The sources are the file and its parent. Raises the errors of the sink.
        """

        async def talk(life: Life) -> Signed | Unsigned | EngineError:
            if sink is not None:
                await sink.clear()
            return await _talk(life, request, sources, sink)

        try:
            answer = await self.run_with_process(talk, within_s=within_s)
        except TimeoutError:
            return Unsigned("the signing process did not answer in time")
        except HelperFailed as failed:
            return Unsigned("the signing process died twice" if failed.cause == "died" else str(failed))
        if isinstance(answer, EngineError):
            raise answer
        return answer


async def _talk(
    life: Life, request: SignRequest, sources: Sequence[FileSource], sink: FileSink | None
) -> Signed | Unsigned | EngineError:
    """Return the answer, or the failure of the sink. If the sink or the source fails, the exchange still
    runs to its end, because others need the process."""
    await life.send(msgspec.msgpack.encode(request))
    is_written = await _send(life, sources, request.file_bytes + request.parent_bytes)
    try:
        answer = decode_answer(await life.receive())
    except msgspec.MsgspecError:
        raise HelperFailed("the signing process talks nonsense", "died") from None
    failure = None
    if isinstance(answer, Signed) and sink is not None:
        failure = await _receive(life, answer.file_bytes, sink)
    return failure or (answer if is_written else FILE_GONE)


async def _send(life: Life, sources: Sequence[FileSource], size: int) -> bool:
    """Send files, or as many zeros if they are gone. Return whether the files were sent."""
    left = size
    try:
        for source in sources:
            async for piece in source.pieces():
                left -= len(piece)
                await life.send(piece)
    except EngineError:
        pass  # zeros fill the rest, so that the exchange ends; False tells the caller
    is_written = not left
    while left:
        left -= (count := min(left, _PIECE_BYTES))
        await life.send(bytes(count))
    return is_written


async def _receive(life: Life, size: int, sink: FileSink) -> EngineError | None:
    failure: EngineError | None = None
    while size > 0:
        data = await life.receive()
        size -= len(data)
        try:
            if failure is None:
                await sink.add(data)
        except EngineError as error:
            failure = error
    return failure
