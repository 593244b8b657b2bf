"""Who leaves an engine that bills as soon as it has a text: what it pays, by what the engine was given."""

import asyncio
from pathlib import Path

import pytest

from policies.plans import Terms
from proxy.ledger.budgets import Budgets
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.speech.test_pipeline import BODY, BUDGET, PAIR, ask

PAID = (
    PAIR.replace("[engines.one]", '[engines.one]\ncosts = { "*" = { usd = 0.5, per = "job" } }')
    + """
[plans.paid]
allowance = 1000
prices.speech = { credits = 1, per = "character" }
"""
)
WHOLE = len(BODY["input"])


async def leave(server: Inside, engine: Scripted, *, asked: int, waiting: int = 0) -> None:
    """Asks, and goes away as soon as so many have been asked, and so many wait."""
    leaves = asyncio.Event()
    speaking = asyncio.create_task(server.raw_speech({**BODY, "model": "one/m"}, leaves))
    deadline = asyncio.get_running_loop().time() + 10
    while len(engine.jobs) < asked or (await server.worker.engines["one"].health()).waiting < waiting:
        assert asyncio.get_running_loop().time() < deadline, engine.jobs
        await asyncio.sleep(0.001)
    leaves.set()
    await speaking


async def test_the_whole_text_is_paid_for_once_the_engine_has_it(tmp_path: Path) -> None:
    engine = Scripted(asyncio.Event().wait, billed_on_submit=True)
    async with inside(tmp_path, PAID, {"one": engine, "two": Scripted()}, plan="paid") as server:
        await leave(server, engine, asked=1)
        (row,) = await server.usage()
    assert (row.outcome, row.samples, row.credits, row.micro_usd) == ("left", 0, WHOLE * 10**6, 500_000)


async def test_nothing_is_paid_for_by_who_leaves_our_own_line(tmp_path: Path) -> None:
    engine = Scripted(asyncio.Event().wait, billed_on_submit=True)
    async with inside(tmp_path, PAID, {"one": engine, "two": Scripted()}, plan="paid") as server:
        stop = asyncio.Event()
        speaking = [
            asyncio.create_task(server.raw_speech({**BODY, "model": "one/m"}, stop)) for _ in range(2)
        ]
        await leave(server, engine, asked=2, waiting=1)
        (row,) = await server.usage()
        stop.set()
        await asyncio.gather(*speaking)
    assert len(engine.jobs) == 2
    assert (row.outcome, row.credits, row.micro_usd) == ("left", 0, 0)


async def test_a_delay_that_keeps_the_first_from_being_asked_leaves_time_for_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one budget to first audio is for all that is done until then."""
    calls = 0
    real = Budgets.check_budgets

    async def slow(budgets: Budgets, engine: str, account: str, terms: Terms) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()
        await real(budgets, engine, account, terms)

    monkeypatch.setattr(Budgets, "check_budgets", slow)
    one, two = Scripted(*spoken(0.5)), Scripted(*spoken(0.5))
    async with inside(tmp_path, BUDGET, {"one": one, "two": two}) as server:
        async with asyncio.timeout(5):
            assert (await ask(server))[2] == "two/m"
    assert one.jobs == []


async def test_a_database_that_hangs_while_budgets_are_looked_at_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_budgets: Budgets, _engine: str, _account: str, _terms: Terms) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Budgets, "check_budgets", hang)
    async with inside(tmp_path, BUDGET, {"one": Scripted(), "two": Scripted()}) as server:
        async with asyncio.timeout(5):
            answer = await server.ask("POST", "/v1/audio/speech", body=BODY)
    assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_timeout")
