"""Files of the purpose `user_data`: uploaded piece by piece, and held by the jobs that name them."""

import json
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx2
import msgspec
import pytest
from msgspec import Meta

from proxy.api.speech_forms import BackgroundRequest
from proxy.feature import RevisionContext
from proxy.features.jobs.core import uploads
from proxy.features.jobs.core.fields import StepFields
from proxy.features.jobs.core.kind import JobKinds, JobUpload
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, make_once
from proxy.features.jobs.core.records import MOST_STORED_BYTES, stored_bytes
from proxy.features.jobs.core.uploads import FileId
from proxy.features.jobs.kinds.speech.kind import SpeechKind
from proxy.speech import speech_request
from proxy.storage.store import Statement
from tests.features.jobs.batches.rig import ask_batch_of, jsonl, line, upload
from tests.features.jobs.job_rig import job_with, jobs_inside
from tests.proxy.api.inside import Inside, envelope
from tests.replies import json_of

MIB = 1024 * 1024


class LetterBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/jobs for a letter."""

    kind: Annotated[Literal["letter"], Meta(description="letter")]
    input_file_id: FileId
    cover_file_id: FileId


class LetterKind(SpeechKind):
    """It names two files, and speaks one word."""

    name = "letter"
    body = LetterBody

    async def make(
        self, background: BackgroundRequest, revision: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        body = speech_request.parse(LetterBody, background.body)
        files = {body.input_file_id: "input_file_id", body.cover_file_id: "cover_file_id"}
        return await make_once(self.files, background, partial(self._add_letter, background, files))

    async def _add_letter(
        self, background: BackgroundRequest, files: dict[str, str], id_: str, digest: bytes
    ) -> None:
        for file, field in files.items():
            await uploads.find_file(self.store, background.caller.account, file, field, "user_data")
        sent = {"model": "tone", "voice": "alloy", "response_format": "pcm"}
        raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in sent.items()}
        fields = StepFields(sent=raw, request=digest.hex(), model="tone", voice="alloy")
        new = NewJob(id_, self.name, "pcm", fields, b"Read.", [(0, 5)], 5, files=files)
        await add_job(self.files, background, new)


def _add_letters(server: Inside) -> None:
    context = server.worker.open_features.context
    kinds = context.find(JobKinds)
    kinds.add_kind(LetterKind(kinds.files))
    server.worker.revise(context.config_at_start)


async def _user_file(server: Inside, data: bytes, name: str = "novel.epub") -> dict[str, Any]:
    return json_of(await upload(server, data, name=name, purpose="user_data"))


async def _letter(server: Inside, first: str, second: str) -> httpx2.Response:
    body = {"kind": "letter", "input_file_id": first, "cover_file_id": second}
    return await server.ask("POST", "/v1/jobs", body=body)


async def _kept(server: Inside, table: str = "blobs") -> int:
    return len(await server.worker.store.read(f"SELECT account FROM {table} WHERE account <> ''"))


async def test_a_file_is_stored_as_it_comes_and_read_as_it_was(tmp_path: Path, store_url: str) -> None:
    data = bytes(range(256)) * (10 * MIB // 256) + b"end"
    async with jobs_inside(tmp_path, store_url) as server:
        file = await _user_file(server, data)
        assert (file["purpose"], file["bytes"], file["filename"]) == ("user_data", len(data), "novel.epub")
        path = f"/v1/files/{file['id']}"
        assert json_of(await server.ask("GET", path)) == file
        whole = await server.ask("GET", f"{path}/content")
        assert whole.content == data
        assert whole.headers["content-type"] == "application/octet-stream"
        part = await server.ask("GET", f"{path}/content", range=f"bytes={MIB - 2}-{MIB + 1}")
        assert part.content == data[MIB - 2 : MIB + 2], "a range may lie in two blobs"
        batch = json_of(await upload(server, jsonl(line("a", "Hello."))))
        for purpose, listed in (("user_data", file), ("batch", batch)):
            answer = json_of(await server.ask("GET", f"/v1/files?purpose={purpose}"))
            assert [each["id"] for each in answer["data"]] == [listed["id"]]
        refused = await ask_batch_of(server, file["id"])
        assert (refused.status_code, envelope(refused)["param"]) == (400, "input_file_id")
        assert (await server.ask("DELETE", path)).status_code == 200
        assert await _kept(server) == 1, "the blobs of the file are gone, and that of the batch is there"


async def test_an_upload_takes_a_few_megabytes_of_memory(tmp_path: Path) -> None:
    size = 24 * MIB
    request = httpx2.Request(
        "POST", "http://x/", data={"purpose": "user_data"}, files={"file": ("a.epub", bytes(size))}
    )
    body = b"".join(request.stream)  # type: ignore[arg-type]  # a form is a stream without waiting
    async with jobs_inside(tmp_path) as server:
        await _user_file(server, b"warm")
        pieces = [body[at : at + 65536] for at in range(0, len(body), 65536)]
        del body
        tracemalloc.start()
        try:
            answer = await _sent(server, pieces, dict(request.headers))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert answer["bytes"] == size
    assert peak < 6 * MIB, "four copies of a blob, and what the server needs besides"


async def _sent(server: Inside, pieces: list[bytes], headers: dict[str, str]) -> dict[str, Any]:
    """The answer to a form that comes piece by piece."""
    sent: list[Any] = []
    inbox = iter(pieces)
    left = [len(pieces)]

    async def receive() -> dict[str, Any]:
        left[0] -= 1
        return {"type": "http.request", "body": next(inbox), "more_body": left[0] > 0}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/files",
        "query_string": b"",
        "headers": [
            (b"authorization", f"Bearer {server.key}".encode()),
            *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        ],
    }
    await server.worker.public(scope, receive, send)
    assert sent[0]["status"] == 200, sent
    answer: dict[str, Any] = json.loads(sent[1]["body"])
    return answer


async def test_bad_files_name_their_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with jobs_inside(tmp_path) as server:

        async def refused(data: bytes, **fields: str) -> tuple[int, str, str]:
            answer = await upload(server, data, **fields)
            return answer.status_code, envelope(answer)["code"], envelope(answer)["param"]

        assert await refused(b"", purpose="user_data") == (400, "empty_file", "file")
        assert await refused(b"x", purpose="vision") == (400, "invalid_value", "purpose")
        too_large = jsonl(line("a", "Hello.")) + b" " * 10 * MIB
        assert await refused(too_large) == (400, "file_too_large", "file"), "a batch has 10 MiB"
        monkeypatch.setattr(uploads.UploadWriter, "most_bytes", 3 * MIB)
        assert await refused(bytes(3 * MIB + 1), purpose="user_data") == (400, "file_too_large", "file")
        assert await _kept(server) == 0, "what is refused leaves nothing"
        assert (await upload(server, b" ", name="a.txt", purpose="user_data")).status_code == 200


async def test_a_job_holds_its_files_until_it_is_deleted(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        _add_letters(server)
        book, cover = await _user_file(server, b"b" * (2 * MIB)), await _user_file(server, b"cover")
        jobs = [json_of(await _letter(server, book["id"], cover["id"]), 202)["id"] for _ in range(2)]
        again = json_of(await _letter(server, book["id"], book["id"]), 202)["id"]
        for id_ in (*jobs, again):
            await job_with(server, id_, "done")
        store, account = server.worker.store, server.account.id
        own = sum(row["bytes"] for row in await store.read("SELECT bytes FROM jobs"))
        assert await stored_bytes(store, account) == own + 2 * MIB + 5, "a file counts once"
        for file in (book, cover):
            assert (await server.ask("DELETE", f"/v1/files/{file['id']}")).status_code == 200
        context = server.worker.open_features.context
        held = await uploads.held_content(context.find(JobKinds).files, account, book["id"])
        assert await held.read_whole() == b"b" * (2 * MIB)
        gone = await _letter(server, book["id"], cover["id"])
        assert (gone.status_code, envelope(gone)["param"]) == (404, "input_file_id")
        for id_ in jobs:
            assert (await server.ask("DELETE", f"/v1/jobs/{id_}")).status_code == 200
        assert await (
            await uploads.held_content(context.find(JobKinds).files, account, book["id"])
        ).read_whole()
        assert (await server.ask("DELETE", f"/v1/jobs/{again}")).status_code == 200
        for table in ("blobs", "job_file_blobs", "job_file_holds", "job_files"):
            assert await _kept(server, table) == 0


async def test_a_file_stays_for_as_long_again_after_a_suspension(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        file = await _user_file(server, b"Read me.")
        store = server.worker.store
        now, day_us = await store.now(), 86_400 * 1_000_000
        times = {"created": now - 31 * day_us, "expires": now - day_us}
        await store.write(Statement("UPDATE job_files SET created = :created, expires = :expires", times))
        for switch in ("suspended = 1", f"suspended = NULL, resumed = {now - 29 * day_us}"):
            await store.write(Statement(f"UPDATE accounts SET {switch}"))
            assert await uploads.list_expired(store, now, 9) == []
        await store.write(Statement(f"UPDATE accounts SET resumed = {now - 31 * day_us}"))
        assert await uploads.list_expired(store, now, 9) == [(file["id"], server.account.id)]


async def test_held_files_count_as_stored(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        _add_letters(server)
        book, cover = await _user_file(server, b"b" * 1000), await _user_file(server, b"cover")
        first = json_of(await _letter(server, book["id"], book["id"]), 202)["id"]
        await job_with(server, first, "done")
        store = server.worker.store
        (row,) = await store.read("SELECT bytes FROM jobs")
        # There is room for another job, and for four bytes of a file.
        room = MOST_STORED_BYTES - 1000 - row["bytes"] - 4
        await store.write(Statement("UPDATE jobs SET bytes = :bytes", {"bytes": room}))
        refused = await _letter(server, book["id"], cover["id"])
        assert (refused.status_code, envelope(refused)["code"]) == (403, "too_many_jobs")
        assert (await _letter(server, book["id"], book["id"])).status_code == 202


async def test_an_account_that_closes_leaves_no_file(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        _add_letters(server)
        book = await _user_file(server, b"b" * (2 * MIB))
        await job_with(server, json_of(await _letter(server, book["id"], book["id"]), 202)["id"], "done")
        assert (await server.administer("DELETE", f"accounts/{server.account.id}")).is_success
        for table in ("blobs", "job_file_blobs", "job_file_holds", "job_files"):
            assert await _kept(server, table) == 0
