"""The API keys that users make: within their plan's limit, good at once, and never an operator's."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.access.callers import CACHED_S, Callers
from proxy.errors import InvalidKey
from proxy.storage import api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.rows import new_id
from tests.features.users.people import PEOPLE, Person, person, user_of
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.replies import json_of
from tests.tables import each_row

_PLANS = '[plans.two]\nkeys = 2\n[plans.none]\nkeys = 0\nprice = "$1"\n'


@pytest.fixture
async def server(tmp_path: Path, store_url: str) -> AsyncIterator[Inside]:
    async with inside(tmp_path, f'{TONE}{_PLANS}{PEOPLE}[storage]\nurl = "{store_url}"\n') as opened:
        yield opened


async def make(who: Person, **fields: object) -> tuple[int, dict[str, object]]:
    answer = await who.ask("POST", "/v1/keys", fields)
    return answer.status_code, envelope(answer) if answer.is_error else answer.json()


async def test_a_key_works_at_once_and_ends_within_seconds_everywhere(server: Inside) -> None:
    ana = await person(server, "ana")
    caps = {"rpm": 30, "streams": 1, "max_characters": None, "pace": None}
    made = json_of(await ana.ask("POST", "/v1/keys", {"name": "bot", "caps": caps, "expires_in_s": 60}), 201)
    assert (made["role"], made["account"], made["caps"]) == ("speech", ana.account.id, caps)
    me = json_of(await server.ask("GET", "/v1/me", key=made["key"]))
    assert (me["key"]["id"], me["key"]["name"], me["user"]) == (made["id"], "bot", None)
    rotated = json_of(await ana.ask("POST", f"/v1/keys/{made['id']}/rotate"), 201)
    assert (rotated["expires"], rotated["caps"]) == (made["expires"], caps)
    now = [0.0]
    another = Callers(server.worker.store, lambda: now[0])
    await another.identify(rotated["key"])
    assert (await ana.ask("DELETE", f"/v1/keys/{rotated['id']}")).status_code == 200
    for secret in (made["key"], rotated["key"]):
        assert (await server.ask("GET", "/v1/me", key=secret)).status_code == 401
    await another.identify(rotated["key"])
    now[0] = CACHED_S + 0.001
    with pytest.raises(InvalidKey):
        await another.identify(rotated["key"])
    listed = json_of(await ana.ask("GET", "/v1/keys"))["data"]
    assert [key["revoked"] is None for key in listed] == [False, False, True]
    acts = json_of(await server.administer("GET", f"audit?account={ana.account.id}"))["data"]
    assert [act["action"] for act in acts] == ["key.revoked", "key.rotated", "key.created"]
    store = server.worker.store
    (row,) = await store.read("SELECT key FROM users WHERE id = :id", {"id": ana.user})
    assert {act["actor"] for act in acts} == {row["key"]}


async def test_requests_at_once_make_no_more_keys_than_the_plan_allows(server: Inside) -> None:
    ana = await person(server, "ana", "two")
    made = await asyncio.gather(*(make(ana) for _ in range(4)))
    assert sorted(status for status, _ in made) == [201, 403, 403, 403]
    (failure,) = {str(found["code"]) for status, found in made if status == 403}
    assert failure == "too_many_keys"
    assert len(json_of(await ana.ask("GET", "/v1/keys"))["data"]) == 2


async def test_a_plan_without_keys_says_so(server: Inside) -> None:
    status, failure = await make(await person(server, "ana", "none"))
    assert (status, failure["code"]) == (403, "no_api_keys")
    assert failure["message"] == "Your plan 'none' has no API keys."


async def test_nothing_of_a_user_or_an_operator_is_a_key_of_the_account(server: Inside) -> None:
    ana = await person(server, "ana")
    ben = await user_of(server, ana.account, "ben@example.org")
    store = server.worker.store
    wanted = NewKeyRecord(account=ana.account.id, role="admin")
    admin = await key_records.create(store, api_key.mint(), wanted)
    people = [row["key"] for row in await store.read("SELECT key FROM users")]
    for id_ in (*people, admin.id, "key_0"):
        for method, path in (("DELETE", f"/v1/keys/{id_}"), ("POST", f"/v1/keys/{id_}/rotate")):
            assert (await ben.ask(method, path)).status_code == 404, (method, id_)
    listed = json_of(await ben.ask("GET", "/v1/keys"))["data"]
    assert {key["id"] for key in listed}.isdisjoint([*people, admin.id])
    for id_ in people:
        assert (await server.administer("DELETE", f"keys/{id_}")).status_code == 404, "nor for operators"
    (status,) = {(await who.ask("GET", "/v1/me")).status_code for who in (ana, ben)}
    assert status == 200


@each_row(
    "body, param",
    [
        ({"name": "x" * 101}, "name"),
        ({"name": "a\r\nb"}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": 5}, "name"),
        ({"expires_in_s": 0}, "expires_in_s"),
        ({"expires_in_s": "1h"}, "expires_in_s"),
        ({"caps": {"rpm": 0}}, "caps.rpm"),
        ({"caps": {"keys": 1}}, "caps.keys"),
        ({"caps": 3}, "caps"),
    ],
)
async def test_a_key_with_a_bad_field_is_refused_by_its_name(
    server: Inside, body: dict[str, object], param: str
) -> None:
    ana = await person(server, new_id("ana"))
    status, failure = await make(ana, **body)
    assert (status, failure["param"]) == (400, param)
