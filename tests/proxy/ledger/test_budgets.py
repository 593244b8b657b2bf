"""What providers may cost: whose money is spent is not asked, and the operator hears of it once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from proxy.cli import engines as engine_commands
from proxy.commands.tables import print_answer
from proxy.config.sections import EngineSection
from proxy.ledger import budgets as budgets_module
from proxy.ledger.budgets import Budgets
from proxy.storage import costs
from proxy.storage.costs import Cost
from proxy.storage.store import Params, Store
from proxy.telemetry.metrics import Metrics
from speech_engine import EngineExhausted, EngineUnavailable
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.ledger.asking import wanted

DAY = 86_400_000_000
PAIR = """
[engines.one]
{one}
costs = {{ "*" = {{ usd = 1, per = "job" }} }}
[engines.two]
{two}
costs = {{ "*" = {{ usd = 1, per = "job" }} }}
[models]
pair = ["one/m", "two/m"]
[voices.ana]
one = "v"
two = "v"
[plans.small]
budget_usd_day = 2
[plans.unlimited]
"""
BODY = {"model": "pair", "voice": "ana", "input": "Hello there.", "response_format": "pcm"}


def config(one: str = "", two: str = "") -> str:
    return PAIR.format(one=one, two=two)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets_module, "STORED_S", -1.0)


def pair() -> dict[str, Scripted]:
    return {"one": Scripted(*spoken(0.1)), "two": Scripted(*spoken(0.1))}


async def speakers(server: Inside, times: int) -> list[str]:
    """Who spoke each time, or the error's code."""
    answers = [await server.ask("POST", "/v1/audio/speech", body=BODY) for _ in range(times)]
    return [
        envelope(answer)["code"] if answer.is_error else answer.headers["x-voxgate-engine"].partition("/")[0]
        for answer in answers
    ]


async def spent(
    server: Inside, engine: str, usd: float, days_ago: float = 0.0, account: str = "acc_x"
) -> None:
    now = await server.worker.store.now()
    row = Cost(
        request=f"req_{engine}_{usd}_{days_ago}",
        attempt=1,
        account=account,
        at=int(now - days_ago * DAY),
        engine=engine,
        model="m",
        characters=1,
        audio_ms=0,
        units=None,
        micro_usd=round(usd * 1e6),
    )
    await server.worker.store.write(costs.insert_statement(row))


@pytest.mark.parametrize("period", ["day", "month"])
async def test_an_engine_whose_budget_is_used_up_gives_way_to_the_next(tmp_path: Path, period: str) -> None:
    asked = pair()
    async with inside(tmp_path, config(f"budget_usd_{period} = 2"), asked) as server:
        assert await speakers(server, 4) == ["one", "one", "two", "two"]
        page = server.worker.metrics.page_text()
    assert [len(engine.jobs) for engine in asked.values()] == [2, 2]
    assert f'voxgate_engine_spend_usd{{engine="one",period="{period}"}} 2.0' in page
    assert f'voxgate_engine_budget_usd{{engine="one",period="{period}"}} 2.0' in page
    assert 'engine="two"' not in "".join(line for line in page.splitlines() if "usd" in line)


async def test_when_all_are_used_up_it_is_a_503_that_says_when_to_come_back(tmp_path: Path) -> None:
    both = "budget_usd_day = 0"
    async with inside(tmp_path, config(both, both), pair()) as server:
        answer = await server.ask("POST", "/v1/audio/speech", body=BODY)
        (row,) = await server.usage()
    assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_unavailable")
    assert answer.headers["retry-after"] == "60"
    assert "budget" not in answer.text
    assert (row.outcome, row.micro_usd) == ("failed", 0)


@pytest.mark.parametrize(
    ("line", "days_ago", "who"),
    [
        ("budget_usd_day = 2", 1.0, "one"),
        ("budget_usd_day = 2", 0.0, "two"),
        ("budget_usd_month = 2", 32.0, "one"),
        ("budget_usd_month = 2", 0.0, "two"),
    ],
)
async def test_only_what_this_day_or_month_has_cost_counts(
    tmp_path: Path, line: str, days_ago: float, who: str
) -> None:
    async with inside(tmp_path, config(line), pair()) as server:
        await spent(server, "one", 2.0, days_ago)
        assert await speakers(server, 1) == [who]


async def test_the_costs_of_other_engines_do_not_count(tmp_path: Path) -> None:
    async with inside(tmp_path, config("budget_usd_day = 2"), pair()) as server:
        await spent(server, "two", 100.0)
        assert await speakers(server, 1) == ["one"]


async def test_a_plans_budget_is_each_accounts_own_on_all_engines_together(tmp_path: Path) -> None:
    async with inside(tmp_path, config(), pair(), plan="small") as server:
        await spent(server, "one", 50.0, account="acc_of_somebody_else")
        assert await speakers(server, 1) == ["one"]
        await spent(server, "two", 1.0, account=server.account.id)
        assert await speakers(server, 2) == ["engine_unavailable"] * 2


async def test_an_account_without_budget_may_use_engines_that_cost_nothing(tmp_path: Path) -> None:
    free = config().replace('[engines.two]\n\ncosts = { "*" = { usd = 1, per = "job" } }', "[engines.two]")
    assert free != config()
    async with inside(tmp_path, free, pair(), plan="small") as server:
        assert await speakers(server, 4) == ["one", "one", "two", "two"]


class Shifted:
    """A store whose clock can be set forward."""

    def __init__(self, store: Store) -> None:
        self.ahead = 0
        self._store = store

    async def now(self) -> int:
        return await self._store.now() + self.ahead

    async def read(self, sql: str, params: Params) -> Any:
        return await self._store.read(sql, params)


async def test_of_two_budgets_that_are_used_up_the_longer_one_says_until_when(tmp_path: Path) -> None:
    async with inside(tmp_path, config("budget_usd_day = 1\nbudget_usd_month = 1"), pair()) as server:
        await spent(server, "one", 1)
        one, _ = (await server.administer("GET", "engines")).json()["data"]
    assert one["reason"].startswith("budget of this month used up until ")


async def told(budgets: Budgets) -> list[str]:
    with capture_logs() as logs:
        try:
            await budgets.check_budgets("one", "acc_ada", wanted().terms)
        except EngineUnavailable:
            pass  # that it is used up is what is being told
    return [
        f"{log['event']} {log['owner']} {log['period']} {log['usd']:g} of {log['of_usd']:g}" for log in logs
    ]


async def test_the_operator_is_warned_once_a_day(tmp_path: Path) -> None:
    async with inside(tmp_path, config(), pair()) as server:
        shifted: Any = Shifted(server.worker.store)
        section = EngineSection("one", budget_usd_day=10.0)
        budgets = Budgets(shifted, {"one": section}, Metrics().engines)
        await spent(server, "one", 7.9)
        assert await told(budgets) == []
        await spent(server, "one", 0.5)
        assert await told(budgets) == ["budget.spend.near one day 8.4 of 10"]
        assert await told(budgets) == []
        await spent(server, "one", 3.0)
        assert await told(budgets) == ["budget.spend.used one day 11.4 of 10"]
        assert await told(budgets) == []
        shifted.ahead = DAY
        assert await told(budgets) == []
        await spent(server, "one", 10.0, days_ago=-1.0)
        assert await told(budgets) == ["budget.spend.used one day 10 of 10"]


async def test_sums_are_not_read_for_every_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets_module, "STORED_S", 60.0)
    async with inside(tmp_path, config("budget_usd_day = 2"), pair()) as server:
        assert await speakers(server, 3) == ["one"] * 3


async def test_the_operator_sees_what_each_engine_has_cost_and_why_one_rests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"one": Scripted(EngineExhausted("no credit")), "two": Scripted(*spoken(0.1))}
    text = config("budget_usd_day = 2", "budget_usd_day = 2\nbudget_usd_month = 20")
    async with inside(tmp_path, text, asked) as server:
        await speakers(server, 1)
        listed = (await server.administer("GET", "engines")).json()
    one, two = listed["data"]
    assert (one["state"], one["reason"]) == ("resting", "no credit")
    assert one["budgets"] == [{"period": "day", "usd": 0.0, "of_usd": 2.0}]
    assert two["budgets"] == [
        {"period": "day", "usd": 1.0, "of_usd": 2.0},
        {"period": "month", "usd": 1.0, "of_usd": 20.0},
    ]
    print_answer(listed, None, engine_commands.engine_table)
    # The table breaks a long cell into lines.
    shown = " ".join(capsys.readouterr().out.split())
    assert "$1.00 of $2.00 a day, $1.00 of $20.00 a month" in shown
    assert "no credit" in shown


@pytest.mark.parametrize("period", ["day", "month"])
async def test_an_engine_whose_budget_is_used_up_says_until_when(tmp_path: Path, period: str) -> None:
    async with inside(tmp_path, config(f"budget_usd_{period} = 2"), pair()) as server:
        await spent(server, "one", 1.99)
        before = [row["state"] for row in (await server.administer("GET", "engines")).json()["data"]]
        await spent(server, "one", 0.01)
        one, two = (await server.administer("GET", "engines")).json()["data"]
        now = datetime.fromtimestamp(await server.worker.store.now() / 1e6, UTC)
        degraded = (await server.ask("GET", "/readyz", key="")).json()["degraded"]
    assert before == ["ready", "ready"]
    assert (two["state"], two["reason"]) == ("ready", "")
    told, _, until = one["reason"].rpartition(" ")
    assert (one["state"], told) == ("budget", f"budget of this {period} used up until")
    end = datetime.strptime(until, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
    assert timedelta(0) < end - now <= timedelta(days=1 if period == "day" else 31)
    assert (end.hour, end.minute) == (0, 0)
    named = [each for each in degraded if each.get("engine")]
    assert named == [{"engine": "one", "state": "budget", "reason": "budget: see voxgate engines"}]


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0.0, "$0.00"), (0.000015, "$0.000015"), (0.5, "$0.50"), (0.0123, "$0.0123"), (12.345678, "$12.35")],
)
def test_small_sums_are_shown_to_the_last_millionth(
    usd: float, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"name": "one", "plugin": "one", "state": "ready", "models": [], "running": 0, "slots": 1}
    row |= {
        "waiting": 0,
        "reason": "",
        "credentials": [],
        "figures": {},
        "loaded": None,
        "licences": {},
        "device": "",
        "memory_gb": None,
        "budgets": [{"period": "day", "usd": usd, "of_usd": 20.0}],
    }
    print_answer({"data": [row], "faults": []}, None, engine_commands.engine_table)
    assert f" {text} of $20.00 a day" in capsys.readouterr().out
