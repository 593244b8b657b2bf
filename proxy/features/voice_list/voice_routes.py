"""The routes of all voices, /v1/audio/voices and /v1/voices, and the preview of a voice."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from policies.preview_texts import has_preview_text, preview_text
from proxy.api.answering import Answering
from proxy.api.speech import SPEECH_FAILURES
from proxy.audio.formats import FORMATS, MEDIA_TYPES
from proxy.errors import InvalidRequest, NotFound
from proxy.features.voice_list.voice_entries import VoiceEntry, VoiceList, VoiceMatches, VoiceNames
from proxy.features.voice_list.voices import LIST_QUERIES, Voices, VoiceTools
from proxy.http.connection import Connection
from proxy.http.endpoint import Endpoint, Query, json_answer
from proxy.http.replies import encode_json
from proxy.speech import speech_request
from proxy.speech.speaking import Speaking

PREVIEW_QUERIES = (
    Query("response_format", "A format of speech; without it, mp3.", tuple(FORMATS)),
    Query("model", "The model that speaks; without it, the server's default."),
    Query("language", "The language of the sentence, for a voice that has none of its own."),
)
_MOST_PREVIEWED_SPEAKERS = 4
"""The most speakers of a cast that a preview has."""


class Preview:
    """An ASGI app, as speech is: it sends the sound while it is spoken. The sentence is in the voice's
    language. The cache keeps it, so that a list of voices is spoken once for an account; then it has the
    price of cached speech."""

    def __init__(
        self, tools: VoiceTools, speaking: Speaking, answering: Answering, default_model: str
    ) -> None:
        self._tools = tools
        self._speaking = speaking
        self._answering = answering
        self._default_model = default_model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        query = request.query_params
        entry = await self._tools.voice_entry(request, request.path_params["id"])
        # The query counts only for a voice without a language.
        tag = entry.language or query.get("language")
        language = tag if tag and has_preview_text(tag) else None
        raw = {
            "model": query.get("model") or self._default_model,
            "voice": entry.id,
            "input": _preview_input(entry, tag),
            "response_format": query.get("response_format") or "mp3",
            "language": language,
            "cache": True,
        }
        preview_request = speech_request.parse_speech(encode_json(raw), speech_request.Defaults())
        # It counts as speech.
        state = scope["state"]
        terms, state["rate"] = await self._speaking.admission.admit(state["caller"])
        await self._answering.speak(state, preview_request, terms, Connection(scope, receive, send))


def _preview_input(entry: VoiceEntry, tag: str | None) -> str:
    text = preview_text(tag)
    if not entry.cast:
        return text
    return " ".join(f"[{name}] {text}" for name in list(entry.cast)[:_MOST_PREVIEWED_SPEAKERS])


ROOTS = (("/v1/audio/voices", ""), ("/v1/voices", "_by_short_path"))
"""The roots, each with the suffix of the names of its operations."""


def voice_endpoints(
    tools: VoiceTools, speaking: Speaking, answering: Answering, default_model: str
) -> list[Endpoint]:
    voices, preview = Voices(tools), Preview(tools, speaking, answering, default_model)
    return [
        endpoint for root, suffix in ROOTS for endpoint in _endpoints_below(root, suffix, voices, preview)
    ]


def _endpoints_below(root: str, suffix: str, voices: Voices, preview: Preview) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            root,
            voices.list_voices,
            f"list_voices{suffix}",
            "All voices, the account's own first",
            json_answer(VoiceList, VoiceMatches, VoiceNames),
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
            voices.get_voice,
            f"get_voice{suffix}",
            "One voice",
            json_answer(VoiceEntry),
            failures=(NotFound,),
        ),
    ]
