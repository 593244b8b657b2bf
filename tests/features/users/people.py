"""Accounts with users who have signed in, on a worker inside the test's process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx2
import pytest
from starlette.types import Scope

from proxy import app
from proxy.access.callers import caller_at, key_fault
from proxy.access.sessions import COOKIE, FRESH_US, Session
from proxy.errors import SessionEnded
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.all import all_features
from proxy.features.users.own_account import SelfService
from proxy.features.users.own_keys import OwnKeys
from proxy.features.users.records import ENDED_COOKIE
from proxy.storage import accounts, api_key, key_records
from proxy.storage.accounts import Account
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.rows import new_id
from proxy.storage.store import Params, Statement, Store
from tests.proxy.api.inside import Inside

_USER = "INSERT INTO users VALUES (:id, :account, :key, :address, :address, 'en', 0, 1, :now)"
_SESSION = "INSERT INTO sessions VALUES (:id, :user, :hash, :now, :now)"
_AS_USER = "UPDATE keys SET kind = 'user' WHERE id = :key"
_FOUND = """
SELECT sessions.id, user_id, users.key, sessions.created FROM sessions JOIN users ON users.id = user_id
WHERE hash = :hash
"""


class Person(NamedTuple):
    """A user with a session, the account's API key, and a second one to act on."""

    server: Inside
    account: Account
    user: str
    address: str
    cookie: str
    key: str

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """As the console asks, with the cookie and no key."""
        sent = {"cookie": f"{COOKIE}={self.cookie}", "sec-fetch-site": "same-origin", **headers}
        return await self.server.ask(method, path, key="", body=body, **{"sec-fetch-dest": "empty", **sent})


async def person(server: Inside, name: str, plan: str = "", *, age_s: int = 0) -> Person:
    """Open an account with one user, who signed in so many seconds ago."""
    store = server.worker.store
    account = await accounts.create(store, name=name, plan=plan or server.account.plan)
    return await user_of(server, account, f"{name}@example.org", age_s=age_s)


async def user_of(server: Inside, account: Account, address: str, *, age_s: int = 0) -> Person:
    store, secret = server.worker.store, api_key.mint()
    key = await key_records.create(store, secret, NewKeyRecord(account=account.id))
    row = await key_records.create(store, api_key.mint(), NewKeyRecord(account=account.id))
    user, cookie = new_id("usr"), new_id("tok")
    now = await store.now() - age_s * 1_000_000
    values: Params = {"id": user, "account": account.id, "key": row.id, "address": address, "now": now}
    session = {"id": new_id("ses"), "user": user, "hash": api_key.digest(cookie), "now": now}
    await store.write(
        Statement(_AS_USER, {"key": row.id}), Statement(_USER, values), Statement(_SESSION, session)
    )
    assert key.kind == "key"
    return Person(server, account, user, address, cookie, secret.reveal())


class RowSessions:
    """Sessions by their rows, without a cache."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_request(self, scope: Scope) -> Session | None:
        headers = dict(scope["headers"])
        name, _, value = headers.get(b"cookie", b"").decode().partition("=")
        if name != COOKIE or headers.get(b"sec-fetch-dest") != b"empty":
            return None
        rows = await self._store.read(_FOUND, {"hash": api_key.digest(value)})
        status = await key_records.by_id(self._store, rows[0]["key"]) if rows else None
        now = await self._store.now()
        if status is None or key_fault(status, now) is not None:
            raise SessionEnded(ENDED_COOKIE)
        row = rows[0]
        return Session(row["id"], row["user_id"], caller_at(status, now), row["created"] + FRESH_US)

    async def is_fresh(self, session: Session) -> bool:
        return await self._store.now() < session.fresh_until


def serve_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve what users do for themselves, with sessions by their rows."""
    features = [_served(each) if each.name == "users" else each for each in all_features()]
    monkeypatch.setattr(app, "all_features", lambda: tuple(features))


def _served(feature: Feature) -> Feature:
    @asynccontextmanager
    async def open_(context: AppContext) -> AsyncIterator[FeatureInstance]:
        def at(revision: RevisionContext) -> Additions:
            assert revision.voices is not None
            tools, voices = revision.admin_tools, revision.voices
            own = [*OwnKeys(tools, voices.plans).endpoints, *SelfService(tools, voices).endpoints]
            return Additions(own, sessions=RowSessions(context.store))

        async with feature.open(context) as opened:
            yield opened._replace(at=at)

    return feature._replace(open=open_)
