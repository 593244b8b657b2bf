"""What no client should send: each is an answer that names the field, and none makes a job."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.features.jobs.core.records import MOST_STORED_BYTES
from proxy.storage.blobs import list_all
from proxy.storage.store import Statement
from tests.features.jobs.job_rig import ask_job, content, job_with, jobs_inside, new_job
from tests.proxy.api.inside import envelope

pytestmark = pytest.mark.slow

GOOD: dict[str, Any] = {"model": "tone", "voice": "alloy", "input": "Hello."}
_DEEP = b"[" * 100_000 + b"]" * 100_000


def body(**more: Any) -> bytes:
    return json.dumps(GOOD | more).encode()


def raw(field: bytes) -> bytes:
    return body()[:-1] + b", " + field + b"}"


BODIES: tuple[tuple[str, bytes, str | None, str], ...] = (
    ("a number for a text", body(input=5), "input", "invalid_value"),
    ("a number for a voice", body(voice=5), "voice", "invalid_value"),
    ("a number for a model", body(model=5), "model", "invalid_value"),
    ("a text for a number", body(speed="fast"), "speed", "invalid_value"),
    ("a list for a text", body(input=["Hello."]), "input", "invalid_value"),
    ("an object for a format", body(response_format={}), "response_format", "invalid_value"),
    ("a number for a kind", body(kind=1), "kind", "invalid_value"),
    ("a text for a switch", body(background="yes"), "background", "invalid_value"),
    ("a stream", body(stream=True), "stream", "invalid_value"),
    ("nothing to say", body(input=""), "input", "invalid_value"),
    ("no input", b'{"model": "tone", "voice": "alloy"}', "input", "missing_required_parameter"),
    ("no JSON", b"{", None, "invalid_json"),
    ("nothing", b"", None, "invalid_json"),
    ("a list", b"[]", None, "invalid_json"),
    ("no UTF-8", b'{"model": "tone", "voice": "alloy", "input": "\xff"}', None, "invalid_json"),
    ("a name that is no UTF-8", raw(b'"\xff": 1'), None, "invalid_json"),
    ("half a surrogate pair", raw(b'"input": "\\ud800"'), None, "invalid_json"),
    ("a deep value of a field", raw(b'"lexicon": ' + _DEEP), None, "invalid_json"),
    ("a deep value of an unknown field", raw(b'"unknown": ' + _DEEP), None, "invalid_json"),
)


@pytest.mark.parametrize(
    ("sent", "param", "code"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
async def test_a_wrong_body_is_refused_by_its_field(
    tmp_path: Path, sent: bytes, param: str | None, code: str
) -> None:
    async with jobs_inside(tmp_path) as server, server.client() as client:
        answer = await client.post("/v1/jobs", content=sent)
        error = envelope(answer)
        assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
        assert (await server.ask("GET", "/v1/jobs")).json()["data"] == []


async def test_a_nul_in_the_text_is_not_heard_and_one_in_a_name_is_refused(
    tmp_path: Path, store_url: str
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        made = await new_job(server, "Hel\0lo.")
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["characters"]) == ("done", 7)


async def test_headers_of_any_size_are_read_or_refused(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, "Hello.")
        await job_with(server, made["id"], "done")
        whole = await content(server, made["id"])
        for asked in ("bytes=" + "9" * 10_000 + "-", "bytes=0-" + "9" * 10_000, "b" * 10_000, "bytes=-0x1"):
            answer = await content(server, made["id"], range=asked)
            assert (answer.status_code, answer.content) == (200, whole.content)
        for asked in ("bytes=-0", "bytes=9999999999999999999-"):
            assert (await content(server, made["id"], range=asked)).status_code == 416
        async with server.client(**{"idempotency-key": "k" * 10_000}) as client:
            answer = await client.post("/v1/jobs", content=body())
            assert (answer.status_code, envelope(answer)["param"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=1001", "limit=x", "after=job_gone"])
async def test_a_page_that_cannot_be_names_its_parameter(tmp_path: Path, query: str) -> None:
    async with jobs_inside(tmp_path) as server:
        answer = await server.ask("GET", f"/v1/jobs?{query}")
        assert (answer.status_code, envelope(answer)["param"]) == (400, query.partition("=")[0])


async def test_what_nobody_pays_for_has_a_bound(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store = server.worker.store
        first = (await new_job(server, "Hello."))["id"]
        await job_with(server, first, "done")
        sql = "UPDATE jobs SET bytes = :bytes WHERE id = :id"
        await store.write(Statement(sql, {"bytes": MOST_STORED_BYTES, "id": first}))
        stored = await list_all(store)
        refused = await ask_job(server, "One more.")
        assert (refused.status_code, envelope(refused)["code"]) == (403, "too_many_jobs")
        assert await list_all(store) == stored, "the text of a refused job stays"
        assert (await server.ask("DELETE", f"/v1/jobs/{first}")).is_success
        again = await new_job(server, "One more.")
        (row,) = await store.read("SELECT bytes FROM jobs WHERE id = :id", {"id": again["id"]})
        assert row["bytes"] > len("One more.")
