"""Batches of a whole worker: what each line costs, how a batch ends, and what is left of it."""

import asyncio
import json
from pathlib import Path

import pytest

from policies.price import MICRO
from proxy.features.admin.verify import verify
from proxy.features.jobs.core import steps, uploads
from proxy.features.jobs.core.records import MOST_STORED_BYTES
from proxy.features.jobs.kinds.batch.kind import WINDOW_US
from proxy.storage.store import Statement
from speech_engine import EngineFailed, Finished, Started, UnsupportedText
from tests.features.erasure.erasing import erasure_of
from tests.features.jobs.batches.rig import (
    ask_batch,
    ask_batch_of,
    batch,
    ended,
    file_content,
    jsonl,
    line,
    new_batch,
    rows_of,
    said_in,
    unzipped,
    upload,
)
from tests.features.jobs.job_rig import content, job, job_with, jobs_inside, kind_of, new_job, said
from tests.features.jobs.test_retention import retention
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.owning import clone
from tests.proxy.api.scripted import Halt, Scripted, sound
from tests.speech_engine.host.simulated_time import simulated
from tests.waiting import soon

pytestmark = pytest.mark.slow

ONE = {"model": "one", "voice": "one"}


async def test_each_line_is_charged_once_and_one_that_fails_costs_nothing(
    tmp_path: Path, store_url: str
) -> None:
    texts = [f"Word {number}." for number in range(12)]
    lines = [line(f"{number}", text) for number, text in enumerate(texts)]
    lines.insert(5, line("nobody", "Lost.", voice="nobody"))
    lines.insert(7, line("long", "x" * 4097))
    async with jobs_inside(tmp_path, store_url) as server:
        made = await new_batch(server, *lines)
        done = await ended(server, made["id"])
        assert (done["status"], done["request_counts"]) == (
            "completed",
            {"total": 14, "completed": 12, "failed": 2},
        )
        sounds = unzipped((await file_content(server, done["sound_file_id"])).content)
        assert {name: said_in(name, data) for name, data in sounds.items()} == {
            f"{number}.pcm": [text] for number, text in enumerate(texts)
        }
        failed = await rows_of(server, done["error_file_id"])
        assert {row["error"]["code"] for row in failed.values()} == {
            "voice_not_found",
            "string_above_max_length",
        }
        rows = await server.usage()
        assert sorted(row.credits for row in rows) == sorted(len(text) * MICRO for text in texts)
        assert {row.job for row in rows} == {made["id"]}
        output = await rows_of(server, done["output_file_id"])
        assert {row["response"]["request_id"] for row in output.values()} == {row.id for row in rows}
        shown = await job(server, made["id"])
        assert (shown["kind"], shown["status"], shown["credits"]) == ("batch", "done", sum(map(len, texts)))
        assert (await verify(server.worker.store)).is_clean


async def test_what_a_batch_gives_has_its_size_and_without_its_zip_any_range(tmp_path: Path) -> None:
    lines = [line(f"{number}", f"Word {number}.", response_format="wav") for number in range(3)]
    async with jobs_inside(tmp_path) as server:
        made = await ended(
            server, (await new_batch(server, *lines, line("x", "Lost.", voice="nobody")))["id"]
        )
        whole = (await content(server, made["id"])).content
        assert whole == (await file_content(server, made["sound_file_id"])).content
        for id_ in (made["sound_file_id"], made["output_file_id"], made["error_file_id"]):
            answer = await file_content(server, id_)
            data, size = answer.content, len(answer.content)
            assert answer.headers["content-length"] == str(size)
            shown = (await server.ask("GET", f"/v1/files/{id_}")).json()
            assert shown["bytes"] == size
            if id_ == made["sound_file_id"]:
                # Of a zip there are no ranges.
                part = await file_content(server, id_, range="bytes=5-59")
                assert (part.status_code, part.headers["accept-ranges"], part.content) == (200, "none", data)
                continue
            for start, end in [(0, 1), (5, 60), (size // 3, size - size // 4), (size - 9, size)]:
                part = await file_content(server, id_, range=f"bytes={start}-{end - 1}")
                assert (part.status_code, part.content) == (206, data[start:end])
            past = await file_content(server, id_, range=f"bytes={size}-")
            assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{size}")
        first = await server.ask("GET", f"/v1/jobs/{made['id']}/steps/1/content")
        assert first.headers["content-type"] == "audio/wav"
        assert said_in("first.wav", first.content) == ["Word 0."]
        shown_steps = (await server.ask("GET", f"/v1/jobs/{made['id']}/steps")).json()["data"]
        assert [each["status"] for each in shown_steps] == ["done"] * 3 + ["failed"]
        assert shown_steps[3]["error"] == "The voice of this line is not here."


async def test_a_line_that_an_engine_cannot_speak_ends_no_other(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MOST_TRIES", 2)
    monkeypatch.setattr(steps, "RETRY_DELAY_S", 0.05)
    engine = Scripted(UnsupportedText("It cannot be spoken."))
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        made = await new_batch(server, line("odd", "Odd.", **ONE), line("good", "Good."))
        done = await ended(server, made["id"])
        assert done["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
        odd = (await rows_of(server, done["error_file_id"]))["odd"]
        assert odd["response"]["status_code"] == 400
        assert odd["response"]["body"]["error"]["code"] == odd["error"]["code"] == "unsupported_text"
        assert said_in("x.pcm", unzipped((await content(server, made["id"])).content)["good.pcm"]) == [
            "Good."
        ]


@simulated
async def test_a_line_whose_engine_fails_is_tried_again_and_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MOST_TRIES", 2)
    monkeypatch.setattr(steps, "RETRY_DELAY_S", 0.05)
    engine = Scripted(Started(24_000), *sound(0.1), EngineFailed("It broke."))
    async with jobs_inside(tmp_path, one=engine) as server:
        made = await new_batch(server, line("odd", "Odd.", **ONE), line("good", "Good."))
        done = await ended(server, made["id"])
        assert done["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
        assert len(engine.jobs) == 2
        odd = (await rows_of(server, done["error_file_id"]))["odd"]
        assert odd["response"]["status_code"] >= 500
        assert (await verify(server.worker.store)).is_clean


async def test_all_lines_may_fail(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        done = await ended(server, (await new_batch(server, line("a", "A.", voice="nobody")))["id"])
        assert (done["status"], done["output_file_id"], done["sound_file_id"]) == ("completed", None, None)
        assert (await content(server, done["id"])).status_code == 409
        for what in ("output", "sound"):
            assert (await file_content(server, f"file-{done['id']}-{what}")).status_code == 404


async def test_a_revoked_key_ends_a_batch_and_what_was_spoken_stays(tmp_path: Path, store_url: str) -> None:
    goes_on = asyncio.Event()
    engine = Scripted(Started(24_000), *sound(0.2), goes_on.wait, Finished())
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        lines = [line("good", "Good."), *(line(f"{number}", "Wait.", **ONE) for number in range(3))]
        made = await new_batch(server, *lines)
        await soon(lambda: _has_done(server, made["id"], 1, len(engine.jobs) == 1))
        await server.worker.store.write(Statement("UPDATE keys SET revoked = 1 WHERE role = 'speech'"))
        goes_on.set()
        failed: dict[str, object] = {}

        async def has_failed() -> bool:
            failed.update((await server.administer("GET", f"jobs/{made['id']}")).json())
            return failed["status"] == "failed"

        await soon(has_failed)
        assert failed["error_code"] == "invalid_api_key"
        await server.worker.store.write(Statement("UPDATE keys SET revoked = NULL WHERE role = 'speech'"))
        shown = await batch(server, made["id"])
        assert (shown["status"], shown["errors"]["data"][0]["code"]) == ("failed", "invalid_api_key")
        assert "good" in await rows_of(server, shown["output_file_id"])
        left = await rows_of(server, shown["error_file_id"])
        assert {row["error"]["code"] for row in left.values()} <= {"invalid_api_key", "batch_failed"}
        assert shown["request_counts"]["completed"] + len(left) == 4
        assert (await verify(server.worker.store)).is_clean


async def _has_done(server: Inside, id_: str, lines: int, is_so: bool) -> bool:
    return is_so and (await batch(server, id_))["request_counts"]["completed"] >= lines


async def test_without_credits_a_batch_waits_and_goes_on_after_a_grant(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_DELAY_S", 0.2)
    lines = [line(f"{number}", f"Word number {number}.") for number in range(4)]
    async with jobs_inside(tmp_path, store_url, "short") as server:
        made = await new_batch(server, *lines)
        waiting = await job_with(server, made["id"], "waiting")
        assert waiting["steps_done"] == 2
        assert (await batch(server, made["id"]))["status"] == "in_progress"
        gift = {"credits": 100, "reason": "a gift"}
        given = await server.administer("POST", f"accounts/{server.account.id}/grants", gift)
        assert given.is_success, given.text
        done = await ended(server, made["id"])
        assert done["request_counts"] == {"total": 4, "completed": 4, "failed": 0}
        assert sum(row.credits for row in await server.usage()) == 4 * 14 * MICRO
        assert (await verify(server.worker.store)).is_clean


async def test_of_an_erased_voice_a_batch_keeps_nothing(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store, voice = server.worker.store, (await clone(server))["id"]
        made = await new_batch(server, line("theirs", "Word.", voice=voice), line("other", "Other."))
        before = await ended(server, made["id"])
        assert before["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
        await erasure_of(server.worker).finish_interrupted()
        after = await batch(server, made["id"])
        assert after["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
        assert list(await rows_of(server, after["output_file_id"])) == ["other"]
        (row,) = (await rows_of(server, after["error_file_id"])).values()
        assert (row["custom_id"], row["response"]) == ("theirs", None)
        assert row["error"]["code"] == "voice_erased"
        assert list(unzipped((await content(server, made["id"])).content)) == ["other.pcm"]
        blobs = {row["digest"] for row in await store.read("SELECT digest FROM blobs")}
        files = {path.stem for path in (tmp_path / "data" / "voices").rglob("*") if path.is_file()}
        assert files == blobs
        assert len(files) == 4, "the file, the batch's copy, the other's sound, and what is told of it"


@pytest.mark.parametrize("sees", ["a step", "the retention"])
async def test_a_batch_ends_with_its_window_and_what_was_spoken_stays(
    tmp_path: Path, store_url: str, sees: str
) -> None:
    goes_on = asyncio.Event()
    engine = Scripted(Started(24_000), *sound(0.2), goes_on.wait, Finished())
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        store = server.worker.store
        kind = kind_of(server)
        lines = [line("good", "Good."), *(line(f"{number}", "Wait.", **ONE) for number in range(3))]
        made = await new_batch(server, *lines)
        await soon(lambda: _has_done(server, made["id"], 1, len(engine.jobs) == 1))
        if sees == "the retention":
            kind.most_at_once = 0
        await store.write(Statement(f"UPDATE jobs SET created = created - {WINDOW_US}"))
        if sees == "a step":
            goes_on.set()
        else:
            await retention(server).delete_old()
        done = await ended(server, made["id"])
        assert (done["status"], done["expired_at"], done["completed_at"]) == (
            "expired",
            done["expired_at"],
            None,
        )
        counts = done["request_counts"]
        assert 1 <= counts["completed"] <= 3
        assert counts["completed"] + counts["failed"] == 4
        assert "good" in await rows_of(server, done["output_file_id"])
        left = await rows_of(server, done["error_file_id"])
        assert {row["error"]["code"] for row in left.values()} == {"batch_expired"}
        goes_on.set()


async def test_a_line_under_way_hears_of_a_cancel_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.queue.tasks.LEASE_CHECK_S", 3600.0)
    halt = Halt()
    async with jobs_inside(tmp_path, one=Scripted(Started(24_000), halt)) as server:
        made = await new_batch(server, line("a", "Wait.", **ONE))
        await halt.is_there.wait()
        # Before the cancel: the attempt may end before its answer has come, and then has another event.
        ended = kind_of(server).ended
        await server.ask("POST", f"/v1/batches/{made['id']}/cancel")
        async with asyncio.timeout(60.0):
            await ended.wait()


async def test_an_idempotency_key_makes_one_batch(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        once = {"idempotency-key": "june"}
        file = (await upload(server, jsonl(line("a", "Hello.")))).json()["id"]
        answers = await asyncio.gather(*(ask_batch_of(server, file, once) for _ in range(4)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["id"] for answer in answers}) == 1
        again = await ask_batch_of(server, file, once)
        assert again.headers["x-voxgate-replayed"] == "true"
        other = await ask_batch_of(server, file, once, metadata={"a": "b"})
        assert (other.status_code, envelope(other)["code"]) == (422, "idempotency_key_reused")
        listed = (await server.ask("GET", "/v1/batches")).json()
        assert [each["id"] for each in listed["data"]] == [again.json()["id"]] == [listed["last_id"]]


async def test_a_job_of_kind_batch_is_one_and_its_first_fault_is_a_400(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        good = (await upload(server, jsonl(line("a", "Hello.")))).json()["id"]
        bad = (await upload(server, jsonl(line("a", "Hello."), b"{"))).json()["id"]
        made = await server.ask("POST", "/v1/jobs", body={"kind": "batch", "input_file_id": good})
        assert made.status_code == 202, made.text
        assert made.headers["location"] == f"/v1/jobs/{made.json()['id']}"
        assert (made.json()["kind"], made.json()["format"]) == ("batch", "zip")
        assert (await ended(server, made.json()["id"]))["status"] == "completed"
        refused = await server.ask("POST", "/v1/jobs", body={"kind": "batch", "input_file_id": bad})
        error = envelope(refused)
        assert (refused.status_code, error["param"]) == (400, "input_file_id")
        assert "Line 2: " in error["message"]
        gone = await server.ask("POST", "/v1/jobs", body={"kind": "batch", "input_file_id": "file-gone"})
        assert (gone.status_code, envelope(gone)["param"]) == (404, "input_file_id")
        assert len((await server.ask("GET", "/v1/jobs")).json()["data"]) == 1
        again = await server.ask("POST", f"/v1/jobs/{made.json()['id']}/retry")
        assert again.status_code == 409
        speech = await new_job(server, "Hello.")
        assert (await server.ask("GET", f"/v1/batches/{speech['id']}")).status_code == 404
        assert said((await content(server, (await job_with(server, speech["id"], "done"))["id"])).content)


@pytest.mark.parametrize(
    ("lines", "how", "events"),
    [
        ([line("a", "Hello.")], "", {"job.done", "batch.completed"}),
        ([b"{"], "", {"job.failed", "batch.failed"}),
        ([line("a", "Wait.", **ONE)], "cancel", {"job.canceled", "batch.cancelled"}),
        ([line("a", "Wait.", **ONE)], "expire", {"job.failed", "batch.expired"}),
    ],
)
async def test_the_end_of_a_batch_is_told_once(
    tmp_path: Path, store_url: str, lines: list[object], how: str, events: set[str]
) -> None:
    goes_on = asyncio.Event()
    engine = Scripted(Started(24_000), goes_on.wait, *sound(0.1), Finished())
    all_events = sorted({"job.done", "job.failed", "job.canceled"} | {f"batch.{end}" for end in ENDS})
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        hook = {"name": "ends", "url": "https://hooks.invalid./", "event_types": all_events}
        assert (await server.ask("POST", "/v1/webhook_endpoints", body=hook)).status_code == 200
        made = await new_batch(server, *lines)
        store = server.worker.store
        for _ in range(2):
            if how == "cancel":
                await server.ask("POST", f"/v1/batches/{made['id']}/cancel")
            elif how == "expire":
                await store.write(Statement(f"UPDATE jobs SET created = created - {WINDOW_US}"))
                await retention(server).delete_old()
        await ended(server, made["id"])
        goes_on.set()
        rows = await store.read("SELECT type, data FROM webhook_deliveries")
        assert sorted(row["type"] for row in rows) == sorted(events)
        assert [json.loads(row["data"]) for row in rows] == [{"id": made["id"]}] * len(rows)


ENDS = ("completed", "failed", "expired", "cancelled")


async def test_a_plan_says_how_much_a_batch_may_say(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path, plan="few") as server:
        answer = await ask_batch(server, jsonl(*(line(f"{number}", "Hello there.") for number in range(5))))
        assert (answer.status_code, envelope(answer)["code"]) == (403, "text_too_long")
        done = await ended(server, (await new_batch(server, line("a", "More than a request may say.")))["id"])
        assert done["request_counts"]["completed"] == 1


async def test_an_account_has_so_many_files_and_bytes(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = jsonl(line("a", "Hello."))
    monkeypatch.setattr(uploads, "MOST_FILES", 3)
    async with jobs_inside(tmp_path, store_url) as server:
        first = await upload(server, data)
        monkeypatch.setattr(uploads, "MOST_BYTES", len(data) * 2)
        assert (await upload(server, data)).status_code == 200
        for _ in range(2):
            answer = await upload(server, data)
            assert (answer.status_code, envelope(answer)["code"]) == (403, "too_many_files")
            monkeypatch.setattr(uploads, "MOST_BYTES", len(data) * 9)
            monkeypatch.setattr(uploads, "MOST_FILES", 2)
        assert len(await server.worker.store.read("SELECT digest FROM blobs")) == 2
        assert (await server.ask("DELETE", f"/v1/files/{first.json()['id']}")).status_code == 200
        assert (await upload(server, data)).status_code == 200


async def test_the_file_of_a_batch_counts_as_kept(tmp_path: Path, store_url: str) -> None:
    data = jsonl(line("a", "Hello.")) + b" " * 10_000
    async with jobs_inside(tmp_path, store_url) as server:
        store = server.worker.store
        made = await ask_batch(server, data)
        await ended(server, made.json()["id"])
        # A row of a job without its file would fit.
        room = MOST_STORED_BYTES - len(data)
        await store.write(Statement("UPDATE jobs SET bytes = :bytes", {"bytes": room}))
        refused = await ask_batch(server, data)
        assert (refused.status_code, envelope(refused)["code"]) == (403, "too_many_jobs")
        assert len(await store.read("SELECT id FROM jobs")) == 1
        await store.write(Statement("UPDATE jobs SET bytes = :bytes", {"bytes": room - 10_000}))
        assert (await ask_batch(server, data)).status_code == 200


async def test_of_a_bad_file_a_batch_has_no_copy(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        file = (await upload(server, b"{" * 10_000)).json()["id"]
        made = await ask_batch_of(server, file)
        assert made.json()["status"] == "failed"
        assert (await server.ask("DELETE", f"/v1/files/{file}")).status_code == 200
        stored = [path for path in (tmp_path / "data" / "voices").rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in stored) < 10_000


async def test_files_end_by_themselves_and_with_their_account(tmp_path: Path, store_url: str) -> None:
    data = jsonl(line("a", "Hello."))
    async with jobs_inside(tmp_path, store_url) as server:
        store = server.worker.store
        soon_gone = await upload(
            server, data, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
        )
        assert soon_gone.json()["expires_at"] == soon_gone.json()["created_at"] + 3600
        stored = await upload(server, data)
        await store.write(
            Statement("UPDATE job_files SET created = created - 3601000000, expires = expires - 3601000000")
        )
        ours = retention(server)
        for switch in ("suspended = 1", f"suspended = NULL, resumed = {await store.now()}"):
            await store.write(Statement(f"UPDATE accounts SET {switch}"))
            await ours.delete_old()
            assert len(await store.read("SELECT id FROM job_files")) == 2, "a suspended account loses nothing"
        await store.write(Statement("UPDATE accounts SET resumed = 0"))
        await ours.delete_old()
        listed = (await server.ask("GET", "/v1/files")).json()
        assert [each["id"] for each in listed["data"]] == [stored.json()["id"]]
        assert len(await store.read("SELECT digest FROM blobs")) == 1
        await ended(server, (await new_batch(server, line("a", "Hello.")))["id"])
        answer = await server.administer("DELETE", f"accounts/{server.account.id}")
        assert answer.is_success, answer.text
        for table in ("job_files", "jobs", "job_steps", "job_clips", "blobs"):
            assert await store.read(f"SELECT * FROM {table}") == []


async def test_a_deleted_batch_leaves_its_file_alone(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        done = await ended(server, (await new_batch(server, line("a", "Hello.")))["id"])
        assert (await server.ask("DELETE", f"/v1/jobs/{done['id']}")).status_code == 200
        assert (await file_content(server, done["output_file_id"])).status_code == 404
        assert (await file_content(server, done["input_file_id"])).status_code == 200
        assert len(await server.worker.store.read("SELECT digest FROM blobs")) == 1
