"""/v1/audio/voice_consents: speakers agree that voices are made of their speech, as in OpenAI's API.

Under /admin/consents are those of all accounts.
"""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import caller_of
from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools, actor_of, check_open
from proxy.errors import Conflict, DecodingFailed, InvalidRequest, NoPlace, NotAllowed, NotFound
from proxy.features.consents import bodies, rules
from proxy.features.consents import records as consents
from proxy.features.consents.consent_store import ConsentStore, ReadableConsent, check_providers
from proxy.features.consents.records import IS_WAITING
from proxy.http.body import read_body
from proxy.http.endpoint import Query
from proxy.http.lists import PAGE, query_choice, read_page
from proxy.http.replies import reply
from proxy.http.resource import Resource, account_of, endpoint, second_path
from proxy.storage import audit
from proxy.storage.rows import new_id
from proxy.storage.store import ALWAYS, Condition

_ROOT, _ADMIN = "/v1/audio/voice_consents", "/admin/consents"
_DEFAULT_ENTRIES = 20
_MOST_ENTRIES = 100
_WAITS = Query("waits", "`true` gives only those that wait until an operator accepts them.", ("true",))
_NONE = Condition("1 = 0", {})
_PAGE = (
    Query("limit", f"How many, 1 to {_MOST_ENTRIES}. Without it, {_DEFAULT_ENTRIES}."),
    Query("after", "The `last_id` of the page before."),
)


class Consents(Resource):
    """The consents of the caller's account. The operator reads, brings and deletes those of any account."""

    def __init__(self, admin_tools: AdminTools, consents: ConsentStore) -> None:
        self._admin_tools = admin_tools
        self._consents = consents
        config = admin_tools.config
        # If an engine works at a runner, the runner receives the voice.
        self._providers = frozenset({*config.engines, *config.plugins_of("runner")})
        self._wait_condition = IS_WAITING if config.consent.words == "refuse" else _NONE

    @endpoint(
        "POST",
        _ROOT,
        bodies.ConsentEntry,
        body=bodies.ConsentBody,
        form=bodies.ConsentBody,
        files=("recording",),
        failures=(NotAllowed, NoPlace, DecodingFailed),
        also=second_path(
            _ADMIN,
            "create_consent",
            bodies.AccountConsent,
            status=201,
            summary="Keep a consent for an account: a recording of the phrase, or a statement",
            body=bodies.AccountConsentBody,
            form=bodies.AccountConsentBody,
            failures=(NotFound, Conflict, NoPlace),
        ),
    )
    async def create_voice_consent(self, request: Request) -> Response:
        """Keep a speaker's consent: a recording of the phrase, or a statement"""
        account = account_of(request)
        new, recording = await bodies.read_consent(
            request, bodies.ConsentBody if account else bodies.AccountConsentBody
        )
        if isinstance(new, bodies.AccountConsentBody):
            owner = await self._admin_tools.find_account(new.account)
            check_open(owner)
            account = owner.id
        assert account is not None, "the body of an operator names one"
        check_providers(new.providers, self._providers)
        # As with voices, the audit has no name of a person.
        act = await self._admin_tools.act_if_admin(request, "consent.created", new_id("cons"), account)
        made = bodies.new_consent(new, recording, actor_of(request))
        stored = await self._consents.store_consent(account, made, act)
        return self._reply(request, stored, 200 if act is None else 201)

    @endpoint("GET", _ROOT, bodies.ConsentList, queries=_PAGE, failures=(InvalidRequest,), pace="list")
    async def list_voice_consents(self, request: Request) -> Response:
        """The account's consents, the newest first"""
        account, store = caller_of(request.scope).account, self._consents.store
        found = await read_page(
            request,
            partial(consents.place_of, store, account),
            partial(consents.page, store, account),
            usual_rows=_DEFAULT_ENTRIES,
            most_rows=_MOST_ENTRIES,
        )
        entries = [bodies.consent_entry(self._consents.open_if_possible(row)) for row in found.rows]
        first = entries[0].id if entries else None
        return reply(
            bodies.ConsentList(data=entries, first_id=first, last_id=found.last_id, has_more=found.has_more)
        )

    # Before the ids, which have the same form.
    @endpoint(
        "GET",
        f"{_ROOT}/phrases",
        bodies.ConsentPhrase,
        queries=(Query("language", "The language of the phrase; without it, `en`."),),
        failures=(NotFound,),
    )
    async def get_consent_phrase(self, request: Request) -> Response:
        """The phrase that a speaker reads out"""
        tag = request.query_params.get("language") or "en"
        phrase = rules.phrase(tag, self._admin_tools.config.consent.operator)
        if phrase is None:
            raise NotFound(
                f"There is no phrase in the language '{tag[:35]}'; send a statement.",
                param="language",
                code="phrase_not_found",
            )
        return reply(bodies.ConsentPhrase(language=tag, phrase=phrase))

    @endpoint(
        "GET",
        f"{_ROOT}/{{id}}",
        bodies.ConsentEntry,
        failures=(NotFound,),
        also=second_path(f"{_ADMIN}/{{id}}", "get_consent", bodies.AccountConsent),
    )
    async def get_voice_consent(self, request: Request) -> Response:
        """One consent"""
        return self._reply(request, await self._find_consent(request))

    @endpoint(
        "POST", f"{_ROOT}/{{id}}", bodies.ConsentEntry, body=bodies.ConsentName, failures=(NotFound, Conflict)
    )
    async def update_voice_consent(self, request: Request) -> Response:
        """Give a consent another name"""
        new, account = await read_body(request, bodies.ConsentName), caller_of(request.scope).account
        return reply(
            bodies.consent_entry(await self._consents.rename(account, request.path_params["id"], new.name))
        )

    @endpoint(
        "DELETE",
        f"{_ROOT}/{{id}}",
        bodies.DeletedConsent,
        failures=(NotFound, Conflict),
        also=second_path(f"{_ADMIN}/{{id}}", "delete_consent"),
    )
    async def delete_voice_consent(self, request: Request) -> Response:
        """Delete a consent that no voice needs"""
        found = await self._find_consent(request)
        act = await self._admin_tools.act_if_admin(request, "consent.deleted", found.id, found.record.account)
        await self._consents.delete(found, act)
        return reply(bodies.DeletedConsent(id=found.id))

    @endpoint(
        "GET",
        _ADMIN,
        bodies.AccountConsentList,
        queries=(ACCOUNT_QUERY, _WAITS, *PAGE),
        failures=(InvalidRequest, NotFound),
    )
    async def list_consents(self, request: Request) -> Response:
        """The consents of all accounts, the newest first"""
        account, store = await self._admin_tools.query_account(request), self._consents.store
        only = self._wait_condition if query_choice(request, _WAITS) else ALWAYS
        page = partial(consents.page, store, account, only=only)
        listed = await read_page(request, partial(consents.place_of, store, account), page)
        return await listed.list_response(
            bodies.AccountConsentList,
            lambda row: bodies.account_consent(self._consents.open_if_possible(row)),
        )

    @endpoint(
        "GET",
        f"{_ADMIN}/{{id}}/recording",
        media=("audio/wav",),
        name="export_consent",
        failures=(NotFound,),
        pace="list",
    )
    async def read_consent_recording(self, request: Request) -> Response:
        """The recording of a consent, for the operator who is to accept it"""
        record = (await self._find_consent(request)).record
        if record.digest is None:
            raise NotFound("This consent is a statement, so it has no recording.")
        act = await self._admin_tools.audit_row(request, "consent.exported", record.id, record.account)
        await self._consents.store.write(*audit.insert_statements(act))
        return Response(await self._consents.open_recording(record), media_type="audio/wav")

    @endpoint("POST", f"{_ADMIN}/{{id}}/accept", bodies.AccountConsent, failures=(NotFound, Conflict))
    async def accept_consent(self, request: Request) -> Response:
        """Accept a consent whose recording was not surely heard to say its phrase, or a statement"""
        record = (await self._find_consent(request)).record
        act = await self._admin_tools.audit_row(request, "consent.accepted", record.id, record.account)
        await consents.accept_consent(self._consents.store, act)
        found = await self._find_consent(request)
        if found.record.words == "differs":
            raise Conflict("Its recording says something else than the phrase: have it read again.")
        if found.record.accepted is None and found.record.words != "match":
            raise Conflict("Its recording is still to be heard.", code="consent_not_heard_yet")
        return self._reply(request, found)

    @staticmethod
    def _reply(request: Request, consent: ReadableConsent, status: int = 200) -> Response:
        shown = bodies.account_consent if account_of(request) is None else bodies.consent_entry
        return reply(shown(consent), status)

    async def _find_consent(self, request: Request) -> ReadableConsent:
        return await self._consents.find_consent(account_of(request), request.path_params["id"])
