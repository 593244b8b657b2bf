"""/admin/route/explain: which model would speak a request, and what every filter says. Nothing is spoken."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms
from policies.routing import Decision, PostStep, Route, voice_text
from proxy.access.admission import terms_in_force
from proxy.api.admin_tools import AdminTools
from proxy.catalogue.library import Library
from proxy.errors import Conflict, ErrorDetail, NotFound, UpstreamFailed
from proxy.features.admin.agreed_terms import ShownPrice, shown_price
from proxy.http.body import AccountName, read_raw_body
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.speech import speech_request
from proxy.speech.speaking import Speaking
from proxy.speech.speech_body import MAX_INPUT, VoiceReference
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.split_text import Span
from proxy.storage.accounts import Account

_Name = Annotated[str, Meta(min_length=1, max_length=256)]
_NO_ACCOUNT = ""
"""No account has this id. Its library has only the voices and lexicons for all accounts."""


def _text_limit(most_characters: int, description: str) -> Meta:
    """The limit is for the OpenAPI document. A longer text is refused as in a request for speech."""
    return Meta(description=description, extra_json_schema={"maxLength": most_characters})


class RouteQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A request for speech that is only explained. Without `model` or `voice` the server's default is used.
    Without `account` no plan refuses anything."""

    input: Annotated[
        str, Meta(min_length=1), _text_limit(MAX_INPUT, f"a text of 1 to {MAX_INPUT} characters")
    ]
    model: Annotated[_Name, Meta(description="the id of a model")] | None = None
    voice: Annotated[_Name | VoiceReference, Meta(description="as in a request for speech")] | None = None
    language: Annotated[str, _text_limit(35, "a language tag such as en, pt-BR or es-419, or auto")] = ""
    pitch: Annotated[float, Meta(description="a number of semitones from -12 to 12")] = 0.0
    emotion: Annotated[str, _text_limit(64, "a text of 1 to 64 characters")] | None = None
    account: AccountName | None = None


class ExplainedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A post-step of the route. If it `is_used`, `model` repeats in the `voice` of its engine what a
    candidate speaks; otherwise `reason` says why not. `price` is what the account's plan adds for that."""

    engine: str
    voice: str
    when: str | None
    pitch: float
    is_used: bool
    model: str | None
    reason: str
    price: ShownPrice | None


class ShownRoute(msgspec.Struct, frozen=True, kw_only=True):
    """The route that matched, as the configuration has it. `post` are its post-steps."""

    language: str
    candidates: tuple[str, ...]
    front_end: str | None
    sentences: bool
    voice: str | None
    post: list[ExplainedStep]


class JudgedModel(msgspec.Struct, frozen=True, kw_only=True):
    """`refused_by` is the first filter that refused it, null if none did. The filters are voice, plan,
    licence, language, pitch, emotion, and post: the post-step of the route."""

    model: str
    refused_by: str | None
    reason: str


class ShownCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """`voice` is the engine's own id. The model `repeated_by` repeats it in the requested voice."""

    model: str
    voice: str
    front_end: str
    repeated_by: str | UnsetType = UNSET


class ShownRefusal(ErrorDetail, frozen=True):
    """The error that a client would get."""

    status: int


class ExplainedPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the text, from `start` to `end`. `source` says how the language is known. If it is not the
    request's, `emotion` is that of a tag. `models` are in the order in which they are tried; `candidates` are
    those that no filter refused. `notes` say which parts of the language's routes are missing."""

    start: int
    end: int
    voice: str
    language: str
    source: Literal["request", "voice", "script", "detected", "default"]
    route: ShownRoute | None
    models: list[JudgedModel]
    candidates: list[ShownCandidate]
    notes: list[str]
    error: ShownRefusal | None
    emotion: str | UnsetType | None = UNSET


class RouteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`plan` is the account's plan."""

    object: Literal["route"] = "route"
    model: str
    account: str | None
    plan: str | None
    parts: list[ExplainedPart]


class Explanations(Resource):
    def __init__(self, admin_tools: AdminTools, speaking: Speaking, library: Library) -> None:
        self._admin_tools = admin_tools
        self._speaking = speaking
        self._library = library

    @endpoint(
        "POST",
        "/admin/route/explain",
        RouteAnswer,
        body=RouteQuestion,
        failures=(NotFound, Conflict, UpstreamFailed),
    )
    async def explain_route(self, request: Request) -> Response:
        """Show which model would speak a request, and what every filter says. Nothing is spoken."""
        body = await read_raw_body(request)
        question = speech_request.parse(RouteQuestion, body)
        server = self._admin_tools.config.server
        speech = speech_request.parse_speech(
            body, speech_request.Defaults(server.default_model, server.default_voice)
        )
        account = None if question.account is None else await self._admin_tools.find_account(question.account)
        library = await self._library.get(_NO_ACCOUNT if account is None else account.id)
        terms = self._terms(account)
        explanation = self._speaking.planner.explain(speech, terms, library)
        return reply(
            RouteAnswer(
                model=speech.model,
                account=None if account is None else account.id,
                plan=None if account is None else account.plan,
                parts=[self._explained_part(speech, span, decision, terms) for span, decision in explanation],
            )
        )

    def _terms(self, account: Account | None) -> Terms | None:
        """Return the account's terms. Raises Conflict if its plan is not in force."""
        if account is None:
            return None
        terms = terms_in_force(account, self._admin_tools.config)
        if terms is None:
            raise Conflict(f"The plan '{account.plan}' of this account is not in force.", param="account")
        return terms

    def _explained_part(
        self, speech: SpeechRequest, span: Span, decision: Decision, terms: Terms | None
    ) -> ExplainedPart:
        return ExplainedPart(
            start=span.start,
            end=span.end,
            voice=decision.voice.id,
            language=decision.query.language,
            source=decision.query.source,
            route=None if decision.route is None else _shown_route(decision.route, decision, terms),
            models=[
                JudgedModel(model=each.model.name, refused_by=each.refused_by, reason=each.reason)
                for each in decision.verdicts
            ],
            candidates=[
                ShownCandidate(
                    model=candidate.model.name,
                    voice=voice_text(candidate.voice),
                    front_end=candidate.front_end,
                    repeated_by=candidate.models[-1].name if candidate.base else UNSET,
                )
                for candidate in decision.candidates
            ],
            notes=self._speaking.planner.remarks(decision),
            error=self._refusal(speech.model, decision),
            emotion=UNSET if span.emotion == speech.emotion else span.emotion,
        )

    def _refusal(self, model: str, decision: Decision) -> ShownRefusal | None:
        if decision.error is None:
            return None
        failure = self._speaking.planner.failure(decision.error, model, decision.query)
        return ShownRefusal(failure.message, failure.kind, failure.param, failure.code, failure.status)


def _shown_route(route: Route, decision: Decision, terms: Terms | None) -> ShownRoute:
    return ShownRoute(
        language=route.language,
        candidates=route.candidates,
        front_end=route.front_end,
        sentences=route.sentences,
        voice=route.voice,
        post=[_explained_step(step, decision, terms) for step in route.post],
    )


def _explained_step(step: PostStep, decision: Decision, terms: Terms | None) -> ExplainedStep:
    post = decision.query.post
    unused_step = ExplainedStep(
        engine=step.engine,
        voice=step.voice,
        when=step.when,
        pitch=step.pitch,
        is_used=False,
        model=None,
        reason="",
        price=None,
    )
    if not decision.steps:
        return replace(unused_step, reason="the request names its model itself")
    if post is None or post.step != step:
        would_fit = post is not None and step.emotion in (None, decision.query.emotion)
        return replace(unused_step, reason="another step is used" if would_fit else f"it is for {step.when}")
    if post.speaker is None:
        return replace(unused_step, reason="" if post.error is None else post.error.message)
    model = post.speaker.model
    price = None if terms is None else terms.prices.work_price("conversion", model.engine, model.info.id)
    return replace(
        unused_step,
        is_used=bool(decision.candidates),
        model=model.name,
        voice=voice_text(post.speaker.voice),
        reason="" if decision.candidates else "no candidate can speak",
        price=None if price is None else shown_price(price),
    )
