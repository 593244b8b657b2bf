"""Instant voice clones: make a voice from recordings, and delete it again."""

from __future__ import annotations

import msgspec

from plugins.elevenlabs import listings
from plugins.elevenlabs.api import Api, decoded, voice_id
from speech_engine import errors
from speech_engine.cloning import CloneInfo, CloneList, CloneRequest
from speech_engine.http import HttpFile, HttpForm
from speech_engine.values import EngineVoice

_UPLOAD_S = 120.0
_UNVERIFIED = "ElevenLabs wants to know who speaks in these recordings, and cannot be told."
_ENDINGS = {"audio/mpeg": "mp3", "audio/wav": "wav", "audio/flac": "flac", "audio/ogg": "ogg"}


class _Added(msgspec.Struct, frozen=True):
    voice_id: str
    requires_verification: bool = False


class Cloner:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def clone(self, request: CloneRequest) -> str:
        """Add a voice and return its id. There is only one try: a second could leave a voice twice."""
        upload = self._api.exchange("POST", "/v1/voices/add", body=_form(request), within_s=_UPLOAD_S)
        try:
            async with upload as answer:
                added = decoded(_Added, await answer.read())
        except errors.UnsupportedText as error:
            raise errors.UnusableSample(error.message, detail=error.detail) from None
        except errors.EngineStumbled as error:
            raise errors.EngineFailed(error.message, detail=error.detail) from None
        try:
            found = voice_id(EngineVoice(added.voice_id))
        except errors.VoiceNotFound:
            raise errors.EngineFailed("ElevenLabs gave a new voice an id that cannot be one.") from None
        if added.requires_verification:
            await self.delete_voice(found)
            raise errors.UnusableSample(_UNVERIFIED)
        return found

    async def find_clone(self, name: str) -> str | None:
        """Return the id of the voice with this name. Only the name is ours: ElevenLabs makes ids itself."""
        for listed in await self._search(name):
            if listed.name == name:
                if listed.voice_verification is not None and listed.voice_verification.requires_verification:
                    await self.delete_voice(listed.voice_id)
                    raise errors.UnusableSample(_UNVERIFIED)
                return listed.voice_id
        return None

    async def list_clones(self, prefix: str) -> CloneList:
        """List our clones, and count the room that the account has left."""
        found = tuple(
            CloneInfo(each.voice_id, each.name)
            for each in await self._search(prefix)
            if each.name is not None and each.name.startswith(prefix)
        )
        subscription = await self._api.read_json(listings.Subscription, "/v1/user/subscription")
        if subscription is None:
            return CloneList(found)
        return CloneList(found, subscription.slots_left, subscription.additions_left)

    async def delete_voice(self, id: str) -> None:
        async with self._api.exchange("DELETE", f"/v1/voices/{voice_id(EngineVoice(id))}") as answer:
            await answer.read()

    async def _search(self, text: str) -> tuple[listings.ListedVoice, ...]:
        """Return the cloned voices that a search for a name finds. The search also looks at other fields."""
        found, is_whole = await listings.find_voices(self._api, {"search": text, "category": "cloned"})
        if found is None:
            raise errors.EngineCannot(
                "The ElevenLabs key may not list voices, so its clones cannot be found."
            )
        if not is_whole:
            raise errors.EngineFailed("ElevenLabs has more voices than can be looked through.")
        return found


def _form(request: CloneRequest) -> HttpForm:
    fields = [("name", request.name), ("remove_background_noise", "true" if request.denoise else "false")]
    if request.language is not None:
        fields.append(("labels", msgspec.json.encode({"language": request.language}).decode()))
    files = []
    for number, sample in enumerate(request.samples, 1):
        name = f"sample-{number}.{_ENDINGS.get(sample.media_type, 'bin')}"
        files.append(HttpFile("files", name, sample.data, sample.media_type))
    return HttpForm(tuple(fields), tuple(files))
