"""The route that hears: a recording in, and its words with their times out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fakes.ears import Recording, hear, words_of
from fakes.elevenlabs.account import Account
from fakes.elevenlabs.forms import demanded
from fakes.elevenlabs.refusing import refuse, refuse_fields, request_id
from fakes.faults import ScriptedFault, scripted

CREDITS_A_MINUTE = 100
_MODELS = ("scribe_v1", "scribe_v2")
_FIELDS = {
    *("model_id", "file", "language_code", "timestamps_granularity", "tag_audio_events", "diarize"),
    *("temperature", "seed", "keyterms", "file_format", "num_speakers", "diarization_threshold"),
    # Their library sends these empty.
    *("webhook_metadata", "entity_detection", "entity_redaction"),
}
_STRANGE = {
    "nan": b'{"text": "One", "words": [{"text": "One", "type": "word", "start": NaN, "end": 1}]}',
    "late": b'{"text": "One", "words": [{"text": "One", "type": "word", "start": 0, "end": 9e9}]}',
    "huge": b'{"text": "' + b"A" * (5 * 1024 * 1024) + b'"}',
}
"""The answers of a `wrong_codec` by its `code`. Any other code gives text that is no JSON."""


class Listener:
    def __init__(self, account: Account) -> None:
        self._account = account

    def __repr__(self) -> str:
        return f"<Listener of {self._account!r}>"

    def routes(self) -> list[Route]:
        return [Route("/v1/speech-to-text", self._transcribe, methods=["POST"])]

    async def _transcribe(self, request: Request) -> Response:
        form = await demanded(request, "model_id", files="file")
        if form.fields["model_id"] not in _MODELS:
            raise refuse(400, "invalid_model_id", "No such model.", param="model_id")
        strange = form.fields.keys() - _FIELDS
        if strange or any(set(term) & set("<>{}[]\\") for term in form.lists.get("keyterms", ())):
            raise refuse_fields(((min(strange, default="keyterms"),), "Not allowed"))
        try:
            found = hear(next(file.data for file in form.files if file.field == "file"))
        except ValueError:
            raise refuse(400, "invalid_audio", "Not a recording.", param="audio") from None
        self._account.demand_room()
        model = {"model_rates": {"character_cost_multiplier": 1.0}}
        self._account.charge(round(found.seconds * CREDITS_A_MINUTE / 60), model)
        return _answer(found, scripted(request.scope))


def _answer(found: Recording, fault: ScriptedFault | None) -> Response:
    if fault and fault.name == "wrong_codec":
        return Response(_STRANGE.get(fault.code, b"One."), media_type="application/json")
    words: list[dict[str, Any]] = [
        {"text": word.text, "start": word.start_s, "end": word.end_s, "type": "word", "logprob": -0.1}
        for frame in found.frames
        for word in words_of(frame)
    ]
    entries = words[:1]
    for before, word in pairwise(words):
        blank = {"text": " ", "start": before["end"], "end": word["start"], "type": "spacing", "logprob": 0.0}
        entries += [blank, word]
    whole = {"language_code": "eng", "language_probability": 0.98, "text": found.text, "words": entries}
    answer = {**whole, "audio_duration_secs": found.seconds, "transcription_id": "t1"}
    return JSONResponse(answer, headers={"request-id": request_id()})
