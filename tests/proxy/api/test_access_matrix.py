"""Who reaches what: each role on each endpoint, and on each object of another account.

The rows come from the server's own endpoints, so a new one is in the matrix from its first day.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from proxy.http.endpoint import Endpoint
from tests.proxy.api.inside import TONE, Inside, envelope, inside

ROLES = ("nobody", "invented", "revoked", "closed", "owner", "stranger", "admin")
WITHOUT_A_KEY = ("nobody", "invented", "revoked", "closed")
UNKNOWN = "nothing_0123456789abcdef01234567"


class Doors(NamedTuple):
    """A server, a key of each role, and what the account `owner` has, by kind, as paths name it."""

    server: Inside
    keys: dict[str, str]
    objects: dict[str, str]
    addresses: Iterator[int]

    async def ask(self, role: str, endpoint: Endpoint, id_: str) -> httpx2.Response:
        """Ask from an address of its own, since failed keys of one address are soon no longer looked at."""
        address = str(ip_address("10.0.0.0") + next(self.addresses))
        transport = httpx2.ASGITransport(app=self.server.worker.public, client=(address, 1))
        headers = {"authorization": f"Bearer {self.keys[role]}"} if self.keys[role] else {}
        path = endpoint.shown_path.replace("{id}", id_).replace("{name}", id_)
        async with httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test") as client:
            return await client.request(endpoint.method, path, headers=headers)


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with inside(tmp_path, TONE) as server:
        keys = {"nobody": "", "invented": "sk-" + "0" * 48, "stranger": server.key}
        keys["admin"] = server.admin_key
        for role, account in (("owner", "owner"), ("revoked", "owner"), ("closed", "gone")):
            await server.administer("POST", "accounts", {"name": account, "plan": "unlimited"})
            made = (await server.administer("POST", "keys", {"account": account})).json()
            keys[role] = made["key"]
            if role == "revoked":
                await server.administer("DELETE", f"keys/{made['id']}")
        await server.administer("DELETE", "accounts/gone")
        yield Doors(server, keys, await _objects(server, keys["owner"]), count(1))


async def _objects(server: Inside, key: str) -> dict[str, str]:
    """Make one of each thing that an account owns."""
    cast = {"name": "my secret cast", "cast": {"Ana": "alloy"}}
    voice = (await server.ask("POST", "/v1/audio/voices", key=key, body=cast)).json()
    words = {"words": {"Xanthippe": "zan tippy"}}
    assert (await server.ask("PUT", "/v1/lexicons/secret-words", key=key, body=words)).status_code == 200
    say = {"model": "tts-1", "voice": voice["id"], "input": "Ana: For the owner alone."}
    spoken = await server.ask("POST", "/v1/audio/speech", key=key, body=say)
    assert spoken.status_code == 200
    return {"voice": voice["id"], "lexicon": "secret-words", "request": spoken.headers["x-request-id"]}


def _endpoints(server: Inside) -> list[Endpoint]:
    return [endpoint for endpoint in server.worker.endpoints if "{" not in endpoint.path.partition("{id")[0]]


async def test_every_role_on_every_endpoint(doors: Doors) -> None:
    wrong: list[str] = []
    for endpoint in _endpoints(doors.server):
        for role in ROLES:
            if role == "admin" and endpoint.method != "GET":
                continue  # what an admin changes would change the rows that follow
            answer = await doors.ask(role, endpoint, UNKNOWN)
            if (answer.status_code, _code(answer)) not in _allowed(endpoint, role):
                found = f"{answer.status_code} {_code(answer)}"
                wrong.append(f"{role} {endpoint.method} {endpoint.path}: {found}")
    assert not wrong, "\n".join(wrong)


def _allowed(endpoint: Endpoint, role: str) -> Any:
    """The refusals of the door, or all answers that come from behind it."""
    if role in WITHOUT_A_KEY and (role != "nobody" or endpoint.access != "open"):
        # The second answer is for a dead key that is tried again and again.
        return {(401, "invalid_api_key"), (429, "rate_limit_exceeded")}
    if endpoint.is_for_admins and role != "admin":
        return {(403, "not_allowed")}
    return _Behind()


class _Behind:
    def __contains__(self, found: tuple[int, str]) -> bool:
        status, _ = found
        return status not in (401, 403) and status < 500


def _code(answer: httpx2.Response) -> str:
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    return str(envelope(answer)["code"]) if answer.status_code >= 400 and is_json else ""


@pytest.mark.parametrize("role", ["stranger", "nobody", "revoked", "admin"])
async def test_nothing_of_another_account_is_seen_or_hinted_at(doors: Doors, role: str) -> None:
    """An id of somebody else answers, byte for byte, as an id that never was."""
    for endpoint in _endpoints(doors.server):
        if endpoint.is_for_admins or "{" not in endpoint.path:
            continue
        for kind, id_ in doors.objects.items():
            theirs = await doors.ask(role, endpoint, id_)
            unknown = await doors.ask(role, endpoint, UNKNOWN)
            if theirs.status_code == unknown.status_code == 429:
                continue  # a dead key that was tried too often
            told = theirs.text.replace(id_, UNKNOWN)
            assert (theirs.status_code, told) == (unknown.status_code, unknown.text), (kind, endpoint.path)


@pytest.mark.parametrize("role", ["stranger", "admin"])
async def test_no_list_names_what_another_account_has(doors: Doors, role: str) -> None:
    for endpoint in _endpoints(doors.server):
        if endpoint.method != "GET" or endpoint.is_for_admins or "{" in endpoint.path:
            continue
        shown = (await doors.ask(role, endpoint, "")).text
        for secret in ("my secret cast", "Xanthippe", "secret-words", *doors.objects.values()):
            assert secret not in shown, endpoint.path


async def test_what_a_stranger_tried_to_delete_is_there(doors: Doors) -> None:
    for endpoint in _endpoints(doors.server):
        if endpoint.method == "DELETE":
            for id_ in doors.objects.values():
                for role in ("stranger", *WITHOUT_A_KEY):
                    await doors.ask(role, endpoint, id_)
    key = doors.keys["owner"]
    voice = await doors.server.ask("GET", f"/v1/audio/voices/{doors.objects['voice']}", key=key)
    words = await doors.server.ask("GET", "/v1/lexicons/secret-words", key=key)
    assert (voice.status_code, words.status_code) == (200, 200)
