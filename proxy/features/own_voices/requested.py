"""Finds the saved voice that a request names, and the terms of its owner. Under /v1 it is a voice of the
caller, under /admin a voice of any account."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Unpack

import msgspec
from starlette.requests import Request

from policies.plans import Terms
from proxy.access import admission
from proxy.access.callers import caller_of
from proxy.api.admin_tools import AdminTools, check_open, with_account_query
from proxy.catalogue.library import Library
from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.reader import names_hint
from proxy.errors import Conflict, NotFound
from proxy.feature import RevisionContext
from proxy.features.own_voices.library_writer import LibraryWriter, voice_not_own
from proxy.features.voice_list.voice_routes import ROOTS
from proxy.features.voice_list.voices import VoiceTools
from proxy.file_store.once import Once
from proxy.http.endpoint import Struct
from proxy.http.idempotency import read_key
from proxy.http.resource import Details, Method, Verb, account_of, endpoint, second_path
from proxy.storage import audit
from proxy.storage.accounts import Account


def voice_endpoint(
    verb: Verb,
    tail: str,
    *structs: Struct,
    media: tuple[str, ...] = (),
    admin: tuple[str, str] | None = None,
    makes_once: str = "",
    **details: Unpack[Details],
) -> Callable[[Method], Method]:
    """Declare that a method answers the paths that end with `tail`, under each root of `ROOTS`. See
    `endpoint`.

    `admin` is the name and the summary of the same endpoint under /admin/voices. That one has no
    `makes_once`: an operator's requests have no Idempotency-Keys.
    """
    also = None
    if admin is not None:
        name, summary = admin
        path = f"/admin/voices{tail.replace(':path', '')}"
        of_any = with_account_query(details)
        of_any["pace"] = "usual"
        also = second_path(path, name, summary=summary, **of_any)

    def declare(method: Method) -> Method:
        for root, suffix in reversed(ROOTS):
            endpoint(
                verb,
                f"{root}{tail}",
                *structs,
                media=media,
                name=f"{method.__name__}{suffix}",
                makes_once=makes_once,
                also=also if (root, suffix) == ROOTS[-1] else None,
                **details,
            )(method)
        return method

    return declare


class RequestedVoices(NamedTuple):
    """The parts that the handlers of both roots share. A command serves /admin alone, and has no
    `voice_tools`."""

    voice_tools: VoiceTools | None
    admin_tools: AdminTools
    library_writer: LibraryWriter

    @classmethod
    def of(cls, revision: RevisionContext, library_writer: LibraryWriter) -> RequestedVoices:
        return cls(VoiceTools.of(revision), revision.admin_tools, library_writer)

    @property
    def tools(self) -> VoiceTools:
        assert self.voice_tools is not None, "only a server answers under /v1"
        return self.voice_tools

    async def requested_voice(self, request: Request) -> VoiceRecord:
        """Return the row of the voice in the path. Raises NotFound.

        Under /admin, its texts are opened, if they can be.
        """
        if account_of(request) is None:
            return await find_voice(self.admin_tools, self.library_writer.library, request)
        return await self.own_voice(request, request.path_params["id"])

    async def own_voice(self, request: Request, name: str) -> VoiceRecord:
        """Return the row of a voice of the caller's account. Raises NotFound."""
        record = await self.library_writer.library.find_record(caller_of(request.scope).account, name)
        if record is None:
            # If the caller cannot speak with a voice of this name either, `voice_named` raises.
            (await self.tools.voice_entries(request)).known.voice_named(name)
            raise voice_not_own(name)
        return record

    async def open_account(self, id_or_name: str) -> Account:
        owner = await self.admin_tools.find_account(id_or_name)
        check_open(owner)
        return owner

    async def account_terms(self, request: Request, account: str) -> Terms:
        """Return the terms of the account's plan. Under /admin, raises Conflict if it is not in force."""
        if account_of(request) is None:
            return terms_in_force(self.admin_tools, await self.open_account(account))
        return self.tools.plans.terms(caller_of(request.scope))

    async def record_act(self, request: Request, action: str, record: VoiceRecord) -> None:
        """Record an operator's act on a voice, before it is done."""
        if (
            act := await self.admin_tools.act_if_admin(request, action, record.id, record.account)
        ) is not None:
            await self.library_writer.store.write(*audit.insert_statements(act))

    async def find_request_digest(self, account: str, id_: str) -> str | None:
        """Return the digest of the request that made a voice. None: there is no such voice."""
        record = await self.library_writer.find_voice(account, id_)
        return None if record is None else record.request


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key of a caller's request. Raises InvalidRequest."""
    if account_of(request) is None:
        return None
    return read_key(request.headers.getlist("idempotency-key"))


def once_for(request: Request, key: str, digest: bytes) -> Once:
    account = caller_of(request.scope).account
    return Once(request.scope["state"]["request_id"], account, key, digest)


def terms_in_force(admin_tools: AdminTools, owner: Account) -> Terms:
    """Return the terms of an account's plan. Raises Conflict if it is not in force."""
    terms = admission.terms_in_force(owner, admin_tools.config)
    if terms is None:
        raise Conflict(f"The plan of the account '{owner.name}' is not in force.", param="account")
    # As with casts, the operator is not held to the room of the plan.
    return msgspec.structs.replace(terms, voices=None)


async def find_voice(admin_tools: AdminTools, library: Library, request: Request) -> VoiceRecord:
    """Return the saved voice that a request names, of the account that it names. Raises NotFound."""
    name = request.path_params["id"]
    account = await admin_tools.query_account(request)
    record = await library.find_any(account, name)
    if record is not None and account in (None, record.account):
        return record
    own = await library.get(account or "")
    saved = names_hint(name, [voice.name for voice in own.listed], "saved voices")
    if name in admin_tools.config.voices:
        why = (
            f"The voice '{name[:80]}' is in the configuration; only what was saved can be changed or deleted."
        )
    elif account is None:
        why = (
            f"No voice '{name[:80]}' was saved for everybody; "
            f"an account's is named by its id, or with the account. {saved}"
        )
    else:
        why = f"The account has no voice '{name[:80]}'. {saved}"
    raise NotFound(why, param="voice", code="voice_not_found")
