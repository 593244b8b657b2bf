"""The server's side of long recordings: one at a time, decoded in a process of its own, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from proxy.audio.recordings.recording import LongEnd, LongSound, UnusableRecording
from proxy.helpers.helper import Helper, HelperFailed, HelperSpec, Life
from proxy.helpers.places import FairPlaces

MOST_WAITING = 4
"""Each of them keeps an upload of 10 MiB in memory."""
WITHIN_S = 300.0
_MOST_FRAME_BYTES = 8 << 20

_SPEC = HelperSpec(
    module="proxy.audio.recordings.long_decoding_child",
    is_for_one=True,
    most_answer_bytes=_MOST_FRAME_BYTES,
)
_decode_part = msgspec.msgpack.Decoder(LongSound | LongEnd).decode

_T = TypeVar("_T")


class LongRecordingRefused(Exception):
    """A recording is longer than an hour."""


class LongDecoder:
    """Decodes long recordings. Close it."""

    def __init__(self) -> None:
        self._places = FairPlaces("long recordings", places=1 + MOST_WAITING, of_account=2, at_once=1)
        self._helper = Helper(_SPEC)

    def __repr__(self) -> str:
        return f"<LongDecoder, {self._places.taken} begun>"

    @asynccontextmanager
    async def decoded(self, account: str, data: bytes) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """Give the sound of a file, 16-bit mono at 24 kHz, in the account's turn, until the block is left.

        Raises NoPlace; and while it is read UnusableRecording, LongRecordingRefused.
        """
        async with self._places.turn(account):
            sound = self._sound(data)
            try:
                yield sound
            finally:
                await sound.aclose()

    async def close(self) -> None:
        await self._helper.close()

    async def _sound(self, data: bytes) -> AsyncGenerator[bytes, None]:
        until = asyncio.get_running_loop().time() + WITHIN_S
        async with self._life() as life:
            await _within(until, life.send(data))
            while isinstance(part := _decode_part(await _within(until, life.receive())), LongSound):
                yield part.pcm
        if part.is_too_long:
            raise LongRecordingRefused
        if part.fault is not None:
            raise UnusableRecording.of(part.fault)

    @asynccontextmanager
    async def _life(self) -> AsyncIterator[Life]:
        try:
            async with self._helper.use() as life:
                yield life
        except (HelperFailed, msgspec.MsgspecError):
            raise UnusableRecording.of("lost") from None


async def _within(until: float, talk: Awaitable[_T]) -> _T:
    """Return what the process says. Nobody waits for it beyond this moment."""
    try:
        async with asyncio.timeout_at(until):
            return await talk
    except TimeoutError:
        raise UnusableRecording.of("time") from None


@asynccontextmanager
async def open_long_decoder() -> AsyncIterator[LongDecoder]:
    decoder = LongDecoder()
    try:
        yield decoder
    finally:
        await decoder.close()
