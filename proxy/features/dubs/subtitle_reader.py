"""Reads subtitles in processes: one for each file, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

import msgspec

from proxy.audio.recordings.apart import MOST_TRIES, read_apart
from proxy.audio.recordings.recording import UnusableRecording
from proxy.errors import InvalidRequest
from proxy.features.dubs.child_orders import RefusedSubtitles, SubtitleAnswer, SubtitleOrder
from proxy.features.dubs.subtitle_text import Subtitles
from proxy.file_store.sealed_blobs import StoredFile
from proxy.helpers.helper import Helper, HelperSpec, Life
from proxy.helpers.limiter import FairLimiter

MOST_BYTES = 8 * 1024 * 1024
_READ_TIMEOUT_S = 60.0
_SPEC = HelperSpec(
    module="proxy.features.dubs.reading_child",
    is_for_one=True,
    most_tries=MOST_TRIES,
    again_within_s=4.0,
    most_answer_bytes=2 * MOST_BYTES,
)
_decoder: msgspec.msgpack.Decoder[SubtitleAnswer] = msgspec.msgpack.Decoder(SubtitleAnswer)


class SubtitleReader:
    """Reads the subtitles of a worker. Close it."""

    def __init__(self) -> None:
        self._places = FairLimiter("subtitles that are read", places=8, of_account=2, at_once=1)
        self._helper = Helper(_SPEC)

    async def read_turns(self, account: str, file: StoredFile, field: str, cast: Sequence[str]) -> Subtitles:
        """Read the subtitles of a field. Raises InvalidRequest, DecodingFailed, NoPlace and VaultFailed."""
        if file.size > MOST_BYTES:
            raise unusable(field, f"they have more than {MOST_BYTES} bytes")
        order = msgspec.msgpack.encode(SubtitleOrder(cast))
        async with self._places.hold_turn(account):
            reading = self._helper.run_with_process(
                partial(ask_with_file, order, file), within_s=_READ_TIMEOUT_S
            )
            try:
                answer: SubtitleAnswer = await read_apart(reading, _decoder.decode)
            except UnusableRecording:
                raise unusable(field, "to read them takes too long, or they are made to harm") from None
        if isinstance(answer, RefusedSubtitles):
            raise unusable(field, answer.why)
        return answer

    async def close_process(self) -> None:
        await self._helper.close()


def unusable(field: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{field}': {why}.", param=field, code="unusable_subtitles")


async def ask_with_file(order: bytes, file: StoredFile, life: Life) -> bytes:
    """Send an order to a process, and the file once it is confined. Raises HelperFailed, VaultFailed."""
    await life.ask(order)
    async with aclosing(file.parts(range(file.size))) as parts:
        async for part in parts:
            if part:
                await life.send(part)
    return await life.ask(b"")
