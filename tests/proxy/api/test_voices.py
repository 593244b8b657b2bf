"""Casts that are saved as voices: for one account or for everybody; and voices found by a description."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from speech_engine import Language
from tests.proxy.api.inside import TONE, Inside, envelope, inside, inside_fixture
from tests.proxy.api.scripted import Scripted
from tests.tables import each_row

CONFIG = f"""{TONE}
[plans.small]
voices = 2
[voices.ana]
tone = "tone"
language = "pt-BR"
gender = "female"
age = "old"
tags = ["warm"]
description = "Reads bedtime stories."
[voices.chai]
tone = "slow"
language = "th"
gender = "male"
[voices.duo]
cast = {{ Ana = "ana", Chai = "chai" }}
"""
CAST = {"Ana": "alloy", "Ben": "tone/slow"}

server = inside_fixture(CONFIG, plan="small")


async def save(server: Inside, key: str | None = None, **body: object) -> httpx2.Response:
    sent = {"name": "dialogue", "cast": CAST, **body}
    return await server.ask("POST", "/v1/audio/voices", key=key, body=sent)


async def ids(server: Inside, key: str | None = None, query: str = "") -> list[str]:
    answer = await server.ask("GET", f"/v1/voices?{query}", key=key)
    return [voice["id"] for voice in answer.json()["data"] if not voice["id"].startswith("tone/")]


@each_row("wanted", ["ana", "tone/tone", "stage"])
async def test_a_voice_of_the_server_is_not_ones_own_to_delete(server: Inside, wanted: str) -> None:
    await server.administer("POST", "voices", {"name": "stage", "cast": CAST})
    answer = await server.ask("DELETE", f"/v1/voices/{wanted}")
    error = envelope(answer)
    assert (answer.status_code, error["code"]) == (404, "voice_not_found")
    assert f"'{wanted}' is the server's, not yours" in error["message"]


@each_row(
    ("name", "status"), [("ana", 409), ("duo", 409), ("alloy", 409), ("onyx", 409), ("a/b", 400), ("/", 400)]
)
async def test_no_saved_voice_stands_before_one_of_the_server(server: Inside, name: str, status: int) -> None:
    for answer in (
        await save(server, name=name),
        await server.administer("POST", "voices", {"name": name, "cast": CAST, "account": server.account.id}),
    ):
        assert (answer.status_code, envelope(answer)["param"]) == (status, "name")
    assert sorted(await ids(server)) == ["alloy", "ana", "chai", "duo"]


async def test_a_cast_is_found_by_its_description_and_tags(server: Inside) -> None:
    like = {"description": "Two friends in a quarrel.", "tags": ["raspy", "dialogue"]}
    voice = (await save(server, None, **like)).json()
    assert {key: voice[key] for key in like} == like
    for described in ("quarrel", "hoarse"):
        assert await ids(server, query=f"describe={described}") == [voice["id"]]


@each_row(
    "like",
    [
        {"description": "a\x00b"},
        {"tags": "warm"},
        {"tags": [""]},
        {"tags": ["x" * 51]},
        {"tags": [1]},
    ],
)
async def test_the_description_of_a_cast_has_its_limits(server: Inside, like: dict[str, object]) -> None:
    answer = await save(server, None, **like)
    assert (answer.status_code, envelope(answer)["param"]) == (400, next(iter(like)))


@each_row(
    ("body", "param", "code"),
    [
        ({"cast": {"": "ana"}}, "cast", "invalid_value"),
        ({"cast": {"[Ana]": "ana"}}, "cast", "invalid_value"),
        ({"cast": {"ana": "ana", "ANA": "chai"}}, "cast", "invalid_value"),
        ({"cast": {str(number): "ana" for number in range(17)}}, "cast", "invalid_value"),
        ({"cast": {"Ana": 1}}, "cast", "invalid_value"),
        ({"cast": ["ana"]}, "cast", "invalid_value"),
        ({"name": "a\nb"}, "name", "invalid_value"),
    ],
)
async def test_a_body_that_is_no_cast_is_refused_by_its_field(
    server: Inside, body: dict[str, object], param: str, code: str
) -> None:
    answer = await save(server, None, **body)
    error = envelope(answer)
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)


async def test_a_public_catalogue_has_nobodys_own(tmp_path: Path) -> None:
    public = TONE.replace("[server]", "[server]\npublic_catalogue = true")
    async with inside(tmp_path, public) as server:
        own = (await save(server)).json()["id"]
        everybodys = (await server.administer("POST", "voices", {"name": "stage", "cast": CAST})).json()["id"]
        listed = await ids(server, "")
    assert own not in listed
    assert everybodys in listed


@pytest.mark.parametrize(
    ("described", "found"),
    [
        ("warm older woman", ["ana"]),
        ("bedtime", ["ana"]),
        ("ชาย", ["chai"]),
        ("klingon", []),
    ],
)
async def test_voices_are_found_by_what_is_known_of_them(
    server: Inside, described: str, found: list[str]
) -> None:
    answer = (await server.ask("GET", f"/v1/voices?describe={described}")).json()
    assert answer["data"] == answer["voices"]
    assert [voice["id"] for voice in answer["data"]] == found
    assert all(0 < voice["score"] <= 1 and voice["reasons"] for voice in answer["data"])
    names = (await server.ask("GET", f"/v1/voices?describe={described}&format=names")).json()
    assert names["data"] == found


async def test_a_voice_of_no_language_has_what_its_engine_speaks(server: Inside) -> None:
    answer = await server.ask("GET", "/v1/voices?describe=a man who speaks Thai")
    first, *others = answer.json()["data"]
    assert (first["id"], first["score"]) == ("chai", 1)
    alloy = next(voice for voice in others if voice["id"] == "alloy")
    assert (alloy["score"], alloy["reasons"]) == (0.25, ["language: th"])


async def test_voices_whose_engine_refuses_the_language_are_left_out(tmp_path: Path) -> None:
    # alloy's engine speaks whatever there is, mute's speaks Thai too badly to be asked for it.
    text = TONE + '\n[engines.mute]\n[voices.somchai]\nmute = "v"\ngender = "male"\n'
    text += '[voices.thai]\nmute = "v"\nlanguage = "th"\n[voices.pair]\ncast = { Ana = "somchai" }\n'
    mute = Scripted(languages=(Language("en"), Language("th", "poor")))
    async with inside(tmp_path, text, {"mute": mute}) as server:
        for query in ("language=th", "describe=Thai", "describe=warm older man, Thai"):
            assert await ids(server, query=query) == ["alloy"]
        assert set(await ids(server, query="language=en")) == {"alloy", "somchai", "pair", "mute/v"}
        assert (await ids(server, query="describe=English man"))[0] == "somchai"


async def test_a_description_is_asked_for_beside_the_filters(server: Inside) -> None:
    assert await ids(server, query="describe=woman or man&language=th") == ["chai"]


async def test_a_change_that_purges_clips_is_told_to_the_cache(tmp_path: Path) -> None:
    text: Any = TONE + '\n[cache]\non = true\n[lexicons.th]\na = "b"\n'
    async with inside(tmp_path, text) as server:
        await server.ask("PUT", "/v1/lexicons/en", body={"words": {"Ana": "one"}})
        first = await server.speech("Ana.", response_format="wav", language="en")
        again = await server.speech("Ana.", response_format="wav", language="en")
        await server.ask("PUT", "/v1/lexicons/en", body={"words": {"Ana": "two"}})
        after = await server.speech("Ana.", response_format="wav", language="en")
    assert [each.headers["x-voxgate-cache"] for each in (first, again, after)] == ["miss", "hit", "miss"]
    assert after.content != first.content == again.content
