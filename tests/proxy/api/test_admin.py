"""Accounts, keys and engines over /admin, and what each change means for a key in use."""

import asyncio
import re
from urllib.parse import quote

import pytest

from proxy.http import lists
from proxy.storage import accounts
from proxy.storage.store import Params, Statement
from tests.proxy.api.inside import Inside, envelope
from tests.replies import json_of

pytestmark = pytest.mark.slow

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def created(server: Inside, **body: object) -> dict[str, str]:
    made: dict[str, str] = json_of(await server.administer("POST", "keys", {"account": "ada", **body}), 201)
    return made


async def works(server: Inside, secret: str) -> bool:
    status = (await server.ask("GET", "/v1/models", key=secret)).status_code
    assert status in (200, 401)
    return status == 200


async def test_an_older_account_may_have_a_slash_in_its_name(server: Inside) -> None:
    await accounts.create(server.worker.store, name="50/50", plan="free")
    assert (await server.administer("GET", "accounts/50%2F50")).json()["name"] == "50/50"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "param"),
    [
        ("POST", "accounts", {"name": "ada"}, 409, "conflict", "name"),
        ("POST", "accounts/nobody", {"plan": "pro"}, 404, "not_found", "account"),
        ("POST", "keys", {"account": "ada", "name": "x" * 101}, 400, "invalid_value", "name"),
        ("POST", "keys", {"account": "ada", "expires_in_s": 2**62}, 400, "invalid_value", "expires_in_s"),
        ("POST", "accounts", [1], 400, "invalid_json", None),
    ],
)
async def test_every_refusal_names_what_is_wrong(
    server: Inside, method: str, path: str, body: object, status: int, code: str, param: str | None
) -> None:
    answer = await server.administer(method, path, body)
    error = envelope(answer)
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert answer.headers.get("x-should-retry") == ("false" if status == 409 else None)
    assert "Optional" not in error["message"]


async def test_a_dead_key_is_not_rotated(server: Inside) -> None:
    await server.administer("POST", "accounts", {"name": "bob"})
    expired, orphan = await created(server, expires_in_s=3600), await created(server, account="bob")
    past: Params = {"expires": await server.worker.store.now() - 1, "id": expired["id"]}
    await server.worker.store.write(Statement("UPDATE keys SET expires = :expires WHERE id = :id", past))
    await server.administer("DELETE", "accounts/bob")
    before = (await server.administer("GET", "keys")).json()
    for dead in (expired, orphan):
        answer = await server.administer("POST", f"keys/{dead['id']}/rotate")
        assert (answer.status_code, envelope(answer)["param"]) == (400, "id")
    assert (await server.administer("GET", "keys")).json() == before


async def test_an_expired_key_is_dead(server: Inside) -> None:
    made, kept = await created(server, expires_in_s=3600), await created(server, expires_in_s=3600)
    past: Params = {"expires": await server.worker.store.now() - 1, "id": made["id"]}
    await server.worker.store.write(Statement("UPDATE keys SET expires = :expires WHERE id = :id", past))
    answer = await server.ask("GET", "/v1/models", key=made["key"])
    assert answer.status_code == 401
    assert envelope(answer)["message"].endswith("It has expired.")
    assert await works(server, kept["key"])


async def test_an_expiry_is_so_many_seconds_from_now(server: Inside) -> None:
    before = await server.worker.store.now()
    made = (await server.administer("POST", "keys", {"account": "ada", "expires_in_s": 60})).json()
    after = await server.worker.store.now()
    assert lists.iso_time(before + 60_000_000) <= made["expires"] <= lists.iso_time(after + 60_000_000)


async def test_every_time_in_an_answer_has_one_form(server: Inside) -> None:
    ada = (await server.administer("GET", "accounts/ada")).json()
    await created(server, expires_in_s=60)
    revoked = (await server.administer("DELETE", f"keys/{(await created(server))['id']}")).json()
    cast = {"name": "stage", "cast": {"Ana": "alloy"}}
    voice = (await server.administer("POST", "voices", cast)).json()
    words = {"account": "ada", "words": {"Ana": "Anna"}}
    lexicon = (await server.administer("PUT", "lexicons/pt", words)).json()
    (entry, *_) = (await server.administer("GET", "audit")).json()["data"]
    times = [ada["created"], ada["anchor"], ada["cycle"]["start"], revoked["created"], revoked["revoked"]]
    times += [voice["created"], lexicon["changed_at"], entry["at"], ada["keys"][0]["created"]]
    assert [time for time in times if not _TIME.fullmatch(time)] == []


@pytest.mark.parametrize("name", ["nul\x00", "line\nfeed", "\x1b[31mred"])
async def test_control_characters_are_refused_by_name_and_unknown_in_a_path(
    server: Inside, name: str
) -> None:
    refused = await server.administer("POST", "accounts", {"name": name})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "name")
    unknown = await server.administer("GET", f"accounts/{quote(name)}")
    assert unknown.status_code == 404


@pytest.mark.parametrize("name", ["50\u00a0%", "\U0001f468\u200d\U0001f469", "[bold]"])
async def test_a_name_that_is_taken_is_found_again(server: Inside, name: str) -> None:
    assert (await server.administer("POST", "accounts", {"name": name})).status_code == 201
    shown = await server.administer("GET", f"accounts/{quote(name, safe='')}")
    assert (shown.status_code, shown.json().get("name")) == (200, name)


async def test_the_second_of_two_rotations_at_once_is_refused(server: Inside) -> None:
    await server.administer("POST", "accounts", {"name": "bob"})
    old = await created(server, account="bob")
    path = f"keys/{old['id']}/rotate"
    answers = await asyncio.gather(*(server.administer("POST", path) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [201, 400]
    listed = (await server.administer("GET", "keys?account=bob")).json()["data"]
    assert sum(key["revoked"] is None for key in listed) == 1
