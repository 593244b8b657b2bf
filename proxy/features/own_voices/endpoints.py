"""The routes of voices: /v1/audio/voices, and /v1/voices, which some clients ask."""

from __future__ import annotations

from proxy.api.speech import SPEECH_FAILURES, SpeechEndpoint
from proxy.api.voice_entries import (
    DeletedVoice,
    ErasureReceipt,
    VoiceEntry,
    VoiceList,
    VoiceMatches,
    VoiceNames,
)
from proxy.api.voice_sound import PREVIEW_QUERIES, Export, Preview
from proxy.api.voices import LIST_QUERIES, Voices, VoiceTools
from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import (
    Conflict,
    IdempotencyKeyReused,
    InvalidRequest,
    NoPlace,
    NotAllowed,
    NotFound,
    RequestUnderWay,
)
from proxy.features.own_voices.bodies import ChangedVoice, NewVoice, VoiceForm
from proxy.features.own_voices.editing import VoiceEditing
from proxy.features.own_voices.export import VoiceExport
from proxy.http.body import BODY_FAILURES
from proxy.http.endpoint import Endpoint, json
from proxy.http.idempotency import KEY_HEADER


def routes(
    tools: VoiceTools, speech: SpeechEndpoint, default_model: str, export: VoiceExport
) -> list[Endpoint]:
    sound = (Preview(tools, speech, default_model), Export(tools, export))
    return [
        endpoint
        for root, suffix in (("/v1/audio/voices", ""), ("/v1/voices", "_by_short_path"))
        # The paths of one voice come last: an id may have slashes in it.
        for endpoint in (
            *_library_routes(root, suffix, tools),
            *_sound_routes(root, suffix, *sound),
            *_voice_routes(root, suffix, tools),
        )
    ]


def _library_routes(root: str, suffix: str, tools: VoiceTools) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            root,
            Voices(tools).list_,
            f"list_voices{suffix}",
            "All voices, the account's own first",
            json(VoiceList, VoiceMatches, VoiceNames),
            access="catalogue",
            queries=LIST_QUERIES,
            failures=(InvalidRequest,),
            pace="list",
        ),
        Endpoint(
            "POST",
            root,
            VoiceEditing(tools).create,
            f"create_voice{suffix}",
            "Make a voice of a recording, or save a cast or a mix as a voice",
            json(VoiceEntry),
            body=NewVoice,
            form=VoiceForm,
            files=("audio_sample",),
            request_headers=(KEY_HEADER,),
            some_headers={"x-voxgate-replayed": "`true` if the same Idempotency-Key made the voice before."},
            failures=(
                *BODY_FAILURES,
                *(NotAllowed, NotFound, Conflict, RequestUnderWay, IdempotencyKeyReused, NoPlace),
            ),
        ),
    ]


def _sound_routes(root: str, suffix: str, preview: Preview, export: Export) -> list[Endpoint]:
    return [
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
            f"{root}/{{id:path}}/export",
            export.answer,
            f"export_voice{suffix}",
            "A voice of the account's own: its recordings, and what is known of them, as a zip file",
            {"application/zip": ()},
            failures=(NotFound, NoPlace),
            pace="list",
        ),
    ]


def _voice_routes(root: str, suffix: str, tools: VoiceTools) -> list[Endpoint]:
    voices = Voices(tools)
    return [
        Endpoint(
            "GET",
            f"{root}/erasures/{{id}}",
            voices.receipt,
            f"get_voice_erasure{suffix}",
            "How far the erasure of a deleted voice is",
            json(ErasureReceipt),
            failures=(NotFound,),
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
        Endpoint(
            "POST",
            f"{root}/{{id:path}}",
            VoiceEditing(tools).update,
            f"update_voice{suffix}",
            "Change a voice of the account's own",
            json(VoiceEntry),
            body=ChangedVoice,
            failures=(*BODY_FAILURES, NotFound, Conflict),
        ),
        Endpoint(
            "DELETE",
            f"{root}/{{id:path}}",
            voices.delete,
            f"delete_voice{suffix}",
            "Delete a voice of the account's own",
            json(DeletedVoice),
            failures=(NotFound,),
        ),
    ]
