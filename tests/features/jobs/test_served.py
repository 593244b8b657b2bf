"""Jobs of a whole worker: asked for, spoken in steps, charged, heard, cut short, and deleted."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from policies.price import MICRO
from proxy.features.admin.verify import verify
from proxy.features.jobs.core import opening, records
from proxy.features.jobs.core.steps import Steps
from proxy.http.connection import PEER
from proxy.storage.store import Row, Statement, Store
from speech_engine import EngineFailed, Event, Finished, SpeechJob, Started, UnsupportedText
from tests.databases import postgresql_in_soak
from tests.features.jobs.job_rig import (
    CONFIG,
    RATE_HZ,
    ask_job,
    content,
    job,
    job_with,
    jobs_inside,
    kind_of,
    new_job,
    said,
    text_of,
    words_of,
)
from tests.proxy.api.inside import LeavingPeer, envelope, inside
from tests.proxy.api.owning import new_key
from tests.proxy.api.scripted import Halt, Scripted, sound, spoken
from tests.waiting import soon

pytestmark = pytest.mark.slow


class FirstOnly(Scripted):
    """It speaks its first job, and all others once it may."""

    def __init__(self) -> None:
        super().__init__(Started(RATE_HZ), *sound(0.2), self._wait, Finished())
        self.goes_on = asyncio.Event()

    async def _wait(self) -> None:
        if len(self.jobs) > 1:
            await self.goes_on.wait()

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if not self.jobs:
            self.jobs.append(job)
            for event in spoken(0.2):
                yield event
            return
        async with aclosing(super().speak(job)) as events:
            async for event in events:
                yield event


async def is_so(is_it: bool) -> bool:
    return is_it


async def test_a_long_text_is_heard_in_order_and_each_step_is_charged_once(
    tmp_path: Path, store_url: str
) -> None:
    text = text_of(20)
    async with jobs_inside(tmp_path, store_url) as server:
        made = await new_job(server, text)
        assert (made["steps"], made["status"], made["characters"]) == (20, "queued", len(text))
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["steps_done"], done["error"]) == ("done", 20, ""), done
        answer = await content(server, made["id"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/pcm")
        assert said(answer.content) == words_of(20)
        rows = await server.usage()
        assert [row.outcome for row in rows] == ["finished"] * 20
        assert sum(row.credits for row in rows) == len(text) * MICRO
        assert (done["credits"], done["seconds"]) == (len(text), len(answer.content) / 48_000)
        assert (await verify(server.worker.store)).is_clean


@pytest.mark.parametrize("format_", ["mp3", "wav"])
async def test_the_sound_is_one_file_of_which_any_range_is_given(tmp_path: Path, format_: str) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, text_of(3), response_format=format_)
        await job_with(server, made["id"], "done")
        whole = await content(server, made["id"])
        data, size = whole.content, len(whole.content)
        assert whole.headers["accept-ranges"] == "bytes"
        assert whole.headers["content-length"] == str(size)
        if format_ == "wav":
            assert data[:4] == b"RIFF"
            assert int.from_bytes(data[40:44], "little") == size - 44
            assert said(data[44:]) == words_of(3)
        for asked, start, end in [
            ("0-0", 0, 1),
            ("0-99", 0, 100),
            ("30-50", 30, 51),
            (f"{size // 3}-{size - size // 4}", size // 3, size - size // 4 + 1),
            ("100-", 100, size),
            ("-7", size - 7, size),
            (f"5-{size * 2}", 5, size),
        ]:
            part = await content(server, made["id"], range=f"bytes={asked}")
            assert part.status_code == 206, asked
            assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
            assert part.headers["content-length"] == str(end - start)
            assert part.content == data[start:end], asked
        past = await content(server, made["id"], range=f"bytes={size}-")
        assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{size}")
        assert envelope(past)["code"] == "range_not_satisfiable"
        for odd in ("bytes=5-2", "bytes=0-1,4-5", "lines=0-3", "bytes=-"):
            assert (await content(server, made["id"], range=odd)).content == data


async def test_bad_input_names_its_field(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:

        async def refused(text: str = "Hello.", **more: Any) -> tuple[int, str, str | None]:
            answer = await ask_job(server, text, **more)
            error = envelope(answer)
            return answer.status_code, error["code"], error["param"]

        assert await refused("") == (400, "invalid_value", "input")
        assert await refused(" \n") == (400, "invalid_value", "input")
        assert await refused("* * *") == (400, "invalid_value", "input")
        assert await refused("x" * 1_000_001) == (400, "string_above_max_length", "input")
        assert await refused(response_format="json") == (400, "invalid_value", "response_format")
        assert await refused(stream_format="sse") == (400, "invalid_value", "stream_format")
        assert await refused(kind="batch") == (400, "missing_required_parameter", "input_file_id")
        assert await refused(kind="poem") == (400, "invalid_value", "kind")
        assert await refused(voice="nobody") == (400, "voice_not_found", "voice")
        assert await refused(model="nothing") == (404, "model_not_found", "model")
        assert await refused(speed=9) == (400, "invalid_value", "speed")
        assert (await server.ask("GET", "/v1/jobs")).json()["data"] == []
        for path in ("", "/content", "/events"):
            answer = await server.ask("GET", f"/v1/jobs/job_unknown{path}")
            assert (answer.status_code, envelope(answer)["code"]) == (404, "job_not_found")


async def test_the_operator_says_how_long_a_step_is(tmp_path: Path) -> None:
    text = CONFIG.format(url="sqlite", one="") + "[jobs]\nstep_characters = 200\n"
    async with inside(tmp_path, text, plan="metered") as server:
        made = await new_job(server, "Word one. " * 100)
        assert made["steps"] == 6
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"


async def test_a_job_is_known_to_its_account_alone(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, "Hello.")
        await job_with(server, made["id"], "done")
        other = await new_key(server, "ben")
        for method, tail in [("GET", ""), ("GET", "/content"), ("GET", "/events"), ("POST", "/cancel")]:
            answer = await server.ask(method, f"/v1/jobs/{made['id']}{tail}", key=other)
            assert answer.status_code == 404
        assert (await server.ask("DELETE", f"/v1/jobs/{made['id']}", key=other)).status_code == 404
        assert (await server.ask("GET", "/v1/jobs", key=other)).json()["data"] == []
        assert [row["id"] for row in (await server.ask("GET", "/v1/jobs")).json()["data"]] == [made["id"]]
        assert (await server.administer("GET", f"jobs/{made['id']}")).json()["account"] == server.account.id


@pytest.mark.parametrize(("plan", "text"), [("none", "Hello."), ("few", "Hello. " * 10)])
async def test_a_plan_says_how_long_a_job_may_be(tmp_path: Path, plan: str, text: str) -> None:
    async with jobs_inside(tmp_path, plan=plan) as server:
        answer = await ask_job(server, text)
        code = "jobs_not_allowed" if plan == "none" else "text_too_long"
        assert (answer.status_code, envelope(answer)["code"]) == (403, code)
        if plan == "few":
            made = await new_job(server, "A text longer than a request may be.")
            assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"


async def test_an_idempotency_key_makes_one_job(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        once = {"idempotency-key": "chapter 1"}
        answers = await asyncio.gather(*(ask_job(server, "Hello.", headers=once) for _ in range(4)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len((await server.ask("GET", "/v1/jobs")).json()["data"]) == 1
        again = await ask_job(server, "Hello.", headers=once)
        assert again.headers["x-voxgate-replayed"] == "true"
        other = await ask_job(server, "Another text.", headers=once)
        assert (other.status_code, envelope(other)["code"]) == (422, "idempotency_key_reused")


async def test_a_plan_with_one_stream_speaks_while_its_job_runs(tmp_path: Path) -> None:
    goes_on = asyncio.Event()
    engine = Scripted(Started(24_000), *sound(0.1), goes_on.wait, Finished())
    async with jobs_inside(tmp_path, one=engine) as server:
        made = await new_job(server, "A job.", model="one", voice="one")
        await soon(lambda: is_so(bool(engine.jobs)))
        assert [each.urgency for each in engine.jobs] == ["idle"]
        assert engine.jobs[0].deadline_s > 100, "nobody waits for its first audio"
        answer = await server.speech(model="tone", response_format="pcm")
        assert answer.status_code == 200, answer.text
        assert (await job(server, made["id"]))["status"] == "queued"
        goes_on.set()
        await job_with(server, made["id"], "done")


async def test_a_cancel_ends_a_step_under_way_and_what_was_spoken_stays(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first one is the first that is spoken.
    monkeypatch.setattr(records, "STEPS_OF_ACCOUNT", 1)
    engine = FirstOnly()
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        made = await new_job(server, text_of(4), model="one", voice="one")
        await soon(
            lambda: job(server, made["id"]), lambda found: found["steps_done"] == 1 and engine.open == 1
        )
        going = await content(server, made["id"])
        assert (going.status_code, envelope(going)["code"]) == (409, "conflict")
        unwritten = await server.ask("GET", f"/v1/jobs/{made['id']}/subtitles")
        assert envelope(unwritten)["message"] == (
            "The job goes on; its subtitles are there when it has ended."
        )
        answer = await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")
        assert (answer.json()["status"], answer.json()["steps_done"]) == ("canceled", 1)
        assert not engine.open
        assert await server.worker.store.read("SELECT id FROM job_steps WHERE lease > 0") == []
        assert "settling" not in answer.json()
        rows = await server.usage()
        assert {row.outcome for row in rows} == {"finished", "left"}
        assert sum(row.credits for row in rows) == max(row.credits for row in rows)
        assert len((await content(server, made["id"])).content) == 48_000 * 0.2
        engine.goes_on.set()
        again = await server.ask("POST", f"/v1/jobs/{made['id']}/retry")
        assert again.json()["status"] in ("running", "queued")
        done = await job_with(server, made["id"], "done")
        assert done["steps_done"] == 4
        assert (await verify(server.worker.store)).is_clean
        refused = await server.ask("POST", f"/v1/jobs/{made['id']}/retry")
        assert refused.status_code == 409


@pytest.mark.parametrize("is_local", [False, True], ids=["provider", "ours"])
async def test_a_cancel_costs_what_a_provider_has_made(tmp_path: Path, is_local: bool) -> None:
    halt = Halt()
    engine = Scripted(Started(RATE_HZ), *sound(1.0), halt, Finished(), is_local=is_local)
    async with jobs_inside(tmp_path, one=engine) as server:
        made = await new_job(server, "Hello.", model="one", voice="one")
        await halt.is_there.wait()
        canceled = await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")
        assert (canceled.json()["status"], canceled.json()["credits"]) == ("canceled", 0)
        (row,) = await server.usage()
        assert (row.outcome, row.credits > 0) == ("left", not is_local)
        assert (await verify(server.worker.store)).is_clean


@pytest.mark.clock
async def test_a_cancel_says_if_a_step_is_under_way_elsewhere_and_waits_for_no_client_that_left(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        kind_of(server).most_at_once = 0
        made, store = await new_job(server, text_of(1)), server.worker.store
        until_us = await store.now() + 60_000_000
        await store.write(Statement("UPDATE job_steps SET lease = :until", {"until": until_us}))
        left, path = asyncio.Event(), f"/v1/jobs/{made['id']}/cancel"
        left.set()
        monkeypatch.setattr("proxy.features.jobs.core.steps._CANCEL_WAIT_S", 3600.0)
        async with asyncio.timeout(20.0):
            assert await server.raw_speech(b"", left, path=path) == []
        monkeypatch.setattr("proxy.features.jobs.core.steps._CANCEL_WAIT_S", 0.05)
        canceled = (await server.ask("POST", path)).json()
        assert (canceled["status"], canceled["settling"]) == ("canceled", True)
        await store.write(Statement("UPDATE job_steps SET lease = 0"))
        assert "settling" not in await job(server, made["id"])


async def test_a_job_without_credits_waits_for_a_grant_and_no_step_is_charged_twice(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.jobs.core.steps.RETRY_DELAY_S", 0.2)
    text = "\n\n".join(["Word one.", "Word two.", "Word three."])
    monkeypatch.setattr("proxy.features.jobs.texts.chapters.pieces", _three)
    async with jobs_inside(tmp_path, store_url, "short") as server:
        hook = {"name": "acts", "url": "https://hooks.invalid./", "event_types": ["job.waiting"]}
        assert (await server.ask("POST", "/v1/webhook_endpoints", body=hook)).status_code == 200
        made = await new_job(server, text)
        waiting = await job_with(server, made["id"], "waiting")
        assert (waiting["waits_for"], waiting["steps_done"], waiting["credits"]) == ("credits", 2, 22)
        store = server.worker.store
        for _ in range(2):
            rows = await store.read("SELECT type, data FROM webhook_deliveries")
            assert [(row["type"], json.loads(row["data"])) for row in rows] == [
                ("job.waiting", {"id": made["id"]})
            ]
            # It is tried again, and waits on: that is told once.
            before = await store.read("SELECT max(fence) AS fence FROM job_steps")
            await soon(partial(_is_tried_again, store, before))
        gift = {"credits": 100, "reason": "a gift"}
        given = await server.administer("POST", f"accounts/{server.account.id}/grants", gift)
        assert given.is_success, given.text
        done = await job_with(server, made["id"], "done")
        assert (done["steps_done"], done["credits"]) == (3, len(text))
        assert [row.credits for row in await server.usage()].count(0) == 0
        assert said((await content(server, made["id"])).content) == ["Word one.", "Word two.", "Word three."]
        assert (await verify(server.worker.store)).is_clean


async def test_a_job_waits_for_credits_once_no_step_of_it_is_under_way(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.jobs.core.steps.RETRY_DELAY_S", 0.2)
    monkeypatch.setattr("proxy.features.jobs.texts.chapters.pieces", _three)
    engine = FirstOnly()
    told = "SELECT id FROM webhook_deliveries"
    async with jobs_inside(tmp_path, store_url, "short", engine) as server:
        hook = {"name": "acts", "url": "https://hooks.invalid./", "event_types": ["job.waiting"]}
        assert (await server.ask("POST", "/v1/webhook_endpoints", body=hook)).status_code == 200
        text, store = "\n\n".join(["Word one.", "Word two.", "Word three."]), server.worker.store
        made = await new_job(server, text, model="one", voice="one")
        await soon(lambda: store.read("SELECT id FROM job_steps WHERE error <> '' AND fence > 1"))
        assert ((await job(server, made["id"]))["status"], await store.read(told)) == ("running", [])
        engine.goes_on.set()
        await job_with(server, made["id"], "waiting")
        before = await store.read("SELECT max(fence) AS fence FROM job_steps")
        await soon(partial(_is_tried_again, store, before))
        assert len(await store.read(told)) == 1


async def test_a_job_that_is_deleted_while_its_cancel_waits_was_canceled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs_inside(tmp_path) as server:
        kind_of(server).most_at_once = 0
        made = await new_job(server, text_of(1))

        async def settled(_steps: Steps, id_: str) -> None:
            assert (await server.ask("DELETE", f"/v1/jobs/{id_}")).is_success

        monkeypatch.setattr(Steps, "wait_for_steps_of", settled)
        canceled = await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")
        assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")


async def _is_tried_again(store: Store, before: Sequence[Row]) -> bool:
    return await store.read("SELECT max(fence) AS fence FROM job_steps") != before


def _three(text: str, *_more: object) -> list[tuple[int, int]]:
    return [(0, 11), (11, 22), (22, len(text))]


async def test_a_revoked_key_ends_its_jobs_with_the_reason(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.1))
    async with jobs_inside(tmp_path, one=engine) as server:
        store = server.worker.store
        made = await new_job(server, text_of(2), model="one", voice="one")
        await job_with(server, made["id"], "done")
        await store.write(Statement("UPDATE keys SET revoked = 1 WHERE role = 'speech'"))
        await store.write(
            Statement("UPDATE jobs SET state = 'failed'"),
            Statement("DELETE FROM job_clips WHERE number = 2"),
        )
        found = await records.JOBS.get(store, None, made["id"])
        assert found is not None
        assert await opening.reopen(store, found, None)
        shown: dict[str, Any] = {}

        async def has_failed() -> bool:
            shown.update((await server.administer("GET", f"jobs/{made['id']}")).json())
            return bool(shown["status"] == "failed")

        await soon(has_failed)
        assert "It was revoked" in shown["error"]
        assert shown["steps_done"] == 1


async def test_who_tries_again_by_another_key_has_the_rest_spoken(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path, one=Scripted(*spoken(0.2))) as server:
        store = server.worker.store
        made = await new_job(server, text_of(2), model="one", voice="one")
        await job_with(server, made["id"], "done")
        await store.write(
            Statement("UPDATE jobs SET state = 'failed', key = 'key_revoked'"),
            Statement("DELETE FROM job_clips WHERE number = 2"),
        )
        assert (await server.ask("POST", f"/v1/jobs/{made['id']}/retry")).status_code == 200
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["steps_done"]) == ("done", 2)
        again = await server.ask("POST", f"/v1/jobs/{made['id']}/retry")
        assert (again.status_code, envelope(again)["message"][:16]) == (409, "The job is done:")


async def test_a_key_makes_another_job_once_the_first_is_deleted(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url, one=Scripted(*spoken(0.2))) as server:
        for _ in range(3):
            answer = await ask_job(
                server, "Hello.", model="one", voice="one", headers={"idempotency-key": "again"}
            )
            id_ = answer.json()["id"]
            done = await job_with(server, id_, "done", "failed")
            assert (done["status"], done["steps_done"]) == ("done", 1)
            assert (await server.ask("DELETE", f"/v1/jobs/{id_}")).status_code == 200
        rows = await server.usage()
        assert len({row.id for row in rows}) == len(rows) == 3
        assert (await verify(server.worker.store)).is_clean


async def test_sound_behind_a_gap_is_not_given(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path, one=Scripted(*spoken(0.2))) as server:
        made = await new_job(server, text_of(4), model="one", voice="one", response_format="pcm")
        await job_with(server, made["id"], "done")
        whole = await content(server, made["id"])
        await server.worker.store.write(Statement("DELETE FROM job_clips WHERE number = 3"))
        assert (await content(server, made["id"])).content == whole.content[: len(whole.content) // 2]


@pytest.mark.parametrize("event", ["job.done", "job.failed", "job.canceled"])
async def test_the_end_of_a_job_is_told_once(tmp_path: Path, store_url: str, event: str) -> None:
    script = (UnsupportedText("It cannot be spoken."),) if event == "job.failed" else spoken(0.2)
    async with jobs_inside(tmp_path, store_url, one=Scripted(*script)) as server:
        ends = ["job.done", "job.failed", "job.canceled"]
        hook = {"name": "ends", "url": "https://hooks.invalid./", "event_types": ends}
        assert (await server.ask("POST", "/v1/webhook_endpoints", body=hook)).status_code == 200
        if event == "job.canceled":
            kind_of(server).most_at_once = 0
        made = await new_job(server, text_of(3), model="one", voice="one")
        if event == "job.canceled":
            for _ in range(2):
                await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")
        await job_with(server, made["id"], event.removeprefix("job."))
        rows = await server.worker.store.read("SELECT type, data FROM webhook_deliveries")
        assert [(row["type"], json.loads(row["data"])) for row in rows] == [(event, {"id": made["id"]})]


async def test_a_deleted_job_leaves_nothing(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        made = await new_job(server, text_of(2))
        await job_with(server, made["id"], "done")
        assert _files(tmp_path)
        answer = await server.ask("DELETE", f"/v1/jobs/{made['id']}")
        assert answer.json() == {"id": made["id"], "object": "job", "deleted": True}
        assert (await server.ask("GET", f"/v1/jobs/{made['id']}")).status_code == 404
        for table in ("jobs", "job_steps", "job_clips", "blobs"):
            assert await server.worker.store.read(f"SELECT * FROM {table}") == []
        assert not _files(tmp_path)
        assert len(await server.usage()) == 2, "what was charged stays on record"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and len(path.stem) == 64]


async def test_events_tell_how_far_a_job_is_until_its_end(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, text_of(3))
        answer = await server.ask("GET", f"/v1/jobs/{made['id']}/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        ids = [int(line[4:]) for line in answer.text.splitlines() if line.startswith("id: ")]
        assert ids == sorted(ids)
        assert ids[-1] == 4
        assert '"status":"done"' in answer.text
        seen = await server.ask("GET", f"/v1/jobs/{made['id']}/events", **{"last-event-id": "4"})
        assert "data:" not in seen.text


async def test_events_end_with_the_server_and_not_with_its_jobs(tmp_path: Path) -> None:
    goes_on, peer, sent = asyncio.Event(), LeavingPeer(), list[bytes]()

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))
        peer.is_ending = peer.is_ending or b"data:" in sent[-1]

    async with jobs_inside(tmp_path, one=Scripted(Started(24_000), goes_on.wait, Finished())) as server:
        made = await new_job(server, "Hello.", model="one", voice="one")
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/v1/jobs/{made['id']}/events",
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {server.key}".encode())],
            "extensions": {PEER: peer},
        }
        async with asyncio.timeout(20.0):
            await server.worker.public(scope, _nothing_more, send)
        assert b"".join(sent).count(b'"status":"queued"') == 1
        assert (await job(server, made["id"]))["status"] == "queued"
        await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")
        goes_on.set()


async def _nothing_more() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def test_kept_sound_of_the_same_text_is_a_step_at_its_own_price(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.2))
    async with jobs_inside(tmp_path, one=engine, cache=True) as server:
        first = await new_job(server, "Hello.", model="one", voice="one", cache=True)
        await job_with(server, first["id"], "done")
        second = await new_job(server, "Hello.", model="one", voice="one", cache=True)
        done = await job_with(server, second["id"], "done")
        assert (len(engine.jobs), done["credits"]) == (1, 0)
        sounds = [(await content(server, made["id"])).content for made in (first, second)]
        assert sounds[0] == sounds[1] != b""


async def test_a_turn_that_is_cut_goes_on_in_its_voice(tmp_path: Path) -> None:
    cast = {"cast": {"Ana": "alloy", "Ben": "one"}}
    engine = Scripted(*spoken(0.1))
    text = f"[Ana] Hello. [Ben] {'It is long. ' * 300}[Ana] Bye."
    async with jobs_inside(tmp_path, one=engine) as server:
        made = await new_job(server, text, model="both", voice=cast)
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        assert made["steps"] > 1
        assert sum(" ".join(each.spoken for each in job.segments).count("long") for job in engine.jobs) == 300


@postgresql_in_soak
async def test_beside_very_many_steps_of_one_account_anothers_job_begins_at_once(
    tmp_path: Path, store_url: str
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        kind, store = kind_of(server), server.worker.store
        kind.most_at_once = 0
        for _ in range(20):
            book = await new_job(server, text_of(500))
        assert book["steps"] == 500
        other = await new_key(server, "ben")
        short = await server.ask(
            "POST", "/v1/jobs", key=other, body={"model": "tone", "voice": "alloy", "input": "Hello."}
        )
        assert short.status_code == 202
        listed = await records.STEPS.list_open(store, await store.now(), 2)
        assert listed[1].job == short.json()["id"]
        canceled = await server.ask("POST", f"/v1/jobs/{book['id']}/cancel")
        assert canceled.json()["status"] == "canceled"
        too_many = [await ask_job(server, text_of(500)) for _ in range(22)]
        assert too_many[-1].status_code == 429
        again = await server.ask("POST", f"/v1/jobs/{book['id']}/retry")
        assert (again.status_code, envelope(again)["message"]) == (429, envelope(too_many[-1])["message"])
        assert (await job(server, book["id"]))["status"] == "canceled"
        assert "too many steps" in envelope(too_many[-1])["message"]


async def test_while_an_engine_is_away_a_job_rests_with_all_its_steps_and_others_go_on(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.jobs.core.steps.RETRY_DELAY_S", 1000.0)
    async with jobs_inside(tmp_path, store_url, one=Scripted(EngineFailed("It is away."))) as server:
        kind, store = kind_of(server), server.worker.store
        made = await new_job(server, text_of(20), model="one", voice="one")

        async def is_put_off() -> bool:
            rows = await store.read("SELECT id FROM job_steps WHERE error <> ''")
            return bool(rows) and not await store.read("SELECT id FROM job_steps WHERE lease > 0")

        await soon(is_put_off)
        assert await kind.list_open(await store.now()) == []
        other = await new_job(server, text_of(2))
        assert (await job_with(server, other["id"], "done", "failed"))["status"] == "done"
        assert (await job(server, made["id"]))["status"] == "queued"


async def test_an_emotion_goes_on_in_the_next_step_where_it_can_be_expressed(tmp_path: Path) -> None:
    text = f"[happy] {'It is long. ' * 300}"
    for emotions in (("happy", "sad"), ()):
        engine = Scripted(*spoken(0.1), emotions=emotions)
        folder = tmp_path / ("able" if emotions else "unable")
        folder.mkdir()
        async with jobs_inside(folder, one=engine) as server:
            made = await new_job(server, text, model="one", voice="one")
            assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
            assert len(engine.jobs) == made["steps"] == 2
            said_ = [" ".join(each.spoken for each in job.segments) for job in engine.jobs]
            assert [job.emotion for job in engine.jobs] == (["happy"] * 2 if emotions else [None] * 2)
            assert not any("happy" in each for each in said_)


async def test_who_asks_for_heads_alone_waits_for_no_sound_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, text_of(2))
        await job_with(server, made["id"], "done")
        size = len((await content(server, made["id"])).content)
        # None of it is in the vault any more, which only who reads it sees.
        await server.worker.store.write(Statement("DELETE FROM blobs"))
        head = await server.ask("HEAD", f"/v1/jobs/{made['id']}/content")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
        kind_of(server).most_at_once = 0
        open_ = await new_job(server, "Hello.")
        assert (await server.ask("HEAD", f"/v1/jobs/{open_['id']}/events")).status_code == 200
        assert (await job(server, open_["id"]))["status"] == "queued"


async def test_ranges_begin_and_end_at_any_byte_of_the_sealed_frames(tmp_path: Path) -> None:
    engine = Scripted(*spoken(4.0))
    async with jobs_inside(tmp_path, one=engine) as server:
        made = await new_job(server, text_of(2), model="one", voice="one")
        await job_with(server, made["id"], "done")
        whole = (await content(server, made["id"])).content
        assert len(whole) == 2 * 4 * 48_000
        edges = [frame * 65_536 - 16 + step for frame in (1, 2, 4) for step in (-1, 0, 1)]
        edges += [192_000 - 1, 192_000 + 1, 192_000 + 65_520, len(whole)]
        for start, end in pairwise(sorted(edges)):
            part = await content(server, made["id"], range=f"bytes={start}-{end - 1}")
            assert (part.status_code, part.content == whole[start:end]) == (206, True), (start, end)
