"""The form of one long recording of a voice, which is cut into clips for trainings. The feature jobs cuts it,
with a subclass of `NoCutting` that it shares by `AppContext.with_shared`."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.catalogue.voice_records import VoiceRecord
from proxy.errors import NotFound
from proxy.http.body import LanguageTag, Title
from proxy.http.endpoint import Query, Struct
from proxy.speech.usage_tag import Tag

CUT = Query("cut", "`true`: the file is one long recording, and is cut into clips for trainings.", ("true",))
MOST_CLIPS = 1000
"""The most clips of a voice for trainings. Its other recordings do not count."""


class CutForm(msgspec.Struct, frozen=True, kw_only=True):
    """With `cut=true`: the recording `file` of the voice's speaker, who reads for a training, of 3 to 40
    minutes and up to 25 MiB. Without a `language`, it is that of the voice."""

    language: LanguageTag | None = None
    title: Title = ""
    tag: Tag | None = None

    def __repr__(self) -> str:
        return "<CutForm>"


class NoCutting:
    """The cutting of a server without jobs. `accepted` is the body of a 202."""

    accepted: Struct | None = None

    async def cut(self, request: Request, voice: VoiceRecord) -> Response:
        """Begin a job that cuts the recording of a request. Raises RequestFailed."""
        del request, voice
        raise NotFound("This server has no jobs, which cut recordings.", param="cut", code="feature_off")
