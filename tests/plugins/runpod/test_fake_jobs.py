"""The fake's jobs API is as strict as its reference: states, limits, retention, streams, rates, webhooks."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fakes.provider import Provider
from fakes.runpod.app import ENDPOINT, KEY, FakeRunpod
from fakes.runpod.clock import Clock
from fakes.runpod.jobs_api import Desk
from fakes.runpod.queue import JobQueue
from fakes.runpod.working import Handler, echo
from fakes.serving import served
from tests.plugins.runpod.asking import asked
from tests.waiting import soon


def fake_with(
    handler: Handler = echo, *, shape: Literal["object", "array"] = "object", **queue: Any
) -> FakeRunpod:
    clock = Clock()
    desk = Desk(JobQueue(clock, handler, **queue), stream_shape=shape)
    return FakeRunpod(clock=clock, endpoints={ENDPOINT: desk})


async def parts(job: dict[str, Any]) -> AsyncIterator[Any]:
    for number in range(job["input"]["parts"]):
        yield {"number": number}


async def fails(job: dict[str, Any]) -> Any:
    raise RuntimeError("CUDA out of memory")


async def test_a_job_waits_works_and_ends_by_the_clock() -> None:
    async with asked(fake_with(queue_s=5, run_s=20, usd_per_second=0.001)) as at:
        id_ = await at.run(text="a")
        assert (await at.status(id_))["status"] == "IN_QUEUE"
        at.fake.clock.advance(5)
        await soon(lambda: bool(at.queue.starts))
        at.fake.clock.advance(3)
        working = await at.status(id_)
        assert working == {"id": id_, "status": "IN_PROGRESS", "delayTime": 5000, "executionTime": 3000}
        at.fake.clock.advance(17)
        await at.queue.jobs[id_].over.wait()
        done = await at.status(id_)
        assert (done["status"], done["output"]) == ("COMPLETED", {"said": {"text": "a"}})
        assert done["executionTime"] == 20_000
        at.fake.clock.advance(100)
        assert at.fake.spent_usd == pytest.approx(0.02)


async def test_a_result_is_kept_for_thirty_minutes_and_less_if_asked() -> None:
    async with asked() as at:
        first, second = await at.run(), await at.run()
        await at.queue.jobs[second].over.wait()
        at.fake.clock.advance(1799)
        assert (await at.status(first))["status"] == "COMPLETED"
        await at.jobs.get(f"status/{second}?ttl=1000")
        assert await at.status(second) == 404
        at.fake.clock.advance(1)
        assert await at.status(first) == 404


async def test_a_ttl_removes_even_a_job_that_works() -> None:
    async with asked(fake_with(run_s=100, usd_per_second=1.0)) as at:
        body = {"input": {"a": 1}, "policy": {"ttl": 10_000}}
        id_ = (await at.jobs.post("run", json=body)).json()["id"]
        await soon(lambda: bool(at.queue.starts))
        at.fake.clock.advance(60)
        assert await at.status(id_) == 404
        await soon(lambda: at.fake.spent_usd == 10.0)


async def test_a_job_times_out() -> None:
    async with asked(fake_with(run_s=100)) as at:
        body = {"input": {"a": 1}, "policy": {"executionTimeout": 5000}}
        id_ = (await at.jobs.post("run", json=body)).json()["id"]
        await soon(lambda: bool(at.queue.starts))
        at.fake.clock.advance(6)
        await at.queue.jobs[id_].over.wait()
        assert (await at.status(id_))["status"] == "TIMED_OUT"


async def test_what_a_worker_raises_is_a_200_with_its_words() -> None:
    async with asked(fake_with(fails)) as at:
        id_ = await at.run()
        await at.queue.jobs[id_].over.wait()
        told = await at.status(id_)
        assert (told["status"], told["error"]) == ("FAILED", "CUDA out of memory")
        assert "output" not in told
        assert (await at.jobs.post(f"retry/{id_}")).json() == {"id": id_, "status": "IN_QUEUE"}
        await at.queue.jobs[id_].over.wait()
        assert len(at.fake.starts) == 2


async def test_cancel_purge_and_health() -> None:
    async with asked(fake_with(run_s=50, workers=1)) as at:
        ids = [await at.run(n=number) for number in range(4)]
        await soon(lambda: len(at.queue.starts) == 1)
        health = (await at.jobs.get("health")).json()
        assert (health["jobs"]["inProgress"], health["jobs"]["inQueue"]) == (1, 3)
        assert (await at.jobs.post(f"cancel/{ids[0]}")).json() == {"id": ids[0], "status": "CANCELLED"}
        await soon(lambda: len(at.queue.starts) == 2)
        assert (await at.jobs.post("purge-queue")).json() == {"removed": 2, "status": "completed"}
        assert [(await at.status(id_))["status"] for id_ in ids[2:]] == ["CANCELLED"] * 2
        assert (await at.jobs.post(f"retry/{ids[0]}")).status_code == 400


@pytest.mark.parametrize("shape", ["object", "array"])
async def test_chunks_are_given_out_once_in_both_shapes(shape: Literal["object", "array"]) -> None:
    more = asyncio.Event()

    async def two(job: dict[str, Any]) -> AsyncIterator[Any]:
        yield "first"
        await more.wait()
        yield "second"

    async with asked(fake_with(two, shape=shape, aggregates=False)) as at:
        id_ = await at.run()
        await soon(lambda: bool(at.queue.jobs[id_].chunks))

        async def poll() -> list[Any]:
            body = (await at.jobs.get(f"stream/{id_}")).json()
            assert isinstance(body, dict) == (shape == "object")
            return [part["output"] for part in (body["stream"] if shape == "object" else body)]

        assert await poll() == ["first"]
        assert await poll() == []
        assert (await at.status(id_))["status"] == "IN_PROGRESS"
        more.set()
        await at.queue.jobs[id_].over.wait()
        assert await poll() == ["second"]
        assert await poll() == []
        assert "output" not in await at.status(id_)


async def test_a_worker_that_aggregates_shows_all_in_its_output() -> None:
    async with asked(fake_with(parts)) as at:
        id_ = await at.run(parts=2)
        await at.queue.jobs[id_].over.wait()
        assert (await at.status(id_))["output"] == [{"number": 0}, {"number": 1}]


async def test_a_chunk_of_more_than_a_megabyte_fails_the_job() -> None:
    async def long(job: dict[str, Any]) -> AsyncIterator[Any]:
        yield "x" * 1024 * 1024

    async with asked(fake_with(long)) as at:
        id_ = await at.run()
        await at.queue.jobs[id_].over.wait()
        assert (await at.status(id_))["status"] == "FAILED"


async def test_runsync_waits_as_long_as_it_may() -> None:
    async with asked(fake_with(run_s=30)) as at:
        asking = asyncio.create_task(at.jobs.post("runsync?wait=10000", json={"input": {"a": 1}}))
        await soon(lambda: bool(at.queue.starts))
        at.fake.clock.advance(10)
        told = (await asking).json()
        assert told["status"] == "IN_PROGRESS"
        at.fake.clock.advance(20)
        await at.queue.jobs[told["id"]].over.wait()
        at.fake.clock.advance(299)
        assert (await at.status(told["id"]))["status"] == "COMPLETED"
        at.fake.clock.advance(1)
        assert await at.status(told["id"]) == 404
        assert (await at.jobs.post("runsync?wait=999", json={"input": {"a": 1}})).status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"input": "text"}, 400),
        ({"input": {"a": 1}, "policy": {"executionTimeout": 4999}}, 400),
        ({"input": {"a": 1}, "policy": {"ttl": 9999}}, 400),
        ({"input": {"a": "x" * 10_000_000}}, 413),
    ],
)
async def test_bad_orders_begin_nothing(body: dict[str, Any], status: int) -> None:
    async with asked() as at:
        assert (await at.jobs.post("run", json=body)).status_code == status
        assert at.fake.starts == []


async def test_a_key_and_an_endpoint_are_needed() -> None:
    async with asked() as at:
        wrong = {"authorization": "Bearer no"}
        assert (await at.jobs.get("health", headers=wrong)).status_code == 401
        assert (await at.jobs.get("../other/health")).status_code == 404


async def test_an_endpoint_has_its_rates() -> None:
    async with asked() as at:
        id_ = await at.run()
        answers = [(await at.jobs.post(f"cancel/{id_}")).status_code for _ in range(101)]
        assert answers == [200] * 100 + [429]
        at.fake.clock.advance(10)
        assert (await at.jobs.post(f"cancel/{id_}")).status_code == 200


async def test_faults_of_a_job_are_scripted() -> None:
    async with asked() as at:
        id_ = await at.run()
        at.fake.jobs.fail("error_in_200", path="/status", code="unknown_state")
        assert (await at.status(id_))["status"] == "HIBERNATING"
        at.fake.jobs.fail("error_in_200", path="/status", code="not_json")
        assert (await at.jobs.get(f"status/{id_}")).text == "<html>"
        at.fake.jobs.fail("429", path="/status", retry_after="3")
        assert (await at.jobs.get(f"status/{id_}")).headers["retry-after"] == "3"
        at.fake.jobs.fail("error_in_200", path="/status", code="vanish")
        assert await at.status(id_) == 404
        assert await at.status(id_) == 404


async def test_an_answer_is_lost_after_all_was_done() -> None:
    async with asked() as at:
        at.fake.jobs.fail("lost", path="/run")
        with pytest.raises(httpx2.TransportError):
            await at.jobs.post("run", json={"input": {"a": 1}})
        await soon(lambda: len(at.fake.starts) == 1)
        assert (await at.status("job-1-u1"))["status"] == "COMPLETED"


async def test_a_webhook_comes_twice_before_the_end_can_be_read_and_again_if_it_failed() -> None:
    seen: list[tuple[Any, Any]] = []
    refused = [503]

    async def receive(request: Request) -> Response:
        told = await request.json()
        seen.append((told["status"], (await at.status(told["id"]))["status"]))
        return Response(status_code=refused.pop() if refused else 200)

    hooks = Provider(Starlette(routes=[Route("/hook", receive, methods=["POST"])]), "/hook")
    async with served(hooks) as receiver, asked() as at:
        body = {"input": {"a": 1}, "webhook": f"{receiver.url}/hook"}
        id_ = (await at.jobs.post("run", json=body)).json()["id"]
        await at.queue.jobs[id_].over.wait()
        assert seen == [("COMPLETED", "IN_PROGRESS")] * 2
        at.fake.clock.advance(10)
        await soon(lambda: len(at.fake.webhooks.attempts_made) == 3)
        assert [status for _address, status in at.fake.webhooks.attempts_made] == [503, 200, 200]


def test_the_fake_runs_as_a_program_of_three_servers() -> None:
    command = [sys.executable, "-m", "fakes.runpod", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            jobs, management, proxy = process.stdout.readline().split()[-3:]
            headers = {"authorization": f"Bearer {KEY}"}
            with httpx2.Client(headers=headers) as client:
                assert client.post(f"{jobs}/v2/{ENDPOINT}/run", json={"input": {"a": 1}}).status_code == 200
                assert client.get(f"{management}/v2/pods").json() == {"pods": []}
                assert client.get(f"{proxy}/pod1/health").status_code == 404
        finally:
            process.terminate()
        assert process.wait(5) is not None
