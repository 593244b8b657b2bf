"""The sessions of one worker. The cookie of a session leads to its user, and to the user's row in `keys`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.types import Scope

from policies.tasks import SECOND_US
from proxy.access.callers import key_fault, to_caller, valid_for_s
from proxy.access.sessions import COOKIE, FRESH_US, Session
from proxy.errors import SessionEnded
from proxy.features.users import records
from proxy.storage import audit
from proxy.storage.api_key import digest
from proxy.storage.audit import Act
from proxy.storage.key_records import STATUS_COLUMNS, status_of
from proxy.storage.read_cache import MOST_TOGETHER, ReadCache
from proxy.storage.rows import in_list
from proxy.storage.store import Params, Row, Statement, StorageFailed, Store
from proxy.storage.turns import MOST_ROWS, write_in_turn

HOUR_US = 3600 * SECOND_US
IDLE_US = 7 * 24 * HOUR_US
LONGEST_US = 30 * 24 * HOUR_US
"""A session ends after a week without a use, and in any case after thirty days."""
_MOST_STORED = 10_000
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_BY_HASH = f"""
SELECT sessions.hash AS session_hash, sessions.id AS session, sessions.user_id, sessions.created AS began,
    sessions.seen, {STATUS_COLUMNS}
FROM sessions JOIN users ON users.id = sessions.user_id JOIN keys ON keys.id = users.key
JOIN accounts ON accounts.id = keys.account
WHERE sessions.hash IN ({{hashes}}) AND keys.kind = 'user'
"""
_USES = "SELECT id, created, seen FROM sessions WHERE id IN ({ids})"
_SEEN = "UPDATE sessions SET seen = :now WHERE id IN ({ids}) AND seen < :now"
_LIST_OF_USER = "SELECT id, created, seen FROM sessions WHERE user_id = :user ORDER BY created DESC LIMIT 100"
_IS_OWN = "id = :subject AND user_id = :user"
_END_BATCH = """
DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user_id = :user LIMIT :limit) RETURNING id
"""
_BATCH = MOST_ROWS - 1  # one more row is that of the audit
_TIDY = "DELETE FROM sessions WHERE created <= :whole OR seen <= :idle"

_log = structlog.get_logger()


class SessionRow(NamedTuple):
    """A session by its sign-in and its last use."""

    id: str
    created: int
    seen: int


class _Answer(NamedTuple):
    """What the secret of a cookie leads to. Without a session, it is not cached."""

    session: Session | None
    valid_for_s: float = 0.0


def new_secret() -> str:
    """Return a secret of 256 bits."""
    return secrets.token_urlsafe(32)


def cookie(secret: str) -> str:
    whole_s = LONGEST_US // SECOND_US
    return f"{COOKIE}={secret}; Path=/; Max-Age={whole_s}; Secure; HttpOnly; SameSite=Strict"


def is_over(began: int, seen: int, now: int) -> bool:
    return now >= min(began + LONGEST_US, seen + IDLE_US)


class UserSessions:
    """The sessions of one worker. Each revision of the configuration sets `origin`."""

    def __init__(self, store: Store) -> None:
        self.origin = ""
        self.on_forget: Callable[[], None] = lambda: None
        self._store = store
        self._answers: ReadCache[str, _Answer] = ReadCache(
            self._read,
            lambda answer: answer.valid_for_s,
            max_weight=_MOST_STORED,
            most_together=MOST_TOGETHER,
            gathers_unknown=True,
        )

    async def of_request(self, scope: Scope) -> Session | None:
        sent = sent_secret(scope)
        if sent is None or not is_own_page(scope, self.origin):
            return None
        session = None
        if _SECRET.fullmatch(sent):
            session = (await self._answers.get(digest(sent))).session
        if session is None:
            raise SessionEnded(records.ENDED_COOKIE)
        return session

    async def is_fresh(self, session: Session) -> bool:
        return await self._store.now() < session.fresh_until

    def forget(self, id_: str) -> None:
        """Forget a session, or those of a user or an account, by its id. Call this after the commit."""
        self._answers.forget_if(
            lambda answer: (
                answer.session is not None
                and id_ in (answer.session.id, answer.session.user, answer.session.caller.account)
            )
        )
        self.on_forget()

    async def ended_of(self, ids: Collection[str]) -> set[str]:
        """Return which of these sessions are over."""
        names, params = in_list([*ids])
        rows, now = await self._store.read(_USES.format(ids=names), params), await self._store.now()
        return {*ids} - {row["id"] for row in rows if not is_over(row["created"], row["seen"], now)}

    def forget_voice(self, voice: str, digests: object) -> None:
        """Forget the sessions of an erased user: a user is erased as a voice is."""
        del digests
        self.forget(voice)

    async def tidy(self) -> None:
        now = await self._store.now()
        await self._store.write(Statement(_TIDY, {"whole": now - LONGEST_US, "idle": now - IDLE_US}))

    async def _read(self, digests: Sequence[str]) -> dict[str, _Answer]:
        hashes, params = in_list(digests)
        rows = await self._store.read(_BY_HASH.format(hashes=hashes), params)
        now = await self._store.now()
        answers = {row["session_hash"]: self._answer(row, now) for row in rows}
        stale = [
            row["session"]
            for row in rows
            if answers[row["session_hash"]].session is not None and now - row["seen"] >= HOUR_US
        ]
        if stale:
            await self._note_seen(stale, now)
        return {each: answers.get(each, _Answer(None)) for each in digests}

    def _answer(self, row: Row, now: int) -> _Answer:
        status, began, seen = status_of(row), row["began"], row["seen"]
        if key_fault(status, now) is not None or is_over(began, seen, now):
            return _Answer(None)
        caller = to_caller(status, now)
        session = Session(row["session"], row["user_id"], caller, began + FRESH_US)
        cached = self._answers.last_known(row["session_hash"])
        if cached is not None and cached.session is not None and cached.session.caller == caller:
            # The same object, so that its cached terms and plans stay valid.
            session = cached.session
        end = min(began + LONGEST_US, seen + IDLE_US)
        return _Answer(session, min(valid_for_s(status, now), (end - now) / SECOND_US))

    async def _note_seen(self, stale: Sequence[str], now: int) -> None:
        ids, params = in_list(stale)
        try:
            await self._store.write(Statement(_SEEN.format(ids=ids), {**params, "now": now}))
        except StorageFailed as error:
            _log.warning("session.seen.failed", reason=str(error))


async def list_of_user(store: Store, user: str) -> list[SessionRow]:
    """List the sessions of a user that are not over, the newest first."""
    rows = await store.read(_LIST_OF_USER, {"user": user})
    now = await store.now()
    sessions = [SessionRow(row["id"], row["created"], row["seen"]) for row in rows]
    return [each for each in sessions if not is_over(each.created, each.seen, now)]


async def end_session(store: Store, user: str, act: Act) -> bool:
    """End the session that the act is about, and tell whether the user has it. Forget it afterwards."""
    facts: Params = {"user": user}
    *_, rows = await store.write(
        *audit.insert_statements(act, f"EXISTS (SELECT 1 FROM sessions WHERE {_IS_OWN})", facts),
        Statement(f"DELETE FROM sessions WHERE {_IS_OWN} RETURNING id", {**facts, "subject": act.subject}),
    )
    return bool(rows)


async def end_sessions(store: Store, act: Act) -> int:
    """End all sessions of the user that the act is about, and count them. Forget them afterwards."""
    batch = Statement(_END_BATCH, {"user": act.subject, "limit": _BATCH})
    rows, *_ = await store.write(batch, *audit.insert_statements(act))
    ended = len(rows)
    while len(rows) == _BATCH:
        (rows,) = await write_in_turn(store, _BATCH, batch)
        ended += len(rows)
    return ended


def sent_secret(scope: Scope) -> str | None:
    """Return the value of the cookie, or None without one."""
    for line in Headers(scope=scope).getlist("cookie"):
        for part in line.split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                return value
    return None


def origin_of(url: str) -> str:
    """Return the origin of `public_url` as a browser writes it, or "" without one."""
    parts = urlsplit(url)
    host = parts.netloc.lower()
    usual_port = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    return f"{parts.scheme}://{host.removesuffix(usual_port)}" if host else ""


def is_own_page(scope: Scope, own_origin: str) -> bool:
    """Tell whether a script of this server's own page has sent the request.

    Browsers send the two Sec-Fetch headers to https and loopback, and no script can set them. Old ones send
    `Origin` alone.
    """
    headers = Headers(scope=scope)
    site, destination = headers.getlist("sec-fetch-site"), headers.getlist("sec-fetch-dest")
    if site or destination:
        return site == ["same-origin"] and destination == ["empty"]
    return own_origin != "" and headers.getlist("origin") == [own_origin]


def is_foreign_page(scope: Scope, own_origin: str) -> bool:
    """Tell whether a page of another server has sent the request. Programs send no such headers."""
    headers = Headers(scope=scope)
    is_page = any(name in headers for name in ("sec-fetch-site", "sec-fetch-dest", "origin"))
    return is_page and not is_own_page(scope, own_origin)
