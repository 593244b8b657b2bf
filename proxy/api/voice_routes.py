"""The routes of all voices: /v1/audio/voices, and /v1/voices, which some clients use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

from proxy.api.admin_tools import of_any_account
from proxy.api.speech import SPEECH_FAILURES, SpeechEndpoint
from proxy.api.voice_entries import VoiceEntry, VoiceList, VoiceMatches, VoiceNames
from proxy.api.voice_preview import PREVIEW_QUERIES, Preview
from proxy.api.voices import LIST_QUERIES, Voices, VoiceTools
from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import InvalidRequest, NotFound
from proxy.http.endpoint import Endpoint, Struct, json
from proxy.http.resource import Details, Method, Verb, answers

ROOTS = (("/v1/audio/voices", ""), ("/v1/voices", "_by_short_path"))
"""Each with what comes after the names of its operations."""


def voice_answers(
    verb: Verb,
    tail: str,
    *structs: Struct,
    media: tuple[str, ...] = (),
    admin: tuple[str, str] | None = None,
    **details: Unpack[Details],
) -> Callable[[Method], Method]:
    """Declare that a method answers this end of a path under each root. See `answers`.

    `admin` has the name and the summary of the same under /admin/voices, for the saved voice of any account.
    """

    def declare(method: Method) -> Method:
        if admin is not None:
            name, summary = admin
            path = f"/admin/voices{tail.replace(':path', '')}"
            of_any = of_any_account(details)
            of_any.pop("pace", None)
            answers(verb, path, *structs, media=media, name=name, summary=summary, **of_any)(method)
        for root, suffix in reversed(ROOTS):
            name = f"{method.__name__}{suffix}"
            answers(verb, f"{root}{tail}", *structs, media=media, name=name, **details)(method)
        return method

    return declare


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
