"""Accounts with users who have signed in, on a worker inside the test's process."""

import secrets
from typing import Any, NamedTuple

import httpx2

from proxy.access.sessions import COOKIE
from proxy.storage import accounts, api_key, key_records
from proxy.storage.accounts import Account
from proxy.storage.api_key import digest
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.rows import new_id
from proxy.storage.store import Params, Statement
from tests.proxy.api.inside import Inside

PEOPLE = '[users]\nsign_up = "invite"\n'
"""The configuration in which people sign in."""
_USER = "INSERT INTO users VALUES (:id, :account, :key, :address, 'en', 0, 1, :now)"
_SESSION = "INSERT INTO sessions VALUES (:id, :user, :hash, :now, :now)"
_AS_USER = "UPDATE keys SET kind = 'user' WHERE id = :key"


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
    user, cookie = new_id("usr"), secrets.token_urlsafe(32)
    now = await store.now() - age_s * 1_000_000
    values: Params = {"id": user, "account": account.id, "key": row.id, "address": address, "now": now}
    session: Params = {"id": new_id("ses"), "user": user, "hash": digest(cookie), "now": now}
    await store.write(
        Statement(_AS_USER, {"key": row.id}), Statement(_USER, values), Statement(_SESSION, session)
    )
    assert key.kind == "key"
    return Person(server, account, user, address, cookie, secret.reveal())
