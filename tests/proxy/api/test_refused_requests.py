"""Requests that were refused: in the log by their code, and in usage as sums; never what failed later."""

import asyncio

import pytest
import structlog

from proxy.access.callers import Caller
from proxy.access.refusals import MOST_KINDS, RefusalTotals
from proxy.errors import RateLimited
from proxy.speech.pipeline import Pipeline
from proxy.storage import refusals
from proxy.storage.store import StorageFailed, Store
from proxy.storage.turns import MOST_ROWS
from proxy.storage.usage import Period
from tests.proxy.api.inside import TONE, Inside, inside_fixture
from tests.proxy.ledger.lossy import LossyStore

POOR = """
[plans.poor]
allowance = 0
rpm = 3
[plans.poor.prices]
speech = { credits = 1, per = "second" }
"""

poor = inside_fixture(TONE + POOR, plan="poor")


async def sums(server: Inside, by: str) -> dict[str, int]:
    await server.worker.refusals.write_totals()
    rows = (await server.administer("GET", f"usage?by={by}")).json()["data"]
    return {row["name"]: row["requests"] for row in rows}


async def test_every_refusal_is_counted_by_its_reason(poor: Inside) -> None:
    answers = [await poor.speech(), await poor.speech(speed=9.0), await poor.speech(), await poor.speech()]
    assert [each.status_code for each in answers] == [429, 400, 429, 429]
    assert await sums(poor, "refusal") == {
        "429 insufficient_quota": 2,
        "400 invalid_value": 1,
        "429 rate_limit_exceeded": 1,
    }
    assert await sums(poor, "outcome") == {"refused": 4}
    (row, *_) = (await poor.ask("GET", "/v1/usage?by=refusal")).json()["data"]
    assert (row["name"], row["credits"], row["characters"]) == ("429 insufficient_quota", 0, 0)
    assert await poor.usage() == []


async def test_a_refusal_is_found_in_the_log_by_its_code(poor: Inside) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await poor.speech("a secret text")
        await poor.ask("GET", "/v1/me")
    refused, fine = [line for line in lines if line["event"] == "request.finished"]
    assert refused["request"] == answer.headers["x-request-id"]
    assert (refused["status"], refused["code"]) == (429, "insufficient_quota")
    assert refused["account"] == poor.account.id
    assert "code" not in fine
    assert "secret" not in str(lines)


async def test_what_fails_after_it_was_let_in_has_its_row_and_is_not_refused(server: Inside) -> None:
    answer = await server.speech(voice="tone/fail")
    assert answer.is_error
    assert len(await server.usage()) == 1
    assert await sums(server, "refusal") == {}


async def test_what_breaks_after_it_was_let_in_is_counted_once(
    server: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(Pipeline, "_begin_speech", break_down)
    assert (await server.speech()).status_code == 500
    assert await sums(server, "outcome") == {"failed": 1}
    assert await sums(server, "refusal") == {}


async def test_without_a_key_nothing_is_counted(server: Inside) -> None:
    assert (await server.ask("GET", "/v1/me", key="sk-wrong")).status_code == 401
    assert await sums(server, "refusal") == {}


FAILURE = RateLimited("no")


async def test_a_flood_is_one_commit_and_one_row(store: Store) -> None:
    totals = RefusalTotals(store)
    caller = Caller(account="acc_ada", key="key_ada", plan="free", role="speech")
    for _ in range(3):
        for _ in range(10_000):
            totals.count_refusal(caller, "/v1/audio/speech", FAILURE)
        await totals.write_totals()
    (row,) = await store.read("SELECT account, key, route, status, code, count FROM refusals")
    assert dict(row) == {
        "account": "acc_ada",
        "key": "key_ada",
        "route": "/v1/audio/speech",
        "status": 429,
        "code": "rate_limit_exceeded",
        "count": 30_000,
    }
    assert await refusals.count_all(store, Period()) == 30_000
    assert await refusals.count_all(store, Period("acc_bob")) == 0


async def test_no_more_kinds_are_kept_than_fit(store: Store) -> None:
    totals = RefusalTotals(store)
    for number in range(MOST_KINDS + 10):
        caller = Caller(account="acc_ada", key=f"key_{number}", plan="free", role="speech")
        totals.count_refusal(caller, "/v1/audio/speech", FAILURE)
    assert len(totals._counts) == MOST_KINDS


async def test_while_the_database_is_away_refusals_wait(store: Store) -> None:
    lossy = LossyStore(store)
    totals = RefusalTotals(lossy)
    caller = Caller(account="acc_ada", key="key_ada", plan="free", role="speech")
    totals.count_refusal(caller, "/v1/audio/speech", FAILURE)
    lossy.fates.append("refused")
    with pytest.raises(StorageFailed):
        await totals.write_totals()
    totals.count_refusal(caller, "/v1/audio/speech", FAILURE)
    await totals.write_totals()
    assert await refusals.count_all(store, Period()) == 2


async def test_a_commit_of_many_kinds_that_fails_neither_loses_nor_doubles_any(store: Store) -> None:
    lossy = LossyStore(store)
    totals = RefusalTotals(lossy)

    def refuse(kinds: int) -> None:
        for number in range(kinds):
            caller = Caller(account="acc_ada", key=f"key_{number:04}", plan="free", role="speech")
            totals.count_refusal(caller, "/v1/audio/speech", FAILURE)

    refuse(1200)
    lossy.fates[:] = ["goes well", "refused"]
    with structlog.testing.capture_logs() as logs:
        with pytest.raises(StorageFailed):
            await totals.write_totals()
        assert await refusals.count_all(store, Period()) == MOST_ROWS
        refuse(600)
        await totals.write_totals()
    assert [log["rows"] for log in logs if log["event"] == "commit.held" and log["rows"] > MOST_ROWS] == []
    (row,) = await store.read("SELECT count(*) AS kinds FROM refusals WHERE count > 1")
    assert (await refusals.count_all(store, Period()), row["kinds"]) == (1800, 600)


async def test_a_cancel_loses_no_refusal_and_counts_none_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that ends cancels its writing, at whatever it waits for, and writes once more."""
    lossy = LossyStore(store)
    totals = RefusalTotals(lossy)
    totals.count_refusal(
        Caller(account="acc_ada", key="key_ada", plan="free", role="speech"), "/v1/me", FAILURE
    )
    with monkeypatch.context() as patched:
        patched.setattr(lossy, "now", asyncio.Event().wait)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await totals.write_totals()
    assert len(totals._counts) == 1
    lossy.fates.append("held back")
    writing = asyncio.create_task(totals.write_totals())
    await lossy.was_asked.wait()
    writing.cancel()
    await asyncio.wait([writing])
    await totals.write_totals()
    lossy.may_write.set()
    lossy.may_answer.set()
    await lossy.was_written.wait()
    await asyncio.sleep(0)
    assert await refusals.count_all(store, Period()) == 1
