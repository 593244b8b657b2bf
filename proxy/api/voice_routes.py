"""The routes of all voices: /v1/audio/voices, and /v1/voices, which some clients use."""

from __future__ import annotations

from proxy.api.speech import SPEECH_FAILURES, SpeechEndpoint
from proxy.api.voice_entries import VoiceEntry, VoiceList, VoiceMatches, VoiceNames
from proxy.api.voice_preview import PREVIEW_QUERIES, Preview
from proxy.api.voices import LIST_QUERIES, Voices, VoiceTools
from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import InvalidRequest, NotFound
from proxy.http.endpoint import Endpoint, json

ROOTS = (("/v1/audio/voices", ""), ("/v1/voices", "_by_short_path"))
"""Each with what comes after the names of its operations."""


def routes(tools: VoiceTools, speech: SpeechEndpoint, default_model: str) -> list[Endpoint]:
    voices, preview = Voices(tools), Preview(tools, speech, default_model)
    return [endpoint for root, suffix in ROOTS for endpoint in _routes(root, suffix, voices, preview)]


def _routes(root: str, suffix: str, voices: Voices, preview: Preview) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            root,
            voices.list_,
            f"list_voices{suffix}",
            "All voices, the account's own first",
            json(VoiceList, VoiceMatches, VoiceNames),
            access="catalogue",
            queries=LIST_QUERIES,
            failures=(InvalidRequest,),
            pace="list",
        ),
        Endpoint(
            "GET",
            f"{root}/{{id:path}}/preview",
            preview,
            f"preview_voice{suffix}",
            "A sentence in the voice's language, spoken and charged like any speech",
            dict.fromkeys(MEDIA_TYPES.values(), ()),
            queries=PREVIEW_QUERIES,
            failures=(InvalidRequest, NotFound, *SPEECH_FAILURES),
            pace="own",
        ),
        Endpoint(
            "GET",
            f"{root}/{{id:path}}",
            voices.retrieve,
            f"get_voice{suffix}",
            "One voice",
            json(VoiceEntry),
            failures=(NotFound,),
        ),
    ]
