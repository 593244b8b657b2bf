"""List the voices of a MiniMax account, make new voices from recordings, and delete voices."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from plugins.minimax import wire
from plugins.minimax.api import Api, Query
from plugins.minimax.models import FIRST_USE_MODEL, MP3, SAMPLE_RATE_HZ, language_name
from speech_engine import (
    CloneInfo,
    CloneList,
    CloneRequest,
    CloneSample,
    HttpFile,
    HttpForm,
    VoiceInfo,
    errors,
)
from speech_engine.cloud import OURS

_CLONE = "/v1/voice_clone"
_FILES = "/v1/files/list"
_PURPOSE = "voice_clone"
_SPEECH = "/v1/t2a_v2"
_ANSWER_S = 30.0
_CLONE_S = 120.0
_LOWEST_BITRATE = 32_000
_VOICE_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{6,254}[A-Za-z0-9]")
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
    system: tuple[wire.VoiceRow, ...]
    own: tuple[wire.VoiceRow, ...]

    @property
    def ids(self) -> list[str]:
        return [row.voice_id for row in (*self.system, *self.own)]

    def listed(self, *, with_own: bool) -> tuple[VoiceInfo, ...]:
        """Return the system's voices. If `with_own` is set, add the account's own voices.

        The operator sets it if all accounts may use these voices. Voices that were cloned through this server
        are never listed, because each has an owner.
        """
        own = [replace(_voice(row), is_cloned=True) for row in self.own if with_own]
        by_id = {info.id: info for info in (*map(_voice, self.system), *own)}
        return tuple([info for id_, info in by_id.items() if not id_.startswith(OURS)])


async def known(api: Api) -> KnownVoices:
    found = await api.request("/v1/get_voice", wire.VoicesBody("all"), wire.VoicesAnswer, _ANSWER_S)
    own = (*(found.voice_cloning or ()), *(found.voice_generation or ()))
    return KnownVoices((*(found.system_voice or ()),), own)


class Cloner:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def clone(self, request: CloneRequest) -> str:
        """Make a voice from one recording under the request's name, let it speak once, and return its id.

        MiniMax deletes a clone that has not spoken for a week, and lists it only after its first speech.
        """
        if len(request.samples) != 1:
            raise errors.UnusableSample(
                "MiniMax makes a voice of exactly one recording, of 10 seconds to 5 minutes."
            )
        if not _VOICE_ID.fullmatch(request.name):
            raise errors.EngineFailed("The name of a new voice is no id for MiniMax.")
        file_id = await self._upload(request.name, request.samples[0])
        body = wire.CloneBody(
            file_id=file_id,
            voice_id=request.name,
            language_boost=UNSET if request.language is None else language_name(request.language),
            need_noise_reduction=request.denoise,
        )
        is_taken = False
        try:
            await self._api.request(_CLONE, body, wire.Answer, _CLONE_S)
        except errors.CloneNameUsed:
            # Only we use this id, so our own earlier request has made the voice, and its answer was lost.
            is_taken = True
        finally:
            # If this fails, the next find_clone finds the recording by the clone's name, and deletes it.
            with suppress(errors.EngineError):
                await self._delete_file(file_id)
        if not await self._speaks(body.voice_id):
            if is_taken:
                raise errors.CloneNameUsed("MiniMax had a voice of this id, and never gives an id twice.")
            raise errors.EngineFailed("MiniMax does not know the voice that it has just made.")
        return body.voice_id

    async def find_clone(self, name: str) -> str | None:
        """Return the id of the clone, or None. A clone that has not spoken yet is on no list: let it speak.

        A recording that was uploaded for it, and is still there, is deleted.
        """
        for file in await self._recordings(f"{name}."):
            await self._delete_file(file.file_id)
        return name if await self._speaks(name) else None

    async def list_clones(self, prefix: str) -> CloneList:
        """List the clones that have spoken, and uploaded recordings. MiniMax limits the number of neither."""
        answer = await self._api.request(
            "/v1/get_voice", wire.VoicesBody("voice_cloning"), wire.VoicesAnswer, _ANSWER_S
        )
        ids = [row.voice_id for row in answer.voice_cloning or ()]
        return CloneList(
            tuple(CloneInfo(id_, id_) for id_ in ids if id_.startswith(prefix)),
            recordings=tuple(
                CloneInfo(str(file.file_id), file.filename.partition(".")[0])
                for file in await self._recordings(prefix)
            ),
        )

    async def _speaks(self, id_: str) -> bool:
        """Let a voice speak one short word, and tell whether the account has the voice."""
        body = wire.SpeechBody(
            model=FIRST_USE_MODEL,
            text="Hi.",
            stream=False,
            voice_setting=wire.VoiceSetting(speed=1.0, vol=1.0, pitch=0, voice_id=id_),
            audio_setting=wire.AudioSetting(sample_rate=SAMPLE_RATE_HZ, format=MP3, bitrate=_LOWEST_BITRATE),
            language_boost="auto",
        )
        try:
            await self._api.request(_SPEECH, body, wire.SpeechAnswer, _CLONE_S)
        except errors.VoiceNotFound:
            return False
        return True

    async def delete_voice(self, id: str) -> None:
        await self._api.request("/v1/delete_voice", wire.DeleteBody(id), wire.Answer, _ANSWER_S)

    async def _upload(self, name: str, sample: CloneSample) -> int:
        suffix = _SUFFIXES.get(sample.media_type.partition(";")[0].strip().lower())
        if suffix is None:
            raise errors.UnusableSample("MiniMax takes recordings as MP3, M4A or WAV.")
        if len(sample.data) > _MOST_BYTES:
            raise errors.UnusableSample("MiniMax takes recordings of at most 20 MB.")
        file = HttpFile("file", f"{name}.{suffix}", sample.data, sample.media_type)
        form = HttpForm((("purpose", _PURPOSE),), (file,))
        answer = await self._api.request("/v1/files/upload", form, wire.UploadAnswer, _CLONE_S)
        if answer.file is None:
            raise errors.EngineFailed("MiniMax took a file without saying what it is called.")
        return answer.file.file_id

    async def _recordings(self, prefix: str) -> list[wire.ListedFile]:
        answer = await self._api.request(_FILES, Query({"purpose": _PURPOSE}), wire.FilesAnswer, _ANSWER_S)
        return [file for file in answer.files or () if file.filename.startswith(prefix)]

    async def _delete_file(self, file_id: int) -> None:
        await self._api.request("/v1/files/delete", wire.FileBody(file_id), wire.Answer, _ANSWER_S)


def _voice(row: wire.VoiceRow) -> VoiceInfo:
    return VoiceInfo(
        id=row.voice_id,
        name=row.voice_name or row.voice_id,
        description=" ".join(" ".join(row.description or ()).split()),
    )
