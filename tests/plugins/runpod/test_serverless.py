"""Work at an endpoint: begun once, whatever happens to its answers, and paid for as Runpod says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any, Literal

import msgspec
import pytest

from speech_engine import EngineFailed, EngineStumbled, EngineUnauthorized
from speech_engine.runner import CannotTell, NotBegun, RemotePiece, RemoteSample, Runner
from speech_engine.testing.jobs import job
from speech_engine.work import Speak
from tests.plugins.runpod.rig import USD_PER_SECOND, remote_worker, rig, work
from tests.tables import each_row

PIECES = (RemotePiece(number=0, data=b"piece.1"), RemotePiece(number=1, data=b"end", is_last=True))


async def broken(job: dict[str, Any]) -> Any:
    raise RuntimeError(f"cannot speak {job['input']}")


async def test_a_work_is_begun_and_its_pieces_can_be_had_again() -> None:
    async with rig(queue={"run_s": 8.0}) as at:
        runner: Runner = at.serverless
        name = await runner.submit(work())
        state = await at.ended(runner, name, work())
        assert (state.status, state.pieces) == ("done", PIECES)
        # Another process asks again, from the beginning or from the middle.
        assert (await at.serverless.look(name, work(), 0)).pieces == PIECES
        assert (await at.serverless.look(name, work(), 1)).pieces == PIECES[1:]
        assert len(at.fake.starts) == 1
        assert state.usd is not None
        assert at.fake.spent_usd <= state.usd <= runner.limits.most_usd


@each_row(("minutes", "is_read"), [(0, False), (10, True)])
async def test_a_result_is_read_if_its_job_allows_so_much_sound(minutes: int, is_read: bool) -> None:
    async def long(_job: dict[str, Any]) -> AsyncIterator[Any]:
        for number in range(40):
            piece = RemotePiece(number=number, data=bytes(700_000), is_last=number == 39)
            yield msgspec.to_builtins(piece)

    sent = work()
    if minutes:
        speech = job("A long text.", model="standard", max_samples=minutes * 60 * 24_000)
        sent = msgspec.structs.replace(sent, work=Speak(speech))
    async with rig(long) as at:
        name = await at.serverless.submit(sent)
        with nullcontext() if is_read else pytest.raises(EngineFailed):
            assert len((await at.ended(at.serverless, name, sent)).pieces) == 40


async def test_runpod_is_told_to_end_it_even_if_nobody_comes_back() -> None:
    async with rig(most_s=300, queue_s=100, start_s=50) as at:
        await at.serverless.submit(work(most_s=60.0))
        (asked,) = at.fake.jobs.spoken()
        assert asked.json["policy"] == {"executionTimeout": 60_000, "ttl": (100 + 50 + 300 + 600) * 1000}
        assert asked.json["input"] == {"key": "piece.1", "most_s": 60.0}
        assert at.serverless.limits.over_s > asked.json["policy"]["ttl"] / 1000


async def test_a_result_stays_for_ten_minutes_although_its_job_has_waited_for_an_hour() -> None:
    sent = work(most_s=200.0)
    async with rig(queue={"queue_s": 3600.0, "run_s": 180.0}, queue_s=3500, start_s=100, most_s=200) as at:
        name = await at.serverless.submit(sent)
        at.fake.clock.advance(3600.0)
        await at.begun()
        assert (await at.ended(at.serverless, name, sent)).pieces == PIECES
        at.fake.clock.advance(at.serverless.limits.kept_s)
        assert (await at.serverless.look(name, sent, 0)).pieces == PIECES


@each_row(
    ("fault", "more"),
    [
        ("lost", {}),
        ("truncated", {"after_bytes": 3}),
        ("garbage", {}),
        ("5xx", {"status": 500}),
        ("5xx", {"status": 504}),
        ("5xx", {"status": 408}),
        ("5xx", {"status": 302}),
        ("error_in_200", {"code": "not_json"}),
    ],
)
async def test_a_doubtful_submit_is_told_as_one_and_never_sent_again(
    fault: Literal["lost"], more: dict[str, Any]
) -> None:
    async with rig() as at:
        at.fake.jobs.fail(fault, path="/run", **more)
        with pytest.raises(EngineFailed):
            await at.serverless.submit(work())
        with pytest.raises(CannotTell):
            await at.serverless.find("piece.1")
        assert at.asked("POST", "/run") == 1
        if fault == "lost":
            await at.begun()
        assert len(at.fake.starts) <= 1


@each_row("status", [400, 401, 403, 404, 413, 422, 429])
async def test_a_refusal_is_no_start(status: int) -> None:
    async with rig() as at:
        at.fake.jobs.fail("5xx", path="/run", status=status, retry_after="7")
        with pytest.raises(NotBegun) as refused:
            await at.serverless.submit(work())
        assert refused.value.retry_after_s == 7.0
        assert (at.asked("POST", "/run"), at.fake.starts) == (1, [])
        assert ("the settings name" in refused.value.message) == (status == 404)


async def test_only_a_connection_that_was_never_made_is_tried_again() -> None:
    async with rig(jobs_url="http://127.0.0.1:9/v2") as at:
        before = at.fake.clock()
        with pytest.raises(NotBegun):
            await at.serverless.submit(work())
        assert at.fake.clock() > before + 3.0


async def test_what_is_too_long_is_not_sent() -> None:
    async with rig() as at:
        sample = RemoteSample(digest="d" * 64, pcm=bytes(8_000_000))
        long = work()
        long = type(long)(key=long.key, most_s=1.0, samples=(sample,))
        with pytest.raises(NotBegun):
            await at.serverless.submit(long)
        assert at.fake.jobs.seen == []


async def test_questions_are_asked_again_after_429_5xx_and_lost_answers() -> None:
    async with rig() as at:
        runner = at.serverless
        name = await runner.submit(work())
        await at.ended(runner, name, work())
        at.fake.jobs.reset()
        before = at.fake.clock()
        at.fake.jobs.fail("429", path="/status", retry_after="3")
        at.fake.jobs.fail("5xx", path="/status")
        at.fake.jobs.fail("lost", path="/status")
        assert (await runner.look(name, work(), 0)).status == "done"
        assert at.asked("GET", "/status") == 4
        assert at.fake.clock() >= before + 3.0
        assert len(at.fake.starts) == 1


async def test_nobody_asks_for_ever() -> None:
    async with rig() as at:
        name = await at.serverless.submit(work())
        at.fake.jobs.fail("5xx", path="/status", count=9)
        with pytest.raises(EngineStumbled):
            await at.serverless.look(name, work(), 0)
        assert at.asked("GET", "/status") == 4


async def test_a_wrong_key_is_told() -> None:
    async with rig(api_key="wrong") as at:
        with pytest.raises(EngineUnauthorized):
            await at.serverless.health()
        with pytest.raises(NotBegun):
            await at.serverless.submit(work())


async def test_a_state_that_nobody_knows_is_no_end() -> None:
    async with rig() as at:
        name = await at.serverless.submit(work())
        await at.begun()
        at.fake.jobs.fail("error_in_200", path="/status", code="unknown_state")
        assert (await at.serverless.look(name, work(), 0)).status == "running"
        assert (await at.ended(at.serverless, name, work())).status == "done"


@pytest.mark.parametrize("how", ["vanishes", "expires"])
async def test_a_job_that_runpod_forgot_is_lost_and_nothing_is_begun_again(how: str) -> None:
    async with rig() as at:
        name = await at.serverless.submit(work())
        await at.ended(at.serverless, name, work())
        if how == "vanishes":
            at.fake.jobs.fail("error_in_200", path="/status", code="vanish")
        else:
            at.fake.clock.advance(1800)
        state = await at.serverless.look(name, work(), 0)
        assert (state.status, state.usd) == ("lost", None)
        assert len(at.fake.starts) == 1


async def test_a_failure_is_told_without_the_words_of_the_worker() -> None:
    async with rig(broken) as at:
        name = await at.serverless.submit(work("a secret key"))
        state = await at.ended(at.serverless, name, work())
        assert (state.status, state.pieces) == ("failed", ())
        assert "secret" not in repr(state)
        assert "secret" not in " ".join(at.logged())


async def test_a_job_that_ran_too_long_failed() -> None:
    async with rig(queue={"run_s": 100.0}, most_s=20) as at:
        name = await at.serverless.submit(work())
        state = await at.ended(at.serverless, name, work())
        assert state.status == "failed"
        assert state.usd is not None
        assert 20 * USD_PER_SECOND <= at.fake.spent_usd <= state.usd <= at.serverless.limits.most_usd


@pytest.mark.parametrize("shape", ["object", "array"])
async def test_a_worker_without_an_aggregate_is_read_from_its_stream(
    shape: Literal["object", "array"],
) -> None:
    async with rig(queue={"aggregates": False}) as at:
        (desk,) = at.fake.desks.values()
        desk.stream_shape = shape
        name = await at.serverless.submit(work())
        assert (await at.ended(at.serverless, name, work())).pieces == PIECES
        # What was given once is gone: that is a failure, and no sound with a hole in it.
        assert (await at.serverless.look(name, work(), 0)).status == "failed"


async def test_a_stream_whose_answer_was_lost_is_no_result() -> None:
    async with rig(queue={"aggregates": False}) as at:
        name = await at.serverless.submit(work())
        await at.begun()
        at.fake.jobs.fail("lost", path="/stream")
        state = await at.ended(at.serverless, name, work())
        assert (state.status, state.pieces) == ("failed", ())


async def _gap(job: dict[str, Any]) -> AsyncIterator[Any]:
    yield {"number": 1, "data": "", "is_last": True}


async def _no_end(job: dict[str, Any]) -> AsyncIterator[Any]:
    yield {"number": 0, "data": ""}


async def _no_piece(job: dict[str, Any]) -> AsyncIterator[Any]:
    yield "hello"


@each_row("handler", [_gap, _no_end, _no_piece])
async def test_what_is_no_whole_result_is_a_failure(handler: Any) -> None:
    async with rig(handler) as at:
        name = await at.serverless.submit(work())
        assert (await at.ended(at.serverless, name, work())).status == "failed"


async def test_a_cancel_ends_the_work_and_its_bill() -> None:
    async with rig(queue={"run_s": 1000.0}) as at:
        name = await at.serverless.submit(work())
        await at.begun()
        at.fake.clock.advance(10)
        at.fake.jobs.fail("lost", path="/cancel")
        usd = await at.serverless.cancel(name)
        spent = at.fake.spent_usd
        assert usd is not None
        assert spent <= usd
        at.fake.clock.advance(1000)
        assert at.fake.spent_usd == spent
        # Runpod was asked to forget it soon.
        assert (await at.serverless.look(name, work(), 0)).status == "lost"
        assert await at.serverless.cancel(name) is None


@pytest.mark.parametrize("status", [400, 409])
async def test_what_is_over_is_forgotten_though_its_cancel_is_refused(status: int) -> None:
    async with rig() as at:
        name = await at.serverless.submit(work())
        await at.ended(at.serverless, name, work())
        at.fake.jobs.fail("5xx", path="/cancel", status=status)
        assert await at.serverless.cancel(name) is not None
        at.fake.clock.advance(11)
        assert (await at.serverless.look(name, work(), 0)).status == "lost"


async def test_a_cancel_that_does_not_end_it_is_told() -> None:
    async with rig(queue={"run_s": 1000.0}) as at:
        name = await at.serverless.submit(work())
        await at.begun()
        at.fake.jobs.fail("error_in_200", path="/status", code="unknown_state", count=50)
        with pytest.raises(EngineFailed):
            await at.serverless.cancel(name)


async def test_work_stays_at_the_endpoint_where_it_was_begun() -> None:
    async with rig() as at:
        name = await at.serverless.submit(work())
        moved = at._replace(settings=type(at.settings)(**{**_fields(at.settings), "endpoint_id": "other"}))
        assert (await at.ended(moved.serverless, name, work())).status == "done"


async def test_health_and_tidy() -> None:
    async with rig(queue={"run_s": 50.0, "workers": 1}) as at:
        for number in range(3):
            await at.serverless.submit(work(f"k{number}"))
        await at.begun()
        health = await at.serverless.health()
        assert (health.machines, health.waiting) == (1, 2)
        at.fake.jobs.reset()
        await at.serverless.tidy({})
        assert at.fake.jobs.seen == []


async def test_a_key_is_in_no_repr_and_no_log() -> None:
    async with rig(jobs_url="http://127.0.0.1:9/v2") as at:
        with pytest.raises(NotBegun) as refused:
            await at.serverless.submit(work())
        shown = f"{refused.value.reason} {at.settings!r} {at.serverless!r} {at.log.calls!r}"
        assert at.settings.api_key not in shown
        assert at.logged() == ["runpod.request.failed"]


async def test_many_at_once_are_begun_once_each() -> None:
    async with rig(remote_worker) as at:
        names = await asyncio.gather(*(at.serverless.submit(work(f"k{number}")) for number in range(20)))
        assert len(set(names)) == 20
        for number, name in enumerate(names):
            state = await at.ended(at.serverless, name, work())
            assert state.pieces[0].data == f"k{number}".encode()
        assert len(at.fake.starts) == 20


def _fields(settings: Any) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}
