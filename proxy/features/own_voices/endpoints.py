"""The routes of own voices: beside the list of all voices, under both of its roots."""

from __future__ import annotations

from proxy.api.voice_entries import VoiceEntry
from proxy.api.voice_routes import ROOTS
from proxy.errors import (
    Conflict,
    IdempotencyKeyReused,
    NoPlace,
    NotAllowed,
    NotFound,
    RequestUnderWay,
)
from proxy.features.own_voices.bodies import ChangedVoice, DeletedVoice, ErasureReceipt, NewVoice, VoiceForm
from proxy.features.own_voices.editing import VoiceEditing
from proxy.http.body import BODY_FAILURES
from proxy.http.endpoint import Endpoint, json
from proxy.http.idempotency import KEY_HEADER


def routes(editing: VoiceEditing) -> list[Endpoint]:
    return [endpoint for root, suffix in ROOTS for endpoint in _routes(root, suffix, editing)]


def _routes(root: str, suffix: str, editing: VoiceEditing) -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            root,
            editing.create,
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
        *_voice_routes(root, suffix, editing),
    ]


def _voice_routes(root: str, suffix: str, editing: VoiceEditing) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            f"{root}/{{id:path}}/export",
            editing.export,
            f"export_voice{suffix}",
            "A voice of the account's own: its recordings, and what is known of them, as a zip file",
            {"application/zip": ()},
            failures=(NotFound, NoPlace),
            pace="list",
        ),
        Endpoint(
            "GET",
            f"{root}/erasures/{{id}}",
            editing.receipt,
            f"get_voice_erasure{suffix}",
            "How far the erasure of a deleted voice is",
            json(ErasureReceipt),
            failures=(NotFound,),
        ),
        Endpoint(
            "POST",
            f"{root}/{{id:path}}",
            editing.update,
            f"update_voice{suffix}",
            "Change a voice of the account's own",
            json(VoiceEntry),
            body=ChangedVoice,
            failures=(*BODY_FAILURES, NotFound, Conflict),
        ),
        Endpoint(
            "DELETE",
            f"{root}/{{id:path}}",
            editing.delete,
            f"delete_voice{suffix}",
            "Delete a voice of the account's own",
            json(DeletedVoice),
            failures=(NotFound,),
        ),
    ]
