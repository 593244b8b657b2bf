"""Tags of requests: in rows, sums and CSV of usage, and in nothing else."""

import csv
import io
from pathlib import Path
from typing import Any

import httpx2
import pytest

from proxy.storage.store import Statement
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.replies import json_of
from tests.sound import decoded
from tests.tables import each_row

HEADER = "x-voxgate-tag"
LONGEST = "A-z.0:9_" * 8
CACHED = TONE + "[cache]\non = true\n"
_BODY = {"model": "tts-1", "voice": "alloy", "input": "Hello there.", "response_format": "pcm"}


async def speak(server: Inside, header: str | None = None, **more: Any) -> httpx2.Response:
    headers = {} if header is None else {HEADER: header}
    return await server.ask("POST", "/v1/audio/speech", body={**_BODY, **more}, **headers)


async def rows(server: Inside, query: str = "") -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json_of(await server.ask("GET", f"/v1/usage{query}"))["data"]
    return listed


@each_row(
    "header, body, expected",
    [
        (None, None, ""),
        ("ep:1", None, "ep:1"),
        (None, LONGEST, LONGEST),
        (LONGEST, None, LONGEST),
        ("ep:1", "ep:1", "ep:1"),
    ],
)
async def test_usage_has_the_tag(tmp_path: Path, header: str | None, body: str | None, expected: str) -> None:
    async with inside(tmp_path) as server:
        assert (await speak(server, header, tag=body)).status_code == 200
        assert [row["tag"] for row in await rows(server)] == [expected]


@each_row(
    "header, body, param",
    [
        ("x" * 65, None, HEADER),
        ("", None, HEADER),
        ("a b", None, HEADER),
        ("a,b", None, HEADER),
        ("\xe9", None, HEADER),
        (None, "x" * 65, "tag"),
        (None, "", "tag"),
        (None, "a\n", "tag"),
        (None, "é", "tag"),
        (None, ["a"], "tag"),
        ("one", "two", "tag"),
    ],
)
async def test_a_bad_tag_is_refused_by_name_and_nothing_is_spoken(
    tmp_path: Path, header: str | None, body: object, param: str
) -> None:
    async with inside(tmp_path) as server:
        headers = {} if header is None else {HEADER: header}
        sent = {**_BODY, **({} if body is None else {"tag": body})}
        async with server.client() as client:
            raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            answer = await client.post("/v1/audio/speech", json=sent, headers=raw)
        error = envelope(answer)
        assert (answer.status_code, error["param"]) == (400, param)
        assert await server.usage() == []


async def test_a_tag_that_comes_twice_is_refused(tmp_path: Path) -> None:
    async with inside(tmp_path) as server, server.client() as client:
        answer = await client.post("/v1/audio/speech", json=_BODY, headers=[(HEADER, "a"), (HEADER, "a")])
        assert (answer.status_code, envelope(answer)["param"]) == (400, HEADER)


async def test_a_cached_answer_is_found_under_any_tag_and_has_its_own(tmp_path: Path) -> None:
    async with inside(tmp_path, CACHED) as server:
        answers = [await speak(server, tag, cache=True) for tag in ("ep:1", "ep:2", None)]
        answers.append(await speak(server, cache=True, tag="ep:3"))
        assert [answer.headers["x-voxgate-cache"] for answer in answers] == ["miss", "hit", "hit", "hit"]
        assert len({answer.content for answer in answers}) == 1
        assert [row["tag"] for row in await rows(server)] == ["ep:3", "", "ep:2", "ep:1"]


async def test_rows_sums_and_csv_are_those_of_a_tag(tmp_path: Path, store_url: str) -> None:
    async with inside(tmp_path, f'{TONE}[storage]\nurl = "{store_url}"\n') as server:
        for tag in ("ep:1", "ep:1", "ep:2", None):
            await speak(server, tag)
        # Refused, and so without a tag.
        await speak(server, "ep:1", voice="nobody")
        assert [row["tag"] for row in await rows(server, "?tag=ep:1")] == ["ep:1"] * 2
        assert [row["tag"] for row in await rows(server, "?tag=")] == [""]
        named = {row["name"]: row["requests"] for row in await rows(server, "?by=tag")}
        assert named == {"ep:1": 2, "ep:2": 1, "": 1}
        admins = json_of(await server.administer("GET", "usage?by=tag&tag=ep:2"))["data"]
        assert [(row["name"], row["requests"], row["cost_usd"]) for row in admins] == [("ep:2", 1, 0)]
        outcomes = await rows(server, "?by=outcome&tag=ep:1")
        assert [(row["name"], row["requests"]) for row in outcomes] == [("finished", 2)]
        assert await rows(server, "?by=refusal&tag=ep:1") == []
        text = (await server.ask("GET", "/v1/usage?format=csv&tag=ep:2")).text
        assert [row["tag"] for row in csv.DictReader(io.StringIO(text))] == ["ep:2"]
        wrong = await server.ask("GET", "/v1/usage?tag=a%20b")
        assert (wrong.status_code, envelope(wrong)["param"]) == (400, "tag")
        assert "ep:1" not in (await server.ask("GET", "/metrics", key=server.admin_key)).text


async def test_an_answer_is_the_same_with_a_tag_and_without(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        plain, tagged = await speak(server), await speak(server, "ep:1")
        assert plain.content == tagged.content
        assert plain.headers.keys() == tagged.headers.keys()


async def test_the_statistics_are_those_of_the_cycle(priced: Inside) -> None:
    empty = json_of(await priced.ask("GET", "/v1/usage/stats"))
    assert (empty["operations"], empty["voices"]) == ([], 0)
    spoken = [await priced.speech("Hello.", response_format="wav") for _ in range(2)]
    await priced.administer(
        "POST", f"requests/{spoken[0].headers['x-request-id']}/refund", {"credits": 1, "reason": "late"}
    )
    # Of the cycle before.
    await priced.worker.store.write(_older(spoken[1].headers["x-request-id"]))
    stats, me = [json_of(await priced.ask("GET", path)) for path in ("/v1/usage/stats", "/v1/me")]
    assert (stats["cycle"], stats["credits"]) == (me["cycle"], me["credits"])
    assert stats["plan"] == me["plan"]["name"]
    (speech,) = stats["operations"]
    assert (speech["operation"], speech["requests"], speech["credits"]) == ("speech", 1, 1.5)
    assert speech["minutes"] == pytest.approx(decoded(spoken[0].content, "wav").seconds / 60, abs=1e-4)


def _older(request: str) -> Statement:
    return Statement("UPDATE usage SET started = 1 WHERE id = :id", {"id": request})
