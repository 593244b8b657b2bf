"""Usage summed up on both databases, against the same sums made by hand."""

from collections import defaultdict
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.usage_sides import DIMENSIONS, Dimension
from proxy.features.admin.usage_sums import UsageSum, list_sums
from proxy.storage import usage
from proxy.storage.rows import NEWEST, new_id
from proxy.storage.store import Statement, Store
from proxy.storage.tables import Table
from proxy.storage.usage import Outcome, Period, UsageRow
from tests.proxy.storage.test_usage import ROW
from tests.tables import each_row

_DAY = 86_400_000_000
_START = int(datetime(2026, 1, 30, tzinfo=UTC).timestamp()) * 1_000_000
_RECEIPT = "INSERT INTO receipts (request, account, facts) VALUES (:id, 'acc', :facts)"
_OUTCOMES: tuple[Outcome, ...] = ("finished", "left", "failed")


def rows() -> list[UsageRow]:
    """Ninety requests, eight hours apart, from January to the end of February."""
    return [
        msgspec.structs.replace(
            ROW,
            id=f"req_{n:02}",
            account=f"acc_{n % 2}",
            key=f"key_{n % 5}",
            engine=f"engine_{n % 2}",
            model=f"model_{n % 3}",
            voice=f"voice_{n % 4}",
            language=("en", "th")[n % 2],
            outcome=_OUTCOMES[n % 3],
            cache=("off", "hit", "miss")[n % 3],
            started=_START + n * _DAY // 3,
            samples=n * 1_001,
            characters=n,
            credits=n * 7,
            refunded=n * 3,
            micro_usd=2**40 + n,
            kind=("speech", "clone")[n % 2],
            job=("", "job_1", "job_2")[n % 3],
            tag=("", "ep:1", "ep:2", "ep.3")[n % 4],
        )
        for n in range(90)
    ]


def side(row: UsageRow, by: Dimension) -> str:
    if by in ("day", "month"):
        day = datetime.fromtimestamp(row.started // 1_000_000, UTC)
        return f"{day:%Y-%m-%d}" if by == "day" else f"{day:%Y-%m}"
    if by == "model":
        return f"{row.engine}/{row.model}"
    return str(getattr(row, "kind" if by == "operation" else by))


def by_hand(among: list[UsageRow], by: Dimension) -> dict[str, tuple[int, ...]]:
    groups: dict[str, list[UsageRow]] = defaultdict(list)
    for row in among:
        groups[side(row, by)].append(row)
    return {
        name: (
            len(group),
            sum(row.characters for row in group),
            sum(row.samples * 1000 // row.sample_rate_hz for row in group),
            sum(row.credits for row in group),
            sum(row.refunded for row in group),
            sum(row.micro_usd for row in group),
        )
        for name, group in groups.items()
    }


@pytest.fixture
async def among(store: Store) -> list[UsageRow]:
    made = rows()
    await store.write(*map(usage.insert_statement, made))
    return made


@each_row("by", [by for by in DIMENSIONS if by != "refusal"])
async def test_sums_are_those_of_the_rows(store: Store, among: list[UsageRow], by: Dimension) -> None:
    found = await list_sums(store, Period(), by)
    assert {row.name: msgspec.structs.astuple(row)[1:-1] for row in found} == by_hand(among, by)
    assert len(found) > 1
    if by in ("day", "month"):
        assert [row.name for row in found] == sorted((row.name for row in found), reverse=True)
    else:
        assert [row.credits for row in found] == sorted((row.credits for row in found), reverse=True)


async def test_sums_are_of_one_account_and_of_a_period(store: Store, among: list[UsageRow]) -> None:
    period = Period("acc_1", _START + 2 * _DAY, _START + 9 * _DAY)
    hers = [row for row in among if row.account == "acc_1" and period.since <= row.started < period.until]
    found = await list_sums(store, period, "key")
    assert {row.name: msgspec.structs.astuple(row)[1:-1] for row in found} == by_hand(hers, "key")
    assert sum(row.requests for row in found) == 10


@each_row("by", DIMENSIONS)
async def test_a_limited_sum_has_the_first_of_all_groups(
    store: Store, among: list[UsageRow], by: Dimension
) -> None:
    assert await list_sums(store, Period(), by, 2) == (await list_sums(store, Period(), by))[:2]


async def test_a_store_without_usage_has_no_groups(store: Store) -> None:
    assert [await list_sums(store, Period(), by) for by in DIMENSIONS] == [[]] * len(DIMENSIONS)


async def test_jobs_that_had_one_id_after_another_are_one_sum(store: Store) -> None:
    """A deleted job's Idempotency-Key gives its id to the next. The ids of steps have the time of each."""
    made = (1_769_731_200_000_000, 1_769_817_600_000_000)
    steps = [
        msgspec.structs.replace(ROW, id=f"job_1_{at}_{number}", account="acc_1", job="job_1", credits=5)
        for at in made
        for number in (1, 2)
    ]
    await store.write(*map(usage.insert_statement, steps))
    assert [(each.name, each.credits) for each in await list_sums(store, Period(), "job")] == [("job_1", 20)]


async def test_what_runs_have_cost_is_in_the_sums_that_ask_for_it(
    store: Store, among: list[UsageRow]
) -> None:
    run = """
    INSERT INTO costs
        (request, attempt, account, at, engine, model, characters, audio_ms, micro_usd, job, tag)
    VALUES (:id, 0, :account, :at, :engine, '', 0, 0, :micro_usd, :job, :tag)
    """
    of = [("acc_1", "engine_1", "job_1"), ("", "far", ""), ("acc_9", "far", "job_9"), ("acc_9", "far", "j")]
    runs: list[dict[str, str | int]] = [
        {
            "account": account,
            "at": _START + n * _DAY,
            "engine": engine,
            "job": job,
            "micro_usd": 10**n,
            "tag": job,
        }
        for n, (account, engine, job) in enumerate(of)
    ]
    await store.write(*(Statement(run, {"id": f"run_{n}", **each}) for n, each in enumerate(runs)))
    for account in (None, "acc_9"):
        period = Period(account, _START, _START + 3 * _DAY)
        plain = {by: {row.name: row for row in await list_sums(store, period, by)} for by in DIMENSIONS}
        ours = [each for each in runs[:3] if account in (None, each["account"])]
        for by in DIMENSIONS:
            added: dict[str, int] = defaultdict(int)
            for each in ours if by in ("account", "day", "engine", "job", "month", "tag") else []:
                day = datetime.fromtimestamp(int(each["at"]) // 1_000_000, UTC)
                times = {"day": f"{day:%Y-%m-%d}", "month": f"{day:%Y-%m}"}
                added[times.get(by) or str(each[by])] += int(each["micro_usd"])
            found = {row.name: row for row in await list_sums(store, period, by, has_runs=True)}
            assert found.keys() == plain[by].keys() | added.keys(), by
            for name, row in found.items():
                before = plain[by].get(name, UsageSum(name, 0, 0, 0, 0, 0, 0))
                assert row == msgspec.structs.replace(before, micro_usd=before.micro_usd + added[name]), by
    assert await usage.delete_oldest(store, _START + 3 * _DAY, 1) == (1, 3)


async def test_a_table_may_have_a_side(
    store: Store, among: list[UsageRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.write(*(Statement(_RECEIPT, {"id": row.id, "facts": row.voice}) for row in among[::2]))
    of_receipt = "coalesce((SELECT facts FROM receipts WHERE request = usage.id), '')"
    monkeypatch.setattr(store, "tables", (*store.tables, Table("receipts", sides=(("cache", of_receipt),))))
    found = {row.name: row.requests for row in await list_sums(store, Period(), "cache")}
    assert found == {"": 45, "voice_0": 23, "voice_2": 22}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(("", "a", "A", "a:1", "-")), st.integers(0, 10**9), st.integers(0, 9)))
)
async def test_sums_by_tag_and_the_rows_with_a_tag_are_those_of_all_rows(
    store: Store, made: list[tuple[str, int, int]]
) -> None:
    account = new_id("acc")
    rows = [
        msgspec.structs.replace(
            ROW,
            id=new_id("req"),
            account=account,
            tag=tag,
            credits=credits,
            micro_usd=credits + 1,
            job=f"{job}",
        )
        for tag, credits, job in made
    ]
    await store.write(*map(usage.insert_statement, rows))
    found = await list_sums(store, Period(account), "tag", has_runs=True)
    assert {each.name: msgspec.structs.astuple(each)[1:-1] for each in found} == by_hand(rows, "tag")
    for tag in {row.tag for row in rows}:
        period, tagged = Period(account, tag=tag), [row for row in rows if row.tag == tag]
        page = await usage.list_page(store, period, NEWEST, 1000)
        assert sorted(row.id for row in page) == sorted(row.id for row in tagged)
        by_job = await list_sums(store, period, "job", has_runs=True)
        assert sum(each.credits for each in by_job) == sum(row.credits for row in tagged)
    assert await list_sums(store, Period(account, tag="other"), "day", has_runs=True) == []


async def test_a_run_with_a_tag_is_in_the_sums_of_that_tag_alone(store: Store) -> None:
    run = """
    INSERT INTO costs
        (request, attempt, account, at, engine, model, characters, audio_ms, micro_usd, job, tag)
    VALUES ('run_1', 0, 'acc_1', 5, 'far', '', 0, 0, 7, 'job_1', 'ep:1')
    """
    await store.write(Statement(run))
    for tag, expected in ((None, 7), ("ep:1", 7), ("", 0), ("ep:2", 0)):
        found = await list_sums(store, Period(tag=tag), "engine", has_runs=True)
        assert sum(each.micro_usd for each in found) == expected
