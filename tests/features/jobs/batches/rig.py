"""Files of lines for batches, and what is made of them."""

import io
import json
import zipfile
from typing import Any

import httpx2

from tests.proxy.api.inside import Inside
from tests.replies import json_of
from tests.sound import decoded
from tests.tones import words
from tests.waiting import soon


def line(custom_id: str, text: str, **more: Any) -> dict[str, Any]:
    body = {"model": "tone", "voice": "alloy", "input": text, "response_format": "pcm", **more}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/audio/speech", "body": body}


def jsonl(*lines: Any) -> bytes:
    return b"".join(
        (each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in lines
    )


async def upload(
    server: Inside, data: bytes, key: str | None = None, name: str = "lines.jsonl", **fields: str
) -> httpx2.Response:
    async with server.client(key) as client:
        return await client.post(
            "/v1/files", data={"purpose": "batch", **fields}, files={"file": (name, data)}
        )


async def ask_batch(server: Inside, data: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
    file = await upload(server, data)
    assert file.status_code == 200, file.text
    return await ask_batch_of(server, file.json()["id"], headers)


async def ask_batch_of(
    server: Inside, file: str, headers: dict[str, str] | None = None, key: str | None = None, **more: Any
) -> httpx2.Response:
    body = {"input_file_id": file, "endpoint": "/v1/audio/speech", "completion_window": "24h", **more}
    return await server.ask("POST", "/v1/batches", body=body, key=key, **(headers or {}))


async def new_batch(server: Inside, *lines: Any) -> dict[str, Any]:
    return json_of(await ask_batch(server, jsonl(*lines)))


async def batch(server: Inside, id_: str) -> dict[str, Any]:
    return json_of(await server.ask("GET", f"/v1/batches/{id_}"))


async def ended(server: Inside, id_: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    async def has_ended() -> bool:
        found[:] = [await batch(server, id_)]
        return bool(found[0]["status"] != "in_progress")

    await soon(has_ended)
    return found[0]


async def file_content(server: Inside, id_: str, **headers: str) -> httpx2.Response:
    return await server.ask("GET", f"/v1/files/{id_}/content", **headers)


async def rows_of(server: Inside, id_: str | None) -> dict[str, dict[str, Any]]:
    """The lines of a file that a batch gives, by their custom_id."""
    if id_ is None:
        return {}
    return by_custom_id((await file_content(server, id_)).content)


def by_custom_id(data: bytes) -> dict[str, dict[str, Any]]:
    rows = [json.loads(row) for row in data.splitlines()]
    return {row["custom_id"]: row for row in rows}


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def said_in(name: str, data: bytes) -> list[str] | None:
    """What is said in a file with the format in its name."""
    heard = decoded(data, name.rpartition(".")[2])
    return words(heard.samples, heard.sample_rate_hz)
