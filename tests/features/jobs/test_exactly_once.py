"""Whoever speaks a step, and however often: it has one sound and one charge, in one commit."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from proxy.errors import InvalidRequest
from proxy.features.admin.verify import verify
from proxy.features.erasure.tombstone_rows import erase_subject
from proxy.features.jobs.core import ends, opening, records, removals
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import StepAttempt
from proxy.features.jobs.core.records import Job, JobStep
from proxy.features.jobs.core.steps import Steps
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.file_store.vault import Vault
from proxy.queue import tasks
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Statement
from proxy.storage.tombstones import Tombstone
from speech_engine import Finished, Started
from tests.features.erasure.erasing import erasure_of
from tests.features.jobs.job_rig import (
    Halting,
    content,
    job,
    job_with,
    jobs_inside,
    kind_of,
    new_job,
    text_of,
)
from tests.proxy.api.inside import Inside
from tests.proxy.api.owning import clone
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.speech_engine.host.simulated_time import simulated
from tests.waiting import soon

ON_POSTGRES = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
_IS_BLOCKED = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))"


def another(server: Inside) -> Steps:
    """Return the steps of another worker of this server."""
    first, context = kind_of(server), server.worker.open_features.context
    files = JobFiles(context.store, context.find(Vault))
    steps = Steps(context.store, first._kinds, files, CollectorRegistry(), context.find(DeliveryTasks))
    steps.revise(first._speaking, first._callers)
    return steps


async def test_of_two_holders_the_second_ones_whole_settlement_falls(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A look would tell the first one that its lease is lost.
    monkeypatch.setattr(tasks, "LEASE_CHECK_S", 100.0)
    engine = Halting()
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        made = await new_job(server, "Hello.", model="one", voice="one")
        await engine.is_there.wait()
        # Its lease is over, as after a long stop of the whole process.
        await server.worker.store.write(Statement("UPDATE job_steps SET lease = 0"))
        steps = another(server)
        finishing = asyncio.create_task(_finish(steps))
        # Before its hold, the second one would find the sound of the first, and would not speak.
        await soon(lambda: "Holds 2 live" in repr(server.worker.ledger.holds))
        # There is one place for idle work, for which the second one waits until the first has gone on.
        engine.goes_on.set()
        await finishing
        await job_with(server, made["id"], "done")
        await soon(
            lambda: server.usage(), lambda found: "0 under way" in repr(kind_of(server)) and len(found) == 2
        )
        rows = await server.usage()
        assert sorted((row.outcome, bool(row.credits)) for row in rows) == [
            ("failed", False),
            ("finished", True),
        ]
        assert len({row.id for row in rows}) == 2, "each try has a request of its own"
        clips = await records.list_clips(server.worker.store, made["id"])
        assert [clip.request for clip in clips] == [row.id for row in rows if row.outcome == "finished"]
        assert (await job(server, made["id"]))["credits"] == 6
        assert (await verify(server.worker.store)).is_clean
        await steps.close()


async def _finish(steps: Steps) -> None:
    await steps.look()
    await steps.finish()


async def test_a_sound_whose_step_was_not_ended_is_only_marked(tmp_path: Path, store_url: str) -> None:
    engine = Scripted(Started(RATE_HZ), *sound(0.1), Finished())
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        made = await new_job(server, text_of(2), model="one", voice="one")
        await job_with(server, made["id"], "done")
        store = server.worker.store
        await store.write(
            Statement("UPDATE jobs SET state = 'open', ended = NULL"),
            Statement("UPDATE job_steps SET state = 'wanted', lease = 0 WHERE number = 2"),
        )
        kind_of(server).look_now()
        await job_with(server, made["id"], "done")
        assert (len(engine.jobs), len(await server.usage())) == (2, 2)


async def test_a_canceled_job_that_has_all_its_sound_is_done_when_it_is_tried_again(
    tmp_path: Path, store_url: str
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        made = await new_job(server, text_of(2))
        await job_with(server, made["id"], "done")
        # As where the cancel came between the last settlement and the end of its step.
        await server.worker.store.write(
            Statement("UPDATE jobs SET state = 'canceled'"),
            Statement("UPDATE job_steps SET state = 'canceled' WHERE number = 2"),
        )
        again = await server.ask("POST", f"/v1/jobs/{made['id']}/retry")
        assert (again.json()["status"], again.json()["steps_done"]) == ("done", 2)
        assert len(await server.usage()) == 2


async def test_a_job_that_was_deleted_while_it_was_spoken_keeps_and_costs_nothing(
    tmp_path: Path, store_url: str
) -> None:
    engine = Halting()
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        made = await new_job(server, "Hello.", model="one", voice="one")
        await engine.is_there.wait()
        assert (await server.ask("DELETE", f"/v1/jobs/{made['id']}")).status_code == 200
        engine.goes_on.set()
        await soon(lambda: server.usage())
        (row,) = await server.usage()
        assert (row.credits, row.outcome in ("failed", "left")) == (0, True)
        for table in ("jobs", "job_steps", "job_clips"):
            assert await server.worker.store.read(f"SELECT * FROM {table}") == []
        assert (await verify(server.worker.store)).is_clean


async def test_a_job_that_a_key_makes_anew_has_nothing_of_the_deleted_one(
    tmp_path: Path, store_url: str
) -> None:
    engine = Halting()
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        asked = {"model": "one", "voice": "one", "headers": {"idempotency-key": "a book"}}
        first = await new_job(server, "Told to nobody.", **asked)
        await engine.is_there.wait()
        assert (await server.ask("DELETE", f"/v1/jobs/{first['id']}")).status_code == 200
        second = await new_job(server, "Hello.", **asked)
        assert second["id"] == first["id"]
        engine.goes_on.set()
        await job_with(server, second["id"], "done")
        await soon(lambda: "0 under way" in repr(kind_of(server)))
        (clip,) = await records.list_clips(server.worker.store, second["id"])
        assert [row.characters for row in await server.usage() if row.id == clip.request] == [len("Hello.")]
        assert (await verify(server.worker.store)).is_clean


@ON_POSTGRES
@pytest.mark.parametrize("deletes", ["job", "account"])
async def test_a_settlement_under_way_does_not_keep_a_job_from_its_deletion(
    tmp_path: Path, store_url: str, deletes: str
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        kind_of(server).most_at_once = 0
        made = await new_job(server, "Hello.")
        settling = await asyncpg.connect(store_url)
        try:
            async with settling.transaction():
                await settling.execute(
                    "INSERT INTO job_clips SELECT id, job, account, 1, '', '', 0, 0, 24000, '' FROM job_steps"
                )
                if deletes == "job":
                    asking = server.ask("DELETE", f"/v1/jobs/{made['id']}")
                else:
                    asking = server.administer("DELETE", f"accounts/{server.account.id}")
                deleting = asyncio.create_task(asking)
                while not await settling.fetchval(_IS_BLOCKED):  # noqa: ASYNC110 - only the database can tell
                    await asyncio.sleep(0.01)
            assert (await deleting).is_success
        finally:
            await settling.close()
        for table in ("jobs", "job_steps", "job_clips"):
            assert await server.worker.store.read(f"SELECT * FROM {table}") == []


async def test_two_steps_with_the_same_sound_have_nothing_in_common(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url, one=Scripted(*spoken(0.2))) as server:
        first, second = [await new_job(server, "Hello.", model="one", voice="one") for _ in range(2)]
        for made in (first, second):
            await job_with(server, made["id"], "done")
        sound_ = (await content(server, first["id"])).content
        assert (await server.ask("DELETE", f"/v1/jobs/{first['id']}")).status_code == 200
        left = await content(server, second["id"])
        assert (left.status_code, left.content) == (200, sound_)


async def test_of_an_erased_voice_nothing_is_left(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store, voice = server.worker.store, (await clone(server))["id"]
        spoken = await new_job(server, text_of(2), voice=voice)
        other = await new_job(server, text_of(1))
        await job_with(server, spoken["id"], "done")
        await job_with(server, other["id"], "done")
        assert len(await records.list_clips(store, spoken["id"])) == 2
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
        await erasure_of(server.worker).finish_interrupted()
        assert await records.list_clips(store, spoken["id"]) == []
        assert len(await records.list_clips(store, other["id"])) == 1
        blobs = {row["digest"] for row in await store.read("SELECT digest FROM blobs")}
        files = {path.stem for path in (tmp_path / "data" / "voices").rglob("*") if path.is_file()}
        assert files == blobs
        assert len(files) == 4, "two texts, the other's sound, and what is told of it"
        assert (await content(server, spoken["id"])).status_code == 409
        (tombstone,) = await store.read("SELECT completed FROM erasures")
        assert tombstone["completed"]


async def test_a_settlement_that_comes_after_the_erasure_is_forgotten_with_its_step(
    tmp_path: Path, store_url: str
) -> None:
    engine = Halting()
    async with jobs_inside(tmp_path, store_url, one=engine) as server:
        cast = {"name": "Ann", "cast": {"Ana": "one"}}
        voice = (await server.ask("POST", "/v1/audio/voices", body=cast)).json()["id"]
        made = await new_job(server, "Hello.", model="one", voice=voice)
        await engine.is_there.wait()
        store = server.worker.store
        # As another server does it, of which this one has not heard yet.
        tombstone = Tombstone(
            subject=voice, account=server.account.id, digests=(), began=await store.now(), pending=()
        )
        assert await erase_subject(store, replace(tombstone, lease=0))
        engine.goes_on.set()
        await job_with(server, made["id"], "done", "failed")
        assert await records.list_clips(store, made["id"]) == []
        assert len(await store.read("SELECT digest FROM blobs WHERE wrapped <> ''")) == 1, "the text"


async def test_a_voice_that_is_erased_before_its_last_step_ends_leaves_no_job_open(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path, one=Scripted(*spoken(0.2))) as server:
        cast = {"name": "Ann", "cast": {"Ana": "one"}}
        voice = (await server.ask("POST", "/v1/audio/voices", body=cast)).json()["id"]
        kind = kind_of(server)
        speak = kind._make_and_commit

        async def speak_and_erase(job: Job, step: JobStep, attempt: StepAttempt) -> None:
            await speak(job, step, attempt)
            await removals.remove_voice(server.worker.store, voice)

        kind._make_and_commit = speak_and_erase  # type: ignore[method-assign]
        made = await new_job(server, "Hello.", model="one", voice=voice)
        await job_with(server, made["id"], "done", "failed")


async def test_a_job_that_is_tried_again_while_its_step_is_given_up_is_spoken(
    tmp_path: Path, store_url: str
) -> None:
    async with jobs_inside(tmp_path, store_url, one=Scripted(*spoken(0.2))) as server:
        kind, store = kind_of(server), server.worker.store
        speak = kind._make_and_commit

        async def leave_and_try_again(job: Job, step: JobStep, attempt: StepAttempt) -> None:
            kind._make_and_commit = speak  # type: ignore[method-assign]
            await ends.end_job(store, job, "canceled", kind._notices)
            kind.check_leases_now()
            try:
                await asyncio.Event().wait()
            finally:
                assert await opening.reopen(store, job, None)

        kind._make_and_commit = leave_and_try_again  # type: ignore[method-assign]
        made = await new_job(server, "Hello.", model="one", voice="one")
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["steps_done"]) == ("done", 1)


async def test_who_has_lost_its_lease_fails_no_job(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url, one=Scripted(*spoken(0.2))) as server:
        kind, store = kind_of(server), server.worker.store
        speak = kind._make_and_commit

        async def fail_late(job: Job, step: JobStep, attempt: StepAttempt) -> None:
            del job, step, attempt
            kind._make_and_commit = speak  # type: ignore[method-assign]
            await store.write(Statement("UPDATE job_steps SET fence = fence + 1, lease = 0"))
            raise InvalidRequest("It cannot be said.")

        kind._make_and_commit = fail_late  # type: ignore[method-assign]
        made = await new_job(server, "Hello.", model="one", voice="one")
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["error"]) == ("done", "")


async def test_a_voice_that_is_gone_ends_the_job_with_the_reason(tmp_path: Path) -> None:
    engine = Halting()
    async with jobs_inside(tmp_path, one=engine) as server:
        cast = {"name": "Ann", "cast": {"Ana": "one"}}
        voice = (await server.ask("POST", "/v1/audio/voices", body=cast)).json()["id"]
        made = await new_job(server, text_of(5), model="one", voice=voice)
        await engine.is_there.wait()
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
        engine.goes_on.set()
        failed = await job_with(server, made["id"], "failed")
        assert failed["error"].endswith(": The voice of this job is not here any more.")
        assert failed["error_code"] == "voice_not_found"


async def test_however_many_accounts_and_jobs_wait_others_are_spoken(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        kind = kind_of(server)
        kind._postponed_accounts = {f"acc_{number}": LAST_MOMENT for number in range(40_000)}
        kind._postponed_jobs = {f"job_{number}": LAST_MOMENT for number in range(40_000)}
        made = await new_job(server, "Hello.")
        await job_with(server, made["id"], "done")


async def test_a_closed_account_leaves_no_job(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        made = await new_job(server, text_of(2))
        await job_with(server, made["id"], "done")
        answer = await server.administer("DELETE", f"accounts/{server.account.id}")
        assert answer.is_success, answer.text
        for table in ("jobs", "job_steps", "job_clips", "blobs"):
            assert await server.worker.store.read(f"SELECT * FROM {table}") == []


@simulated
async def test_a_step_that_a_stop_of_the_server_breaks_off_is_spoken_anew_and_costs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.TaskKind, "closing_s", 0.05)
    engine = Halting()
    async with jobs_inside(tmp_path, one=engine) as server:
        made = await new_job(server, text_of(3), model="one", voice="one")
        await engine.is_there.wait()
    async with jobs_inside(tmp_path, one=Scripted(*spoken(0.2)), name="ben") as again:
        ours = server._replace(worker=again.worker)
        done = await job_with(ours, made["id"], "done")
        assert (done["steps_done"], done["credits"]) == (3, len(text_of(3)))
        rows = await ours.usage()
        assert sorted(row.outcome for row in rows if not row.credits) == ["failed"] * (len(rows) - 3)
        assert (await verify(again.worker.store)).is_clean
