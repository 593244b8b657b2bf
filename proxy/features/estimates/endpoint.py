"""POST /v1/audio/speech/estimate: what a request for speech would cost, and who would speak it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies import text_tags
from policies.plans import Minutes
from policies.routing import Candidate, find_emotions
from proxy.access.callers import caller_of
from proxy.api.speech import SPEECH_FAILURES
from proxy.catalogue.library import AccountLibrary
from proxy.config import credits
from proxy.config.sections import Config
from proxy.errors import NotFound
from proxy.features.admin.minutes import minutes_for
from proxy.features.jobs.core.fields import step_terms
from proxy.features.jobs.core.making import check_length
from proxy.features.voice_list.voices import VoiceTools
from proxy.http.body import read_raw_body
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.ledger import Ledger, Payer
from proxy.speech.call import PreparedText, SpeechCall
from proxy.speech.part import Part
from proxy.speech.speaking import Speaking
from proxy.speech.speech_body import SpeechBody
from proxy.speech.speech_request import MAX_BODY_BYTES, Defaults, parse_speech
from proxy.speech.split_text import EMOTION

SubstituteReason = Literal["installing", "away", "late", "busy", "voice"]


class Controls(msgspec.Struct, frozen=True, kw_only=True):
    """What all models that would speak can follow: the lowest and the highest `pitch`, the `emotions`, the
    most characters of `instructions`, and whether a `seed` counts."""

    pitch: tuple[float, float]
    emotions: tuple[str, ...]
    instructions: int
    seed: bool


class Wait(msgspec.Struct, frozen=True):
    """How long a text would wait for its voice, and the command that adds one which stands in, or ""."""

    seconds: float
    command: str


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a request for speech would get. `language`, `model`, `voice`, `substitute` and `ignored` are as in
    the headers of its answer. If it is not `is_trained`, a model that follows rules would speak some of it.
    The `substitute_reason` is that the voice's engine is `installing`, up to the part `installed`, not ready
    and so `away`, `late` twice within a minute, or `busy`; or that it does not speak this with the `voice`.

    `characters`, `seconds` and `credits` are the most that is expected. That many credits would be held. An
    answer from the cache may cost less. `available` credits are left, null for no limit, and are
    `available_minutes` of speech, null if that cannot be said. The emotion tags in `dropped_tags` would be
    left out. The text does not have the names of the cast in `unused_names`. Each of `other_names` begins
    some lines as a name does, and would be read. There is a `wait` if the language's voices are busy.
    """

    object: Literal["estimate"] = "estimate"
    language: str
    model: str
    voice: str
    substitute: str | None
    substitute_reason: SubstituteReason | None
    installed: float | None
    is_trained: bool
    characters: int
    seconds: float
    credits: float
    available: float | None
    available_minutes: Minutes | None
    ignored: tuple[str, ...]
    dropped_tags: tuple[str, ...]
    unused_names: tuple[str, ...]
    other_names: tuple[str, ...]
    controls: Controls
    wait: Wait | None


Spoken = Sequence[tuple[Part, Candidate]]
"""The parts of a text, each with the candidate that would speak it."""


class Estimates(Resource):
    def __init__(self, speaking: Speaking, voices: VoiceTools, ledger: Ledger, config: Config) -> None:
        self._speaking = speaking
        self._voices = voices
        self._ledger = ledger
        self._config = config
        self._defaults = Defaults.of(config.server)

    @endpoint(
        "POST",
        "/v1/audio/speech/estimate",
        Estimate,
        body=SpeechBody,
        failures=(NotFound, *SPEECH_FAILURES),
        pace="estimate",
    )
    async def estimate_speech(self, request: Request) -> Response:
        """What a request for speech would cost, and who would speak. Nothing is spoken"""
        caller, defaults = caller_of(request.scope), self._defaults
        terms = self._speaking.admission.terms(caller)
        body = await read_raw_body(request, MAX_BODY_BYTES)
        if caller.preferred_voice:
            defaults = await self._speaking.defaults_of(caller, defaults)
        speech = parse_speech(body, defaults, self._speaking.plans.client_fields)
        if speech.answer == "background":
            check_length(terms, len(speech.text), "input")
            terms = step_terms(terms)
        call = await self._speaking.prepare_call(request.scope["state"]["request_id"], caller, speech, terms)
        hold = await self._speaking.pipeline.estimate(call)
        payer = Payer(account=hold.account, key=hold.key, anchor=hold.anchor, terms=hold.terms)
        # The streams that are under way now do not count. An answer from the cache may cost nothing.
        position = await self._ledger.check_affordable(
            payer.of_job(), hold.amount if call.clip is None else 0
        )
        available = position.credits.available
        own = await self._voices.library.get(caller.account)
        parts = [run.part for run in call.totals.parts]
        spoken = [*zip(parts, call.totals.speaking_candidates, strict=True)]
        models = [candidate.models for _, candidate in spoken]
        other = next((part for part, each in spoken if each.substitute), None)
        reason, installed = self._reason(speech.model, other) if other else (None, None)
        return reply(
            Estimate(
                language=call.plan.language,
                model=", ".join(dict.fromkeys(model.name for each in models for model in each)),
                voice=call.plan.voice_id,
                substitute=call.totals.substitute or None,
                substitute_reason=reason,
                installed=installed,
                is_trained=all(any(model.info.is_trained for model in each) for each in models),
                characters=_characters(call),
                seconds=round(hold.estimated_s, 3),
                credits=credits.to_credits(hold.amount),
                available=None if available is None else credits.to_credits(available),
                available_minutes=minutes_for(available, terms, self._config),
                ignored=call.ignored_fields(),
                dropped_tags=_dropped_tags(call, spoken),
                unused_names=text_tags.unused_names(speech.text, call.plan.cast),
                other_names=text_tags.likely_names(speech.text, call.plan.cast),
                controls=self._controls(call, spoken, own),
                wait=await self._wait(call, spoken[0]),
            )
        )

    def _reason(self, model: str, part: Part) -> tuple[SubstituteReason, float | None]:
        """Return why another voice speaks a part, and how far the engine of its own voice is fetched."""
        live, offer = self._voices.catalogue.live, self._voices.catalogue.find_offer(model, part.language)
        coming = [engine for engine in offer.unknown if part.voice.on(engine) is not None]
        own = [each for each in part.candidates if not (each.needs_note or each.is_unasked)]
        for engine in (*[each.model.engine for each in own], *coming):
            if (state := live[engine].state) != "ready":
                return "installing" if state == "installing" else "away", live.load_progress(engine)
            if engine in live.late.names:
                return "late", None
            if live.is_busy(engine):
                return "busy", None
        return "voice", None

    async def _wait(self, call: SpeechCall, first: tuple[Part, Candidate]) -> Wait | None:
        """Return the wait for the first part, by what its engine says of its queue and its pace."""
        part, engine, catalogue = first[0], first[1].model.engine, self._voices.catalogue
        if not (catalogue.live.is_busy(engine) and part.lacks_stand_in(call.request.model)):
            return None
        seconds = round((await catalogue.live[engine].health()).wait_s, 1)
        command = catalogue.command_for(part.language, call.plan.terms.is_paid, "stand_in")
        return Wait(seconds, command) if seconds >= 1.0 else None

    def _controls(self, call: SpeechCall, spoken: Spoken, own: AccountLibrary) -> Controls:
        infos = [candidate.model.info for _, candidate in spoken]
        distinct = {(part.voice.id, part.language, each.speaker): (part, each) for part, each in spoken}
        emotions = [self._emotions(call.request.model, *each, own) for each in distinct.values()]
        pitches = [info.pitch for info in infos]
        return Controls(
            pitch=(max(lowest for lowest, _ in pitches), min(highest for _, highest in pitches)),
            emotions=tuple(each for each in emotions[0] if all(each in others for others in emotions)),
            instructions=min(info.max_instructions for info in infos),
            seed=all(info.seeds for info in infos),
        )

    def _emotions(self, model: str, part: Part, speaker: Candidate, own: AccountLibrary) -> dict[str, None]:
        """Return the emotions of a voice on a model, and those of the post-steps of its route."""
        steps = self._voices.catalogue.find_offer(model, part.language, own.operator_voices).steps
        of_steps = [found.step.emotion for found in steps if found.step.emotion is not None]
        return dict.fromkeys((*find_emotions(part.voice, speaker.model), *of_steps))


def _characters(call: SpeechCall) -> int:
    """Return the charged characters of the dearest texts."""
    texts = [run.texts.values() for run in call.totals.parts]
    return sum(max(text.characters for text in each if isinstance(text, PreparedText)) for each in texts)


def _dropped_tags(call: SpeechCall, spoken: Spoken) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for part, candidate in spoken:
        if EMOTION not in candidate.ignores:
            continue
        if part.emotion and candidate.post is None:
            # The tag before a part makes its emotion. A candidate for the plain text does not have it.
            found |= dict.fromkeys({part.emotion} - {*find_emotions(part.voice, candidate.model)})
        tags = text_tags.find_emotion_tags(call.request.text, part.start, part.end)
        found |= dict.fromkeys(tag.value for tag in tags)
    return tuple(found)
