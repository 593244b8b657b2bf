"""Every role at every object of an account: nobody else reads, writes, or learns that there is something."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.store import Params, Row
from tests.proxy.api.inside import TONE, Inside, inside
from tests.proxy.api.owning import agree, clone, new_key, send

CONFIG = (
    TONE.replace("hosted = false", "hosted = false\n") + '[plans.cached]\ncache = true\nconsent = "waived"\n'
)


class World(NamedTuple):
    """Ada has a voice, a mix, a cast, a consent, and an erased voice. Others have keys, nothing of hers."""

    server: Inside
    keys: dict[str, str]
    objects: dict[str, str]


class Action(NamedTuple):
    """One request about an object; `{id}` is its id."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    objects: tuple[str, ...] = ("voice", "mix", "cast")
    is_last: bool = False


ACTIONS = {
    "read": Action("GET", "/v1/audio/voices/{id}"),
    "read short": Action("GET", "/v1/voices/{id}"),
    "change": Action("POST", "/v1/audio/voices/{id}", {"description": "changed"}),
    "export": Action("GET", "/v1/audio/voices/{id}/export"),
    "preview": Action("GET", "/v1/audio/voices/{id}/preview", objects=("voice", "cast")),
    "receipt": Action("GET", "/v1/audio/voices/erasures/{id}", objects=("erased",)),
    "read consent": Action("GET", "/v1/audio/voice_consents/{id}", objects=("consent",)),
    "rename consent": Action("POST", "/v1/audio/voice_consents/{id}", {"name": "x"}, ("consent",)),
    "page behind consent": Action("GET", "/v1/audio/voice_consents?after={id}", objects=("consent",)),
    "page behind voice": Action("GET", "/v1/audio/voices?after={id}"),
    "speak": Action(
        "POST",
        "/v1/audio/speech",
        {"model": "tts-1", "voice": "{id}", "input": "[Ana] Hi."},
        ("voice", "cast"),
    ),
    "cast of it": Action(
        "POST", "/v1/audio/voices", {"name": "{new}", "cast": {"A": "{id}"}}, ("voice",), is_last=True
    ),
    "mix of it": Action(
        "POST",
        "/v1/audio/voices",
        {"name": "{new}", "mix": [{"id": "{id}"}, {"id": "alloy"}]},
        ("voice",),
        is_last=True,
    ),
    "voice with consent": Action("POST", "/v1/audio/voices", {"consent": "{id}"}, ("consent",), is_last=True),
    "delete consent": Action(
        "DELETE", "/v1/audio/voice_consents/{id}", objects=("free consent",), is_last=True
    ),
    "delete": Action("DELETE", "/v1/audio/voices/{id}", is_last=True),
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with inside(tmp_path, CONFIG, plan="cached") as server:
        voice = await clone(server, "Ana")
        mix = {"name": "blend", "mix": [{"id": "alloy"}, {"id": "tone/slow"}]}
        cast = {"name": "talk", "cast": {"Ana": "alloy"}}
        made = [
            (await server.ask("POST", "/v1/audio/voices", body=body)).json()["id"] for body in (mix, cast)
        ]
        erased = (await clone(server, "Gone"))["id"]
        await server.ask("DELETE", f"/v1/audio/voices/{erased}")
        await server.speech(voice="Ana")
        objects = {
            "voice": voice["id"],
            "mix": made[0],
            "cast": made[1],
            "consent": voice["consent"],
            "free consent": (await agree(server))["id"],
            "erased": erased,
        }
        yield World(server, await _keys(server), objects)


async def _keys(server: Inside) -> dict[str, str]:
    store = server.worker.store
    ops = await accounts.create(store, name="ops", plan="unlimited")
    admin, revoked = api_key.mint(), api_key.mint()
    await key_records.create(store, admin, NewKeyRecord(account=ops.id, role="admin"))
    record = await key_records.create(store, revoked, NewKeyRecord(account=server.account.id))
    await key_records.revoke(store, record.id)
    return {
        "owner": server.key,
        "other": await new_key(server, "bob", "cached"),
        "admin": admin.reveal(),
        "revoked": revoked.reveal(),
        "nobody": "",
    }


async def act(world: World, action: Action, id_: str, role: str) -> httpx2.Response:
    path, key = action.path.replace("{id}", id_), world.keys[role]
    if action.path == "/v1/audio/voices" and action.body is not None and "consent" in action.body:
        return await send(world.server, {"name": "other", "consent": id_}, key=key)
    text = json.dumps(action.body).replace("{id}", id_).replace("{new}", f"of {id_}")
    return await world.server.ask(action.method, path, key=key, body=json.loads(text))


def stranger_of(id_: str) -> str:
    """An id of the same form that nobody has."""
    return id_[:-8] + ("0" * 8 if not id_.endswith("0" * 8) else "1" * 8)


def _said(answer: httpx2.Response, id_: str) -> tuple[int, str]:
    return answer.status_code, answer.text.replace(id_, "ID")


_LAST = [name for name, action in ACTIONS.items() if action.is_last]
_OTHERS = [name for name in ACTIONS if name not in _LAST]


# What changes the world has one of its own.
@pytest.mark.parametrize("names", [_OTHERS, *([name] for name in _LAST)], ids=",".join)
async def test_a_stranger_hears_the_same_of_what_is_there_and_of_what_is_not(
    world: World, names: list[str]
) -> None:
    for name in names:
        for object_ in ACTIONS[name].objects:
            await _check(world, ACTIONS[name], object_)


async def _check(world: World, action: Action, object_: str) -> None:
    id_ = world.objects[object_]
    for role in ("other", "admin"):
        there = await act(world, action, id_, role)
        missing = await act(world, action, stranger_of(id_), role)
        assert 400 <= there.status_code < 500, (action, object_, role, there.text)
        assert _said(there, id_) == _said(missing, stranger_of(id_)), (action, object_, role)
        kept = {key: value for key, value in there.headers.items() if _is_telling(key)}
        assert kept == {key: value for key, value in missing.headers.items() if _is_telling(key)}
    for role in ("revoked", "nobody"):
        refused = await act(world, action, id_, role)
        # After some of these, the address has to wait.
        assert refused.status_code in (401, 429)
    answer = await act(world, action, id_, "owner")
    assert answer.is_success, (action, object_, answer.text)


def _is_telling(header: str) -> bool:
    return header not in ("x-request-id", "openai-processing-ms", "content-length", "date")


async def test_the_same_is_read_for_what_is_there_and_for_what_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, asked = world.server.worker.store, list[str]()
    read = store.read

    async def note(sql: str, params: Params | None = None) -> list[Row]:
        asked.append(sql)
        return await read(sql, params)

    monkeypatch.setattr(store, "read", note)
    for name in _OTHERS:
        for object_ in ACTIONS[name].objects:
            id_ = world.objects[object_]
            await act(world, ACTIONS[name], "warm", "other")
            seen = []
            for each in (id_, stranger_of(id_)):
                asked.clear()
                await act(world, ACTIONS[name], each, "other")
                seen.append([*asked])
            assert seen[0] == seen[1], (name, object_)


async def test_lists_have_nothing_of_others(world: World) -> None:
    secrets = [*world.objects.values(), "Ana", "blend", "talk"]
    for path in (
        "/v1/audio/voices",
        "/v1/voices?format=names",
        "/v1/audio/voices?describe=ana",
        "/v1/audio/voice_consents",
        "/v1/usage",
        "/v1/me",
    ):
        for role in ("other", "admin"):
            text = (await world.server.ask("GET", path, key=world.keys[role])).text
            assert not [secret for secret in secrets if re.search(rf"\b{secret}\b", text)], (path, role)
        own = (await world.server.ask("GET", path, key=world.keys["owner"])).text
        assert path == "/v1/me" or world.objects["voice"] in own or world.objects["consent"] in own, path


async def test_the_same_words_of_another_account_are_no_cache_hit(world: World) -> None:
    theirs = await send(world.server, {"name": "Ana"}, key=world.keys["other"])
    body = {"model": "tts-1", "voice": "Ana", "input": "Hello there.", "cache": True}
    for role in ("owner", "other"):
        spoken = await world.server.ask("POST", "/v1/audio/speech", key=world.keys[role], body=body)
        assert spoken.headers["x-voxgate-cache"] == ("hit" if role == "owner" else "miss")
    assert theirs.json()["id"] != world.objects["voice"]


async def test_speech_keys_reach_no_path_of_the_operator(world: World) -> None:
    paths = ("voices", "consents", f"voices/{world.objects['voice']}/export")
    for path in paths:
        for role in ("owner", "other"):
            answer = await world.server.ask("GET", f"/admin/{path}", key=world.keys[role])
            assert answer.status_code == 403
        assert (await world.server.ask("GET", f"/admin/{path}", key=world.keys["admin"])).status_code == 200
