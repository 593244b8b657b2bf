"""List the voices of a MiniMax account, make new voices from recordings, and delete voices."""

from __future__ import annotations

import secrets
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from plugins.minimax import faults, languages
from plugins.minimax.api import Api
from plugins.minimax.wire import (
    Answer,
    CloneBody,
    DeleteBody,
    UploadAnswer,
    VoiceRow,
    VoicesAnswer,
    VoicesBody,
)
from speech_engine import (
    CloneRequest,
    CloneSample,
    EngineFailed,
    HttpFile,
    HttpForm,
    UnusableSample,
    VoiceInfo,
)

_OURS = "voxgate-"
_CLONE = "/v1/voice_clone"
_ANSWER_S = 30.0
_CLONE_S = 120.0
_MOST_BYTES = 20 * 1024 * 1024
_SUFFIXES = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}


class KnownVoices(NamedTuple):
    """All voices with which the account can speak."""

    system: tuple[VoiceRow, ...]
    own: tuple[VoiceRow, ...]

    @property
    def ids(self) -> list[str]:
        return [row.voice_id for row in (*self.system, *self.own)]

    def listed(self, *, with_own: bool) -> tuple[VoiceInfo, ...]:
        """Return the system's voices. If `with_own` is set, add the account's own voices.

        The operator sets it if everybody may use these voices. Voices that were cloned through this server
        are never listed, because each has an owner.
        """
        rows = (*self.system, *(self.own if with_own else ()))
        by_id = {row.voice_id: _voice(row) for row in rows if not row.voice_id.startswith(_OURS)}
        return tuple(by_id.values())


async def known(api: Api) -> KnownVoices:
    found = await api.ask("/v1/get_voice", VoicesBody("all"), VoicesAnswer, _ANSWER_S)
    own = (*(found.voice_cloning or ()), *(found.voice_generation or ()))
    return KnownVoices((*(found.system_voice or ()),), own)


async def cloned(api: Api, request: CloneRequest) -> str:
    """Make a voice from one recording and return its id."""
    if len(request.samples) != 1:
        raise UnusableSample("MiniMax makes a voice of exactly one recording, of 10 seconds to 5 minutes.")
    body = CloneBody(
        file_id=await _uploaded(api, request.samples[0]),
        voice_id=new_id(),
        language_boost=UNSET if request.language is None else languages.boost(request.language),
        need_noise_reduction=request.denoise,
    )
    try:
        await api.ask(_CLONE, body, Answer, _CLONE_S)
    except faults.IdTaken:
        # Somebody else has taken the id, because we never send one of our ids twice.
        body = msgspec.structs.replace(body, voice_id=new_id())
        await api.ask(_CLONE, body, Answer, _CLONE_S)
    return body.voice_id


async def deleted(api: Api, id_: str) -> None:
    await api.ask("/v1/delete_voice", DeleteBody(id_), Answer, _ANSWER_S)


def new_id() -> str:
    """Return a random id.

    An id is never made from a name: names can be used again, and the ids of deleted voices cannot.
    """
    return _OURS + secrets.token_hex(12)


async def _uploaded(api: Api, sample: CloneSample) -> int:
    suffix = _SUFFIXES.get(sample.media_type.partition(";")[0].strip().lower())
    if suffix is None:
        raise UnusableSample("MiniMax takes recordings as MP3, M4A or WAV.")
    if len(sample.data) > _MOST_BYTES:
        raise UnusableSample("MiniMax takes recordings of at most 20 MB.")
    file = HttpFile("file", f"sample.{suffix}", sample.data, sample.media_type)
    form = HttpForm((("purpose", "voice_clone"),), (file,))
    answer = await api.ask("/v1/files/upload", form, UploadAnswer, _CLONE_S)
    if answer.file is None:
        raise EngineFailed("MiniMax took a file without saying what it is called.")
    return answer.file.file_id


def _voice(row: VoiceRow) -> VoiceInfo:
    return VoiceInfo(
        id=row.voice_id,
        name=row.voice_name or row.voice_id,
        description=" ".join(" ".join(row.description or ()).split()),
    )
