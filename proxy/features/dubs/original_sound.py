"""Decodes originals in processes: one for each, which reads the file once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from proxy.audio.formats import SoundFailed
from proxy.audio.recordings.recording import UnusableRecording
from proxy.errors import InvalidRequest
from proxy.features.dubs.child_orders import Counted, SoundAnswer, SoundOrder
from proxy.features.dubs.request import ORIGINAL
from proxy.features.jobs.core.file_reader import FileReader, send_file
from proxy.file_store.sealed_blobs import StoredFile
from proxy.helpers.helper import HelperFailed
from proxy.helpers.limiter import FairLimiter

_PART_TIMEOUT_S = 60.0
_decoder: msgspec.msgpack.Decoder[SoundAnswer] = msgspec.msgpack.Decoder(SoundAnswer)


class OriginalSounds(FileReader):
    module = "proxy.features.dubs.sound_child"
    within_s = 600.0

    def __init__(self) -> None:
        super().__init__(FairLimiter("originals that are read", places=6, of_account=1, at_once=1))

    async def measure(self, account: str, file: StoredFile) -> Counted:
        """Count the samples of an original. Raises InvalidRequest, DecodingFailed, NoPlace, VaultFailed."""
        try:
            counted = await self.read_file(account, SoundOrder(), file, _decoder.decode)
        except UnusableRecording as refused:
            message = f"Invalid '{ORIGINAL}': {refused}."
            raise InvalidRequest(message, param=ORIGINAL, code="unusable_original") from None
        assert isinstance(counted, Counted), "any other answer is raised"
        return counted

    async def sound_parts(self, file: StoredFile, order: SoundOrder) -> AsyncGenerator[bytes, None]:
        """Yield the sound of an original at the rate of the order. Raises SoundFailed, VaultFailed."""
        try:
            async with self.helper.use_process() as life:
                async with asyncio.timeout(self.within_s):
                    part = await send_file(order, file, life)
                while part:
                    yield part
                    async with asyncio.timeout(_PART_TIMEOUT_S):
                        part = await life.receive()
        except (HelperFailed, TimeoutError) as failed:
            raise SoundFailed(f"the original cannot be decoded: {type(failed).__name__}") from None
