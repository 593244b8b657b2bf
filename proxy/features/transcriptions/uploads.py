"""The recording of a request: read from its form, decoded in another process, and sent to an engine in
pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from hashlib import sha256

import msgspec

from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.recording import SpeechRecording, UnusableRecording
from proxy.config.fields import missing_parameter
from proxy.errors import InvalidRequest, RequestFailed, RequestTooLarge
from proxy.features.transcriptions import long_recordings
from proxy.features.transcriptions.form import FIELDS, FILE
from proxy.features.transcriptions.long_decoder import LONGEST, LengthLimit, LongDecoder, unreadable
from proxy.features.transcriptions.long_recordings import LongSurvey, StretchRequest
from proxy.helpers.limiter import FairLimiter, FairPlace
from proxy.http.connection import Connection
from proxy.http.form import RequestForm, stream_form
from proxy.ledger import Payer
from speech_engine.hearing import HEARING_HZ
from speech_engine.pcm import PcmInMemory, PcmReader, RepeatablePcm
from speech_engine.redacted import Redacted

MOST_FILE_BYTES = 25 * 1024 * 1024
MOST_S = 1800
"""Longer recordings are jobs."""
_LONGEST = LengthLimit(
    MOST_S, f"{MOST_S // 60} minutes. A job of kind transcription takes up to {LONGEST.text}"
)
_LEAST_S = 0.1
_UPLOAD_TIMEOUT_S = 600.0
_ALL_BYTES = 512 * 1024 * 1024
"""The most bytes of all recordings under way in one worker, with their sound: at least ten of the largest."""
_SOUND_BYTES = 2 * HEARING_HZ * long_recordings.MOST_MS // 1000
"""The bytes of the longest stretch as sound."""


class DecodedUpload(Redacted, msgspec.Struct, frozen=True):
    """A decoded upload. `digest` is the same for the same file."""

    pcm: RepeatablePcm
    seconds: float
    digest: str


class Uploads:
    """The recordings of a worker's transcriptions. Each byte is a place."""

    def __init__(self, decoder: Decoder, long_decoder: LongDecoder) -> None:
        self._places = FairLimiter("transcriptions", places=_ALL_BYTES, of_account=_ALL_BYTES, at_once=1)
        self._decoder = decoder
        self._long_decoder = long_decoder

    def take(self, account: str) -> FairPlace:
        """Take a place for the largest upload. Raises NoPlace."""
        return self._places.reserve_place(account, MOST_FILE_BYTES + _SOUND_BYTES)

    async def read_upload(
        self, connection: Connection, place: FairPlace, fields: Collection[str] = FIELDS
    ) -> tuple[RequestForm, bytes]:
        """Read a form with its file. Raises InvalidRequest, RequestTooLarge and what `stream_form` raises."""
        file = _FileSink()
        try:
            form = await stream_form(connection, {FILE: file}, fields, _UPLOAD_TIMEOUT_S, _reserve_nothing)
        except (InvalidRequest, RequestTooLarge) as failure:
            if isinstance(failure, InvalidRequest) and failure.code != "file_too_large":
                raise
            declared = connection.header(b"content-length") or f"more than {MOST_FILE_BYTES}"
            message = f"Maximum content size limit ({MOST_FILE_BYTES}) exceeded ({declared} bytes read)"
            raise RequestTooLarge(message, param=FILE) from None
        if FILE not in form.files:
            raise missing_parameter(FILE, ": the recording, as a file.")
        place.shrink_to(len(file.data) + _SOUND_BYTES)
        return form, bytes(file.data)

    async def decode_upload(self, payer: Payer, file: bytes) -> DecodedUpload:
        """Decode a file. Raises InvalidRequest, DecodingFailed and NoPlace."""
        account = payer.account
        digest = (await asyncio.to_thread(sha256, file)).hexdigest()
        try:
            async with self._decoder.turn(account, waits=True):
                short = await self._decoder.decode(file)
                if not short.is_cut:
                    return await _short_upload(short, digest)
        except UnusableRecording as error:
            raise unreadable(error) from None
        survey = await self._long_decoder.survey(payer, file, _LONGEST, waits=True)
        pcm = _Stretches(self._long_decoder, account, file, survey)
        return DecodedUpload(pcm, survey.whole_ms / 1000, digest)


class _FileSink:
    most_bytes = MOST_FILE_BYTES

    def __init__(self) -> None:
        self.data = bytearray()
        self.write = self.data.extend


async def _reserve_nothing(_size: int) -> None:
    """Do nothing: the place is for the largest upload."""


async def _short_upload(short: SpeechRecording, digest: str) -> DecodedUpload:
    from proxy.audio.recordings.derivation import whole_sound

    if short.seconds < _LEAST_S:
        raise InvalidRequest(
            f"Invalid '{FILE}': it is too short; the least is {_LEAST_S} seconds.",
            param=FILE,
            code="audio_too_short",
        )
    pcm = await asyncio.to_thread(whole_sound, short.master, HEARING_HZ)
    return DecodedUpload(PcmInMemory(pcm, HEARING_HZ), short.seconds, digest)


class _Stretches(RepeatablePcm):
    """A long recording. One stretch of it is in memory at a time, and each reading decodes it again."""

    def __init__(self, decoder: LongDecoder, account: str, file: bytes, survey: LongSurvey) -> None:
        self._decoder = decoder
        self._account = account
        self._file = file
        self._survey = survey

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        levels, whole_ms = self._survey.levels, self._survey.whole_ms
        for first, last in await asyncio.to_thread(long_recordings.cut_stretches, levels, whole_ms):
            request = StretchRequest(self._file, first, last, self._survey.takes_first)
            try:
                pcm = await self._decoder.stretch(self._account, request, HEARING_HZ)
            except RequestFailed as error:
                self.failure = error
                raise
            async for piece in PcmReader(pcm, 2 * HEARING_HZ):
                yield piece
