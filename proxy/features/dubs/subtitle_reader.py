"""Reads subtitles in processes: one for each file, one at a time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.audio.recordings.recording import UnusableRecording
from proxy.errors import InvalidRequest
from proxy.features.dubs.child_orders import RefusedSubtitles, SubtitleAnswer, SubtitleOrder
from proxy.features.dubs.subtitle_text import Subtitles
from proxy.features.jobs.core.file_reader import FileReader
from proxy.file_store.sealed_blobs import StoredFile
from proxy.helpers.limiter import FairLimiter

MOST_BYTES = 8 * 1024 * 1024
_decoder: msgspec.msgpack.Decoder[SubtitleAnswer] = msgspec.msgpack.Decoder(SubtitleAnswer)


class SubtitleReader(FileReader):
    module = "proxy.features.dubs.reading_child"

    def __init__(self) -> None:
        super().__init__(FairLimiter("subtitles that are read", places=8, of_account=2, at_once=1))

    async def read_turns(self, account: str, file: StoredFile, field: str, cast: Sequence[str]) -> Subtitles:
        """Read the subtitles of a field. Raises InvalidRequest, DecodingFailed, NoPlace and VaultFailed."""
        if file.size > MOST_BYTES:
            raise unusable(field, f"they have more than {MOST_BYTES} bytes")
        try:
            answer: SubtitleAnswer = await self.read_file(account, SubtitleOrder(cast), file, _decoder.decode)
        except UnusableRecording:
            raise unusable(field, "to read them takes too long, or they are made to harm") from None
        if isinstance(answer, RefusedSubtitles):
            raise unusable(field, answer.why)
        return answer


def unusable(field: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{field}': {why}.", param=field, code="unusable_subtitles")
