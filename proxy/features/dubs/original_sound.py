"""Decodes originals in processes: one for each, which reads the file once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

import msgspec

from proxy.audio.formats import SoundFailed
from proxy.audio.recordings.apart import MOST_TRIES, read_apart
from proxy.audio.recordings.recording import UnusableRecording
from proxy.errors import InvalidRequest
from proxy.features.dubs.child_orders import Counted, SoundAnswer, SoundOrder
from proxy.features.dubs.request import ORIGINAL
from proxy.features.dubs.subtitle_reader import ask_with_file
from proxy.file_store.sealed_blobs import StoredFile
from proxy.helpers.helper import Helper, HelperFailed, HelperSpec
from proxy.helpers.limiter import FairLimiter

_FILE_TIMEOUT_S = 600.0
_PART_TIMEOUT_S = 60.0
_SPEC = HelperSpec(
    module="proxy.features.dubs.sound_child",
    is_for_one=True,
    most_tries=MOST_TRIES,
    again_within_s=4.0,
    most_answer_bytes=16 * 1024 * 1024,
)
_decoder: msgspec.msgpack.Decoder[SoundAnswer] = msgspec.msgpack.Decoder(SoundAnswer)


class OriginalSounds:
    """Decodes the originals of a worker. Close it."""

    def __init__(self) -> None:
        self._places = FairLimiter("originals that are read", places=6, of_account=1, at_once=1)
        self._helper = Helper(_SPEC)

    async def measure(self, account: str, file: StoredFile) -> Counted:
        """Count the samples of an original. Raises InvalidRequest, DecodingFailed, NoPlace, VaultFailed."""
        order = msgspec.msgpack.encode(SoundOrder())
        async with self._places.hold_turn(account):
            measuring = self._helper.run_with_process(
                partial(ask_with_file, order, file), within_s=_FILE_TIMEOUT_S
            )
            try:
                counted = await read_apart(measuring, _decoder.decode)
            except UnusableRecording as refused:
                message = f"Invalid '{ORIGINAL}': {refused}."
                raise InvalidRequest(message, param=ORIGINAL, code="unusable_original") from None
        assert isinstance(counted, Counted), "any other answer is raised"
        return counted

    async def sound_parts(self, file: StoredFile, order: SoundOrder) -> AsyncGenerator[bytes, None]:
        """Yield the sound of an original at the rate of the order. Raises SoundFailed, VaultFailed."""
        try:
            async with self._helper.use_process() as life:
                async with asyncio.timeout(_FILE_TIMEOUT_S):
                    part = await ask_with_file(msgspec.msgpack.encode(order), file, life)
                while part:
                    yield part
                    async with asyncio.timeout(_PART_TIMEOUT_S):
                        part = await life.receive()
        except (HelperFailed, TimeoutError) as failed:
            raise SoundFailed(f"the original cannot be decoded: {type(failed).__name__}") from None

    async def close_process(self) -> None:
        await self._helper.close()
