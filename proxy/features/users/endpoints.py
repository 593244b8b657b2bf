"""/v1/sign-ins, /v1/me/sessions and /admin/users: how people sign in, and out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.access.sessions import session_of, session_or_none
from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools, check_open
from proxy.config.fields import missing_parameter
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound, RateLimited
from proxy.features.mail.texts import language_of
from proxy.features.pages.console_redirect import CONSOLE_LOCATION, redirect_to_console
from proxy.features.users import bodies, records, session_store
from proxy.features.users.records import SignInFailed
from proxy.features.users.session_store import UserSessions
from proxy.features.users.sign_ins import LINK_S, SignIns
from proxy.http.body import is_printable, read_body
from proxy.http.lists import PAGE, iso_time, read_table_page
from proxy.http.replies import reply, struct_from
from proxy.http.resource import Resource, endpoint
from proxy.storage.rows import new_id

_MOST_LANGUAGE_CHARACTERS = 100


class SignInRequests(Resource):
    """The mails with a link and a code."""

    def __init__(self, sign_ins: SignIns, sessions: UserSessions) -> None:
        self._sign_ins = sign_ins
        self._sessions = sessions

    @endpoint(
        "POST",
        "/v1/sign-ins",
        bodies.PendingSignIn,
        status=202,
        access="open",
        body=bodies.NewSignIn,
        failures=(NotAllowed, RateLimited),
    )
    async def ask_sign_in(self, request: Request) -> Response:
        """Ask for a mail with a link and a code to sign in"""
        _check_page(request, self._sessions)
        sent = await read_body(request, bodies.NewSignIn)
        pending = await self._sign_ins.request_sign_in(
            sent.address, _language(request), _client_address(request)
        )
        return reply(
            bodies.PendingSignIn(id=pending.id, expires=iso_time(pending.created + LINK_S * 1_000_000)), 202
        )


class Confirmations(Resource):
    """Where links of mails lead, and the confirmation by a link or a code."""

    def __init__(self, sign_ins: SignIns, sessions: UserSessions) -> None:
        self._sign_ins = sign_ins
        self._sessions = sessions

    @endpoint("GET", "/sign-in", status=303, headers=CONSOLE_LOCATION, access="open")
    async def sign_in_page(self, request: Request) -> Response:
        """Leads to the console, where people sign in. What follows # in a link of a mail goes along"""
        return redirect_to_console(request)

    @endpoint(
        "POST",
        "/v1/sign-ins/{id}/confirm",
        bodies.NewSession,
        access="open",
        body=bodies.Confirmation,
        failures=(NotAllowed, SignInFailed, RateLimited),
    )
    async def confirm_sign_in(self, request: Request) -> Response:
        """Sign in with the token of a link, or with the code of a mail. Either works once"""
        _check_page(request, self._sessions)
        sent, old = await read_body(request, bodies.Confirmation), session_or_none(request.scope)
        if bool(sent.token) == bool(sent.code):
            raise missing_parameter("token", ", or 'code'.")
        confirmed = await self._sign_ins.confirm_sign_in(
            request.path_params["id"], sent.token, sent.code, _client_address(request), old
        )
        if old is not None:
            self._sessions.forget(old.id)
        headers = {"set-cookie": session_store.cookie(confirmed.secret)}
        return reply(struct_from(bodies.NewSession, confirmed, id=confirmed.session), headers=headers)


class OwnSessions(Resource):
    """The sessions of the person who has signed in."""

    def __init__(self, admin_tools: AdminTools, sessions: UserSessions) -> None:
        self._admin_tools = admin_tools
        self._sessions = sessions

    @endpoint("GET", "/v1/me/sessions", bodies.SessionList, access="session", is_for_suspended=True)
    async def list_own_sessions(self, request: Request) -> Response:
        """Your sessions, the newest first"""
        session = session_of(request.scope)
        rows = await session_store.list_of_user(self._admin_tools.store, session.user)
        data = [bodies.shown_session(row, session.id) for row in rows]
        return reply(bodies.SessionList(data=data))

    @endpoint(
        "DELETE",
        "/v1/me/sessions/{id}",
        bodies.EndedSession,
        access="session",
        failures=(NotFound,),
        is_for_suspended=True,
    )
    async def end_own_session(self, request: Request) -> Response:
        """Sign out: end one of your sessions"""
        session, id_ = session_of(request.scope), request.path_params["id"]
        act = await self._admin_tools.audit_row(request, "session.ended", id_, session.caller.account)
        was_ended = is_printable(id_) and await session_store.end_session(
            self._admin_tools.store, session.user, act
        )
        if not was_ended:
            raise NotFound(f"You have no session '{id_[:80]}'.", param="id")
        self._sessions.forget(id_)
        headers = {"set-cookie": records.ENDED_COOKIE} if id_ == session.id else None
        return reply(bodies.EndedSession(id=id_), headers=headers)


class AdminUsers(Resource):
    """The users of all accounts, for operators."""

    def __init__(self, admin_tools: AdminTools, sign_ins: SignIns, sessions: UserSessions) -> None:
        self._admin_tools = admin_tools
        self._store = admin_tools.store
        self._sign_ins = sign_ins
        self._sessions = sessions

    @endpoint(
        "GET",
        "/admin/users",
        bodies.UserList,
        queries=(ACCOUNT_QUERY, *PAGE),
        failures=(InvalidRequest, NotFound),
    )
    async def list_users(self, request: Request) -> Response:
        """The users of one account or of all, the newest first"""
        account = await self._admin_tools.query_account(request)
        listed = await read_table_page(request, records.ROWS, self._store, account)
        return await listed.list_response(bodies.UserList, bodies.shown_user)

    @endpoint(
        "POST",
        "/admin/users",
        bodies.Invitation,
        status=201,
        body=bodies.NewInvitation,
        failures=(NotFound, Conflict),
    )
    async def invite_user(self, request: Request) -> Response:
        """Make a link with which a person signs in; it is shown this once"""
        new = await read_body(request, bodies.NewInvitation)
        if not self._admin_tools.config.server.public_url:
            raise Conflict("A link needs this server's address: set [server] public_url.", param="public_url")
        account = ""
        if new.account is not None:
            owner = await self._admin_tools.find_account(new.account)
            check_open(owner)
            account = owner.id
        act = await self._admin_tools.audit_row(
            request, "user.invited", new_id("sin"), account, operator=new.operator
        )
        link, until = await self._sign_ins.invite(new.address, account, new.operator, act)
        return reply(bodies.Invitation(id=act.subject, link=link, expires=iso_time(until)), 201)

    @endpoint("DELETE", "/admin/users/{id}", bodies.RemovedUser, failures=(NotFound,))
    async def remove_user(self, request: Request) -> Response:
        """Erase a user: its sessions end, and its address is forgotten"""
        user = await self._find_user(request)
        act = await self._admin_tools.audit_row(request, "user.removed", user.id, user.account)
        await self._admin_tools.erasing.erase(user, act)
        self._sessions.forget(user.id)
        return reply(bodies.RemovedUser(id=user.id))

    @endpoint("POST", "/admin/users/{id}/sign-out", bodies.SignedOut, failures=(NotFound,))
    async def sign_out_user(self, request: Request) -> Response:
        """End all sessions of a user"""
        user = await self._find_user(request)
        act = await self._admin_tools.audit_row(request, "user.signed_out", user.id, user.account)
        ended = await session_store.end_sessions(self._store, act)
        self._sessions.forget(user.id)
        return reply(bodies.SignedOut(id=user.id, sessions=ended))

    async def _find_user(self, request: Request) -> records.User:
        id_ = request.path_params["id"]
        user = await records.ROWS.get(self._store, None, id_) if is_printable(id_) else None
        if user is None:
            raise NotFound(f"There is no user '{id_[:80]}'; see voxgate users list.", param="id")
        return user


def _check_page(request: Request, sessions: UserSessions) -> None:
    """Refuse pages of other origins: they would sign a visitor in as their author."""
    if session_store.is_foreign_page(request.scope, sessions.origin):
        raise NotAllowed("Only this server's own pages may do this for their visitors.", code="foreign_page")


def _client_address(request: Request) -> str:
    return request.client.host if request.client else ""


def _language(request: Request) -> str:
    accepted = request.headers.get("accept-language", "")[:_MOST_LANGUAGE_CHARACTERS]
    return language_of(accepted.partition(",")[0].partition(";")[0].strip())
