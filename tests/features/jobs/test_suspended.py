"""Accounts that an operator suspends: their keys are refused, their jobs wait, and nothing is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.features.admin.verify import verify
from proxy.features.jobs.core import steps
from proxy.features.jobs.kinds.batch.kind import WINDOW_US
from proxy.storage.store import Statement
from tests.features.jobs.batches.rig import ended, line, new_batch
from tests.features.jobs.job_rig import Halting, job_with, jobs_inside, kind_of, new_job, text_of
from tests.features.jobs.test_retention import batches
from tests.proxy.api.inside import Inside
from tests.replies import json_of
from tests.waiting import soon

pytestmark = pytest.mark.slow


async def with_operator(server: Inside) -> Inside:
    """Return the same server with the admin key of another account, since none suspends its own."""
    account = (await server.administer("POST", "accounts", {"name": "operator"})).json()["id"]
    made = await server.administer("POST", "keys", {"account": account, "role": "admin"})
    return server._replace(admin_key=made.json()["key"])


async def switch(server: Inside, what: str) -> dict[str, Any]:
    return json_of(
        await server.administer("POST", f"accounts/{server.account.id}/{what}", {"reason": "unpaid"})
    )


async def seen_by_operator(server: Inside, job: str) -> dict[str, Any]:
    shown: dict[str, Any] = (await server.administer("GET", f"jobs/{job}")).json()
    return shown


def waits(server: Inside, job: str) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        shown = await seen_by_operator(server, job)
        return (shown["status"], shown["waits_for"]) == ("waiting", "suspended")

    return is_so


async def refusals(server: Inside) -> list[tuple[int, str]]:
    """Ask for something of each kind: to speak, to read, to delete, and a path that does not exist."""
    asked = [
        await server.speech(),
        await server.ask("GET", "/v1/me"),
        await server.ask("GET", "/v1/jobs"),
        await server.ask("DELETE", "/v1/audio/voices/voice_1"),
        await server.ask("GET", "/v1/nothing"),
    ]
    return [(answer.status_code, answer.json()["error"]["code"]) for answer in asked]


async def test_a_suspended_account_is_refused_and_its_job_waits_until_it_is_resumed(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_DELAY_S", 0.1)
    engine = Halting(2)
    async with jobs_inside(tmp_path, store_url, one=engine) as opened:
        server = await with_operator(opened)
        kind_of(server).most_at_once = 1
        made = await new_job(server, text_of(4), model="one", voice="one")
        await engine.is_there.wait()
        assert (await switch(server, "suspend"))["suspended"] is not None
        assert await refusals(server) == [(403, "account_suspended")] * 5
        # The step that is under way ends, and is charged. No other begins.
        engine.goes_on.set()
        await soon(waits(server, made["id"]))
        assert ((await seen_by_operator(server, made["id"]))["steps_done"], len(engine.jobs)) == (2, 2)
        first = (await switch(server, "suspend"))["suspended"]
        assert first == (await server.administer("GET", f"accounts/{server.account.id}")).json()["suspended"]

        assert (await switch(server, "resume"))["suspended"] is None
        done = await job_with(server, made["id"], "done")
        assert (done["waits_for"], done["steps_done"]) == ("", 4)
        await switch(server, "resume")
        listed = (await server.administer("GET", "audit")).json()["data"]
        acts = [(row["action"], row["details"].get("reason")) for row in reversed(listed)]
        assert acts[-2:] == [("account.suspended", "unpaid"), ("account.resumed", "unpaid")]
        assert (await verify(server.worker.store)).is_clean


async def test_no_other_step_of_an_account_that_waits_is_begun(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as opened:
        server, kind = await with_operator(opened), kind_of(opened)
        kind.most_at_once = 0
        made = await new_job(server, text_of(12))
        await switch(server, "suspend")
        kind.most_at_once = 1
        kind.look_now()
        await soon(waits(server, made["id"]))
        assert await kind.list_open(await server.worker.store.now()) == []


async def test_a_batch_does_not_expire_while_its_account_is_suspended(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_DELAY_S", 0.1)
    async with jobs_inside(tmp_path, store_url) as opened:
        server, store = await with_operator(opened), opened.worker.store
        kind = kind_of(server)
        kind.most_at_once = 0
        made = await new_batch(server, line("a", "Hello."))
        await store.write(Statement(f"UPDATE jobs SET created = created - {WINDOW_US}"))
        await switch(server, "suspend")
        assert await batches(server).expire() == 0
        kind.most_at_once = 4
        kind.look_now()
        await soon(waits(server, made["id"]))
        await switch(server, "resume")
        assert await batches(server).expire() == 0, "the window begins again"
        assert (await ended(server, made["id"]))["status"] == "completed"


async def test_answers_under_way_finish(tmp_path: Path) -> None:
    engine = Halting(2)
    async with jobs_inside(tmp_path, one=engine) as opened:
        server = await with_operator(opened)
        body = {"model": "one", "voice": "one", "input": "Hello.", "response_format": "pcm"}
        whole = await server.ask("POST", "/v1/audio/speech", body=body)
        speaking = asyncio.create_task(server.ask("POST", "/v1/audio/speech", body=body))
        await engine.is_there.wait()
        await switch(server, "suspend")
        engine.goes_on.set()
        answer = await speaking
        assert (answer.status_code, answer.content) == (200, whole.content)
        assert [row.outcome for row in await server.usage()] == ["finished"] * 2


async def test_what_cannot_be_suspended_is_refused(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as opened:
        server = await with_operator(opened)
        own = (
            await opened.administer("POST", f"accounts/{opened.account.id}/suspend", {"reason": "x"})
        ).json()
        assert (own["error"]["code"], own["error"]["param"]) == ("conflict", "account")
        unpaid = {"reason": "unpaid"}
        closed = (await server.administer("POST", "accounts", {"name": "closed"})).json()["id"]
        await server.administer("DELETE", f"accounts/{closed}")
        for path, body, status, param in (
            (f"accounts/{closed}/suspend", unpaid, 409, "account"),
            (f"accounts/{closed}/resume", unpaid, 409, "account"),
            ("accounts/nobody/suspend", unpaid, 404, "account"),
            (f"accounts/{server.account.id}/suspend", {}, 400, "reason"),
            (f"accounts/{server.account.id}/suspend", {"reason": ""}, 400, "reason"),
            (f"accounts/{server.account.id}/resume", {}, 400, "reason"),
        ):
            answer = await server.administer("POST", path, body)
            assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), path
        assert (await server.speech()).status_code == 200
