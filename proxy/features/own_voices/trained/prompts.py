"""/v1/audio/voice_prompts: sentences to read, of which a training makes a voice."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.language import base_tag
from proxy.errors import InvalidRequest
from proxy.features.own_voices.trained.prompt_texts import PROMPTS
from proxy.http.endpoint import Query
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint, second_path

NEEDED_RECORDINGS = 20
"""The recordings that a training needs. `features/jobs/kinds/training` checks the same number."""
_LANGUAGE = Query("language", "The language that is read; `en` if it is left out.", tuple(PROMPTS))


class VoicePrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence to read."""

    object: Literal["audio.voice.prompt"] = "audio.voice.prompt"
    id: str
    text: str


class VoicePromptList(msgspec.Struct, frozen=True, kw_only=True):
    """Sentences to read, in order. A training needs recordings of `needed` of them, or of anything else."""

    object: Literal["list"] = "list"
    language: str
    needed: int = NEEDED_RECORDINGS
    data: list[VoicePrompt]


class Prompts(Resource):
    """The endpoints of sentences to read."""

    @endpoint(
        "GET",
        "/v1/audio/voice_prompts",
        VoicePromptList,
        queries=(_LANGUAGE,),
        failures=(InvalidRequest,),
        also=second_path("/admin/voice_prompts", "list_voice_prompts_for_all"),
    )
    async def list_voice_prompts(self, request: Request) -> Response:
        """Sentences to read for a training"""
        language = base_tag(request.query_params.get("language") or "en")
        if language not in PROMPTS:
            raise InvalidRequest(
                f"Invalid value for 'language': it must be one of {', '.join(PROMPTS)}.", param="language"
            )
        texts = enumerate(PROMPTS[language], 1)
        data = [VoicePrompt(id=f"{language}-{number:02}", text=text) for number, text in texts]
        return reply(VoicePromptList(language=language, data=data))
