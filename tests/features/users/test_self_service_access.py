"""Who reaches what users do for themselves: each endpoint with no key, a key, and sessions of each state."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from proxy.access.sessions import COOKIE
from proxy.storage import accounts
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.store import Params, Statement
from tests.features.users.people import PEOPLE, Person, person
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.replies import json_of

_ADMIN = "/admin/accounts/owner"
_ENDPOINTS: dict[str, Any] = {
    "GET /v1/keys": None,
    "POST /v1/keys": {"name": "x"},
    "POST /v1/keys/{key}/rotate": None,
    "DELETE /v1/keys/{key}": None,
    "GET /v1/me": None,
    "POST /v1/me": {"preferred_voice": "alloy"},
    "POST /v1/me/close": {"address": "x@example.org"},
    f"GET {_ADMIN}": None,
    f"POST {_ADMIN}/reset-cycle": {"reason": "x"},
}
_NO_KEY, _NO_SESSION = "401 invalid_api_key", "403 session_needed"
_SUSPENDED, _ENDED, _AGAIN = "403 account_suspended", "401 session_ended", "403 sign_in_again"
_FORBIDDEN, _ABSENT, _MINE = "403 not_allowed", "404 not_found", "200"
_EXPECTED: dict[str, tuple[str, ...]] = {
    "nobody": (_NO_KEY,) * 9,
    "key": (*(_NO_SESSION,) * 4, _MINE, _MINE, _NO_SESSION, _FORBIDDEN, _FORBIDDEN),
    "stale": (_MINE, *(_AGAIN,) * 3, _MINE, _MINE, _AGAIN, _FORBIDDEN, _FORBIDDEN),
    "stranger": (_MINE, "201", _ABSENT, _ABSENT, _MINE, _MINE, "400 invalid_value", _FORBIDDEN, _FORBIDDEN),
    "suspended": (*(_SUSPENDED,) * 6, "400 invalid_value", _SUSPENDED, _SUSPENDED),
    "suspended key": (_SUSPENDED,) * 9,
    "closed": (_ENDED,) * 9,
    "closed key": (_NO_KEY,) * 9,
    # The owner comes last: it succeeds, so that no other has changed anything before.
    "owner": (_MINE, "201", "201", "200", _MINE, _MINE, "400 invalid_value", _FORBIDDEN, _FORBIDDEN),
}


_ORDER = """
INSERT INTO orders (id, account, provider, seller, is_live, kind, offer, title, credits, amount, currency,
    created, expires)
VALUES ('ord_1', :of, 'a', 's', 0, 'pack', 'small', 'Small', 5, 2990, 'BRL', 1, 2)
"""
_PAID = """
INSERT INTO payments (id, order_id, account, amount, currency, refunded, disputed, credits, credited, booked,
    created, changed)
VALUES (:id, 'ord_1', :of, 2990, :currency, :back, 0, 5, 5, 1, 1, 1)
"""


class World(NamedTuple):
    server: Inside
    people: dict[str, Person]
    key: str
    """The id of a key of the owner."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with inside(tmp_path, TONE + PEOPLE) as server:
        store = server.worker.store
        names = ("owner", "stranger", "suspended", "closed")
        people = {name: await person(server, name) for name in names}
        people["stale"] = await person(server, "stale", age_s=16 * 60)
        id_ = people["suspended"].account.id
        act = Act(id=new_id("aud"), at=await store.now(), actor="x", action="y", subject=id_, account=id_)
        await accounts.suspend(store, id_, act)
        await accounts.close(store, people["closed"].account.id)
        made = json_of(await people["owner"].ask("POST", "/v1/keys", {"name": "first"}), 201)
        yield World(server, people, made["id"])


async def _ask(world: World, role: str, endpoint: str) -> httpx2.Response:
    method, path = endpoint.replace("{key}", world.key).split(" ")
    of, body = role.removesuffix(" key"), _ENDPOINTS[endpoint]
    if role == "nobody":
        return await world.server.ask(method, path, key="", body=body)
    if role.endswith("key"):
        caller = world.people[of if of != "key" else "owner"]
        return await world.server.ask(method, path, key=caller.key, body=body)
    return await world.people[role].ask(method, path, body)


async def test_each_endpoint_answers_the_right_callers_alone(world: World) -> None:
    found = {}
    for role, expected in _EXPECTED.items():
        assert len(expected) == len(_ENDPOINTS)
        answers = [await _ask(world, role, endpoint) for endpoint in _ENDPOINTS]
        found[role] = tuple(
            f"{each.status_code} {envelope(each)['code']}" if each.is_error else str(each.status_code)
            for each in answers
        )
    assert found == _EXPECTED


async def test_lists_and_answers_have_nothing_of_another_account(world: World) -> None:
    owner, stranger = world.people["owner"], world.people["stranger"]
    listed = json_of(await stranger.ask("GET", "/v1/keys"))["data"]
    assert [key["account"] for key in listed] == [stranger.account.id]
    me = json_of(await stranger.ask("GET", "/v1/me"))
    assert me["user"] == {
        "id": stranger.user,
        "address": stranger.address,
        "language": "en",
        "mails": True,
    }
    assert json_of(await world.server.ask("GET", "/v1/me", key=stranger.key))["user"] is None
    await world.server.worker.store.write(Statement(_ORDER, {"of": owner.account.id}))
    for payment, currency, back in (("a:1", "BRL", 1000), ("a:2", "BRL", 0), ("b:1", "USD", 2990)):
        paid: Params = {"id": payment, "of": owner.account.id, "currency": currency, "back": back}
        await world.server.worker.store.write(Statement(_PAID, paid))
    shown = json_of(await world.server.administer("GET", "accounts/owner"))
    assert [user["id"] for user in shown["users"]] == [owner.user]
    assert (shown["paid"], shown["cost_usd"]) == ({"BRL": "49.80", "USD": "0.00"}, 0)


async def test_a_session_closes_its_suspended_account_and_all_ends(world: World) -> None:
    left = world.people["suspended"]
    assert (await left.ask("POST", "/v1/me/close", {"address": "nobody@example.org"})).status_code == 400
    closed = await left.ask("POST", "/v1/me/close", {"address": "Suspended@EXAMPLE.org"})
    assert json_of(closed)["id"] == left.account.id
    cookie = closed.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=;")
    assert "Max-Age=0" in cookie
    again = await left.ask("POST", "/v1/me/close", {"address": left.address})
    assert (again.status_code, envelope(again)["code"]) == (401, "session_ended")
    assert (await world.server.ask("GET", "/v1/me", key=left.key)).status_code == 401
    store = world.server.worker.store
    for table in ("users", "sessions", "sign_ins", "mails", "audit", "accounts", "keys", "erasures"):
        assert left.address not in repr(await store.read(f"SELECT * FROM {table}")), table
    acts = json_of(await world.server.administer("GET", f"audit?account={left.account.id}"))["data"]
    assert acts[0]["action"] == "account.closed"
    assert (await world.people["owner"].ask("GET", "/v1/me")).status_code == 200
