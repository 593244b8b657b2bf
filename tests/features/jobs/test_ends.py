"""Why jobs end before they are done: what their owner reads, and what is left."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from openai import OpenAI

from proxy.errors import NotAllowed, UpstreamFailed
from proxy.features.admin.verify import verify
from proxy.features.jobs.core.kind import StepAttempt
from proxy.features.jobs.core.records import Job, JobStep
from proxy.storage.store import Statement
from speech_engine import EngineFailed, Finished, Started, UnsupportedText
from tests.features.erasure.erasing import erasure_of
from tests.features.jobs.job_rig import (
    CONFIG,
    Halting,
    content,
    job,
    job_with,
    jobs_inside,
    kind_of,
    new_job,
    text_of,
)
from tests.features.webhooks.receiver import receiver
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.owning import clone
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound
from tests.waiting import soon

pytestmark = pytest.mark.slow

HOOKED = CONFIG.format(url="sqlite", one="").replace("on = true", 'on = true\nallow = ["127.0.0.1"]')


async def revoke(server: Inside, key: str) -> None:
    answer = await server.administer("DELETE", f"keys/{key}")
    assert answer.is_success, answer.text


async def expire(server: Inside, key: str) -> None:
    sql = "UPDATE keys SET expires = :now WHERE id = :key"
    await server.worker.store.write(Statement(sql, {"key": key, "now": await server.worker.store.now()}))


async def lose_plan(server: Inside, key: str) -> None:
    del key
    sql = "UPDATE accounts SET plan = 'bygone' WHERE id = :account"
    await server.worker.store.write(Statement(sql, {"account": server.account.id}))


@pytest.mark.parametrize(
    ("end", "code", "reason"),
    [
        (revoke, "invalid_api_key", "The key {key} is no good any more. It was revoked."),
        (expire, "invalid_api_key", "The key {key} is no good any more. It has expired."),
        (
            lose_plan,
            "plan_not_found",
            "Your account has the plan 'bygone', which this server does not offer any more. "
            "Ask its operator.",
        ),
    ],
)
async def test_a_job_says_why_it_has_failed(
    tmp_path: Path,
    store_url: str,
    end: Callable[[Inside, str], Awaitable[None]],
    code: str,
    reason: str,
) -> None:
    engine = Halting(2)
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        kind_of(server).most_at_once = 1
        store = server.worker.store
        made = await new_job(server, text_of(4), model="one", voice="one")
        await engine.is_there.wait()
        (row,) = await store.read("SELECT key FROM jobs")
        await end(server, row["key"])
        engine.goes_on.set()

        async def has_failed() -> bool:
            shown = (await server.administer("GET", f"jobs/{made['id']}")).json()
            return bool(shown["status"] == "failed")

        await soon(has_failed)
        failed = (await server.administer("GET", f"jobs/{made['id']}")).json()
        assert failed["error"] == f"Step 3: {reason.format(key=row['key'])}"
        assert (failed["error_code"], failed["steps_done"]) == (code, 2)
        assert len(await server.usage()) == 2
        assert (await verify(store)).is_clean


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (UnsupportedText("It cannot be spoken."), "unsupported_text"),
        (EngineFailed("Away."), "engine_unavailable"),
    ],
)
async def test_what_an_engine_cannot_speak_has_the_code_of_speech(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, code: str
) -> None:
    monkeypatch.setattr("proxy.features.jobs.core.steps.MOST_TRIES", 1)
    async with jobs_inside(tmp_path, one=Scripted(failure)) as server:
        made = await new_job(server, "Hello.", model="one", voice="one")
        failed = await job_with(server, made["id"], "failed")
        assert failed["error_code"] == code
        body = {"model": "one", "voice": "one", "input": "Hello."}
        speech = (await server.ask("POST", "/v1/audio/speech", body=body)).json()["error"]
        assert (speech["code"], f"Step 1: {speech['message']}") == (code, failed["error"])
        again = await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")
        assert again.json()["error_code"] == code


async def test_an_operator_is_told_once_what_a_step_waits_for(tmp_path: Path) -> None:
    """It may wait for ever, if nobody has its engine any more."""
    async with jobs_inside(tmp_path, one=Scripted(EngineFailed("Away."))) as server:
        with structlog.testing.capture_logs() as logs:
            made = await new_job(server, "Hello.", model="one", voice="one")
            kind = kind_of(server)

            async def is_tried_again() -> bool:
                await server.worker.store.write(Statement("UPDATE job_steps SET due = 0"))
                kind._postponed_jobs.clear()
                kind.look_now()
                rows = await server.worker.store.read("SELECT tries FROM job_steps")
                return bool(rows[0]["tries"] > 2)

            await soon(is_tried_again)
            shown = await job(server, made["id"])
            assert (shown["status"], shown["waits_for"]) == ("queued", "engine")
        told = [log for log in logs if log["event"] == "job.step.waits"]
        assert [(log["job"], log["code"]) for log in told] == [(made["id"], "engine_unavailable")]


async def test_a_receiver_is_told_the_end_as_the_sdk_reads_it(tmp_path: Path) -> None:
    async with receiver() as at, inside(tmp_path, HOOKED) as server:
        hook = {"name": "ends", "url": at.url, "event_types": ["job.done"]}
        made_hook = (await server.ask("POST", "/v1/webhook_endpoints", body=hook)).json()
        made = await new_job(server, "Word one.")
        await soon(lambda: len(at.told) >= 1)
        client: Any = OpenAI(api_key="none", webhook_secret=made_hook["signing_secret"])
        event = client.webhooks.unwrap(at.told[0].body, at.told[0].headers)
        assert (event.type, event.data.id) == ("job.done", made["id"])
        assert (await server.ask("GET", f"/v1/jobs/{made['id']}")).json()["status"] == "done"


async def test_a_job_that_is_tried_again_has_no_error_any_more(tmp_path: Path) -> None:
    engine = Scripted(UnsupportedText("It cannot be spoken."))
    async with jobs_inside(tmp_path, one=engine) as server:
        made = await new_job(server, "Hello.", model="one", voice="one")
        await job_with(server, made["id"], "failed")
        engine._script = (Started(RATE_HZ), *sound(0.1), Finished())
        assert (await server.ask("POST", f"/v1/jobs/{made['id']}/retry")).status_code == 200
        done = await job_with(server, made["id"], "done")
        assert (done["error"], done["error_code"]) == ("", "")


async def test_the_key_that_replaces_another_goes_on_with_its_jobs(tmp_path: Path, store_url: str) -> None:
    engine = Halting(2)
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        kind_of(server).most_at_once = 1
        store = server.worker.store
        made = await new_job(server, text_of(4), model="one", voice="one")
        await engine.is_there.wait()
        (row,) = await store.read("SELECT key FROM jobs")
        rotated = await server.administer("POST", f"keys/{row['key']}/rotate")
        assert rotated.status_code == 201, rotated.text
        again = await server.administer("POST", f"keys/{row['key']}/rotate")
        assert again.status_code == 400, "nothing goes to a key that was not made"
        assert await store.read("SELECT key FROM jobs") == [{"key": rotated.json()["id"]}]
        engine.goes_on.set()
        ours = server._replace(key=rotated.json()["key"])
        done = await job_with(ours, made["id"], "done", "failed")
        assert (done["status"], done["steps_done"]) == ("done", 4)
        keys = [row.key for row in await server.usage()]
        assert sorted(keys.count(key) for key in set(keys)) == [2, 2]


@pytest.mark.parametrize("failure", [NotAllowed, UpstreamFailed])
async def test_why_a_voice_cannot_speak_is_kept_without_its_name(
    tmp_path: Path, failure: type[NotAllowed | UpstreamFailed]
) -> None:
    async with jobs_inside(tmp_path) as server:

        async def fails(job: Job, step: JobStep, attempt: StepAttempt) -> None:
            del job, step, attempt
            raise failure("The voice 'Ana Souza' cannot speak now.", param="voice", code="voice_not_ready")

        kind_of(server)._make_and_commit = fails  # type: ignore[method-assign]
        made = await new_job(server, "Hello.")
        store = server.worker.store
        await soon(lambda: store.read("SELECT 1 AS it FROM job_steps WHERE error <> ''"))
        shown = await job(server, made["id"])
        if failure is NotAllowed:
            assert shown["error_code"] == "voice_not_ready"
        rows = await store.read("SELECT error FROM job_steps")
        assert [row["error"] for row in rows] == ["Its voice cannot speak it."]
        assert "Souza" not in str(shown)


async def test_of_a_voice_that_is_erased_in_mid_job_nothing_is_left(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The step that waits is speaking when the voice is erased.
    monkeypatch.setattr("proxy.features.erasure.erasure._STREAMS_WAIT_S", 0.1)
    engine = Halting(2, speaks_samples=True, is_speech=False)
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        kind_of(server).most_at_once = 1
        store = server.worker.store
        hook = {"name": "ends", "url": "https://hooks.invalid./", "event_types": ["job.failed"]}
        assert (await server.ask("POST", "/v1/webhook_endpoints", body=hook)).status_code == 200
        voice = (await clone(server, "Ana Souza"))["id"]
        made = await new_job(server, text_of(4), model="one", voice="Ana Souza")
        await engine.is_there.wait()
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
        engine.goes_on.set()
        failed = await job_with(server, made["id"], "failed")
        await erasure_of(server.worker).finish_interrupted()
        (tombstone,) = await store.read("SELECT pending FROM erasures")
        assert {*json.loads(tombstone["pending"])} <= {"workers"}, "only other servers may not have heard"
        assert failed["error"].endswith(": The voice of this job is not here any more.")
        # Rows and files: only the text is left.
        for table in ("samples", "voices", "job_clips"):
            assert await store.read(f"SELECT * FROM {table}") == [], table
        blobs = {row["digest"] for row in await store.read("SELECT digest FROM blobs")}
        files = {path.stem for path in (tmp_path / "data" / "voices").rglob("*") if path.is_file()}
        assert files == blobs
        assert len(files) == 1
        assert (await content(server, made["id"])).status_code == 409
        # What is told: neither events nor steps nor webhooks name it.
        events = await server.ask("GET", f"/v1/jobs/{made['id']}/events")
        steps = await server.ask("GET", f"/v1/jobs/{made['id']}/steps")
        sent = await store.read("SELECT type, data FROM webhook_deliveries")
        assert [(row["type"], json.loads(row["data"])) for row in sent] == [
            ("job.failed", {"id": made["id"]})
        ]
        rows = await store.read("SELECT error FROM job_steps")
        for told in (events.text, steps.text, str(rows), str(sent)):
            assert "Souza" not in told
        # What it spoke before was charged, and stays so.
        assert (await verify(store)).is_clean
