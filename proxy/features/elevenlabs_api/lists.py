"""The lists of models and voices, and the plan of the account."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from policies.routing import Model, spoken_languages
from proxy.access.callers import caller_of
from proxy.errors import InvalidRequest
from proxy.features.admin.balance import read_balance
from proxy.features.elevenlabs_api.failures import PREFIX
from proxy.features.elevenlabs_api.shapes import (
    LanguageShape,
    ModelShape,
    SubscriptionShape,
    VoiceShape,
    VoicesPage,
    VoicesShape,
)
from proxy.features.voice_list.voice_entries import VoiceEntries, VoiceEntry
from proxy.features.voice_list.voices import VoiceTools
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.ledger import Ledger
from proxy.speech.speech_body import MAX_INPUT
from proxy.storage.rows import map_in_turns

_CATEGORIES = {"audio_sample": "cloned", "mix": "generated"}
_USUAL_PAGE, _MOST_PAGE = 10, 100
_UNLIMITED = 2**31 - 1
"""Stands for no limit, since clients need a number."""


class CatalogueLists(Resource):
    def __init__(self, tools: VoiceTools, ledger: Ledger) -> None:
        self._tools = tools
        self._ledger = ledger

    @endpoint("GET", f"{PREFIX}/v1/models", pace="list")
    async def show_models(self, request: Request) -> Response:
        """The models that the caller may use, as a bare array"""
        terms = self._tools.plans.terms(caller_of(request.scope))
        catalogue = self._tools.catalogue
        aliases, models = catalogue.list_models(terms)
        most = min(MAX_INPUT, terms.max_characters or MAX_INPUT)
        named = [(alias, catalogue.models_of_alias(alias)) for alias in aliases]
        named += [(model.name, [model]) for model in models]
        return reply([_model_shape(name, found, most) for name, found in named if _may_speak(found)])

    @endpoint("GET", f"{PREFIX}/v1/voices", pace="list")
    async def list_voices(self, request: Request) -> Response:
        """All voices"""
        entries = await self._tools.voice_entries(request)
        return reply(VoicesShape(await _all_voices(entries)))

    @endpoint("GET", f"{PREFIX}/v2/voices", pace="list")
    async def search_voices(self, request: Request) -> Response:
        """A page of the voices"""
        query = request.query_params
        size, ids = _page_size(query.get("page_size", "")), {*query.getlist("voice_ids")}
        voices = await _all_voices(await self._tools.voice_entries(request))
        if ids:
            voices = [voice for voice in voices if voice.voice_id in ids]
        if category := query.get("category"):
            voices = [voice for voice in voices if voice.category == category]
        if search_text := query.get("search", "").casefold():
            voices = [voice for voice in voices if _contains(voice, search_text)]
        start = _place_after(voices, query.get("next_page_token", ""))
        page, has_more = voices[start : start + size], start + size < len(voices)
        token = page[-1].voice_id if has_more else None
        return reply(
            VoicesPage(voices=page, has_more=has_more, total_count=len(voices), next_page_token=token)
        )

    @endpoint("GET", f"{PREFIX}/v1/voices/{{id:path}}")
    async def get_voice(self, request: Request) -> Response:
        """One voice"""
        entry = await self._tools.voice_entry(request, request.path_params["id"])
        return reply(_voice_shape(entry))

    @endpoint("GET", f"{PREFIX}/v1/user/subscription")
    async def get_subscription(self, request: Request) -> Response:
        """The plan of the account"""
        caller = caller_of(request.scope)
        terms = self._tools.plans.terms(caller)
        account = await read_balance(self._ledger, caller.account, caller.key, caller.anchor, terms)
        balance, library = account.balance, await self._tools.library.get(caller.account)
        limit = None if balance.allowance is None else balance.allowance + balance.granted
        return reply(
            SubscriptionShape(
                tier=terms.plan,
                character_count=int(balance.used),
                character_limit=_UNLIMITED if limit is None else int(limit),
                next_character_count_reset_unix=int(datetime.fromisoformat(account.cycle.end).timestamp()),
                voice_slots_used=len(library.own.saved),
                voice_limit=_UNLIMITED if terms.voices is None else terms.voices,
            )
        )


def _may_speak(models: Iterable[Model]) -> bool:
    """Tell whether one of them speaks without a job. An alias without models may get some by a route."""
    known = [*models]
    return not known or any(model.info.speaks and not model.info.runner for model in known)


def _model_shape(name: str, models: Iterable[Model], most_characters: int) -> ModelShape:
    tags = dict.fromkeys(tag for model in models for tag in spoken_languages(model.info) if tag != "*")
    languages = [LanguageShape(tag, tag) for tag in tags]
    return ModelShape(
        model_id=name, name=name, maximum_text_length_per_request=most_characters, languages=languages
    )


async def _all_voices(entries: VoiceEntries) -> list[VoiceShape]:
    """Return the voices that speak alone: a cast needs names in its text."""
    voices = [voice for voice in entries.known.voices if not voice.cast]
    return await map_in_turns(lambda voice: _voice_shape(entries.entry_of(voice)), voices)


def _voice_shape(entry: VoiceEntry) -> VoiceShape:
    facts = {"language": entry.language, "gender": entry.gender, "age": entry.age}
    own_labels = {} if entry.labels is UNSET else entry.labels
    return VoiceShape(
        voice_id=entry.id,
        name=entry.title or entry.name,
        category=_CATEGORIES.get(entry.type, "premade"),
        labels={**{name: value for name, value in facts.items() if value}, **own_labels},
        description=entry.description,
    )


def _contains(voice: VoiceShape, wanted: str) -> bool:
    texts = (voice.name, voice.voice_id, voice.description, *voice.labels.values())
    return any(wanted in text.casefold() for text in texts)


def _page_size(text: str) -> int:
    # A text that is no number becomes 0, which is refused.
    size = int(text) if text.isdecimal() and len(text) < 4 else (0 if text else _USUAL_PAGE)
    if not 1 <= size <= _MOST_PAGE:
        raise InvalidRequest(
            f"Invalid value for 'page_size': it must be a number from 1 to {_MOST_PAGE}.", param="page_size"
        )
    return size


def _place_after(found: list[VoiceShape], token: str) -> int:
    if not token:
        return 0
    for place, voice in enumerate(found):
        if voice.voice_id == token:
            return place + 1
    raise InvalidRequest(
        "Invalid value for 'next_page_token': it must be that of the page before.", param="next_page_token"
    )
