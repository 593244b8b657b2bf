"""Usage as its account sees it and as operators do: rows, sums, pages, CSV; and never another account's."""

import csv
import io
from typing import Any, NamedTuple

import msgspec
import pytest

from policies.plans import UNLIMITED
from proxy.storage import usage
from proxy.storage.usage import UsageRow
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.storage.test_usage import ROW
from tests.replies import json_of
from tests.tables import each_row

_DAY = 86_400_000_000
_ALWAYS = "since=2026-01-01"
"""For sums: else they begin so many days before now, whenever that is."""
_JANUARY = 1_767_225_600_000_000
_OWN = [
    *("id", "started", "account", "key", "engine", "model", "voice", "language", "format", "characters"),
    *("audio_ms", "credits", "refunded", "price", "price_per", "units", "first_byte_ms", "outcome", "error"),
    *("cache", "operation", "job", "substitute", "tag", "check"),
]


class Books(NamedTuple):
    """ada has twenty requests, two hours apart, and so has bob; some of the voices have odd names."""

    server: Inside
    hers: list[UsageRow]

    async def own(self, query: str = "", key: str | None = None) -> dict[str, Any]:
        return json_of(await self.server.ask("GET", f"/v1/usage{query}", key=key))

    async def everybodys(self, query: str = "") -> dict[str, Any]:
        return json_of(await self.server.administer("GET", f"usage{query}"))


@pytest.fixture
async def books(priced: Inside) -> Books:
    bob = (await priced.administer("POST", "accounts", {"name": "bob", "plan": UNLIMITED.name})).json()
    rows = [
        msgspec.structs.replace(
            ROW,
            id=f"req_{who}{n:02}",
            account=account,
            started=_JANUARY + n * _DAY // 12,
            voice=('=cmd|"x"!A1', "a,b", "ümläut", "+1", "-1", "@x", "plain")[n % 7],
            credits=n * 1_000_000 + 1,
            refunded=n % 4 * 250_000,
            price_micro=250_000,
            price_per="job",
            micro_usd=1_500_000,
            units=n + 0.5,
        )
        for who, account in (("a", priced.account.id), ("b", bob["id"]))
        for n in range(20)
    ]
    await priced.worker.store.write(*map(usage.insert_statement, rows))
    return Books(priced, [row for row in rows if row.account == priced.account.id])


async def test_a_refund_shows_beside_the_charge(priced: Inside) -> None:
    """In the row and in every sum, so that they come to what the balance lost."""
    before = (await priced.ask("GET", "/v1/me")).json()["credits"]["used"]
    first, second = [(await priced.speech("Hello.")).headers["x-request-id"] for _ in range(2)]
    await priced.administer("POST", f"requests/{first}/refund", {"credits": 1, "reason": "late"})
    await priced.administer("POST", f"requests/{second}/refund", {"reason": "late"})
    for path, key in (("/v1/usage", priced.key), ("/admin/usage", priced.admin_key)):
        rows = (await priced.ask("GET", path, key=key)).json()["data"]
        assert [(row["id"], row["credits"], row["refunded"]) for row in rows] == [
            (second, 2.5, 2.5),
            (first, 2.5, 1),
        ]
        (total,) = (await priced.ask("GET", f"{path}?by=account", key=key)).json()["data"]
        assert (total["requests"], total["credits"], total["refunded"]) == (2, 5, 3.5)
        (month,) = (await priced.ask("GET", f"{path}?by=month", key=key)).json()["data"]
        assert (month["credits"], month["refunded"]) == (5, 3.5)
    used = (await priced.ask("GET", "/v1/me")).json()["credits"]["used"]
    assert used - before == total["credits"] - total["refunded"]


async def test_usage_is_paged_newest_first(books: Books) -> None:
    seen: list[str] = []
    query = "?limit=7"
    while True:
        page = await books.own(query)
        seen += [row["id"] for row in page["data"]]
        assert len(seen) <= len(books.hers), "a page began again where it was"
        if not page["has_more"]:
            break
        query = f"?limit=7&after={page['last_id']}"
        newer = msgspec.structs.replace(books.hers[0], id=f"req_new{len(seen)}", started=_JANUARY + 99 * _DAY)
        await books.server.worker.store.write(usage.insert_statement(newer))
    assert seen == [row.id for row in reversed(books.hers)]


@each_row(
    ("query", "first", "last"),
    [
        ("?since=2026-01-02", 12, 19),
        ("?until=2026-01-02", 0, 11),
        ("?since=2026-01-01T04:00:00Z&until=2026-01-01T08:00:00.000001Z", 2, 4),
        ("?since=2026-01-01T06:00:00%2B02:00&until=2026-01-01T04:00:01z", 2, 2),
        ("?since=&until=", 0, 19),
    ],
)
async def test_a_period_is_days_or_times(books: Books, query: str, first: int, last: int) -> None:
    found = [row["id"] for row in (await books.own(query))["data"]]
    assert found == [row.id for row in books.hers[first : last + 1]][::-1]


async def test_provider_costs_are_for_operators_alone(books: Books) -> None:
    for query in ("?", f"?by=day&{_ALWAYS}", "?format=csv", f"?by=model&format=csv&{_ALWAYS}"):
        own = await books.server.ask("GET", f"/v1/usage{query}")
        told = await books.server.administer("GET", f"usage{query}")
        assert "cost_usd" not in own.text
        assert "cost_usd" in told.text
        assert (await books.server.ask("GET", f"/admin/usage{query}")).status_code == 403
    assert {row["cost_usd"] for row in (await books.everybodys())["data"]} == {1.5}


async def test_csv_has_every_row_and_no_formula(books: Books) -> None:
    answer = await books.server.ask("GET", "/v1/usage?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0]) == _OWN
    listed = (await books.own())["data"]
    assert [row["id"] for row in rows] == [row["id"] for row in listed]
    for row, whole in zip(rows, listed, strict=True):
        voice = whole["voice"]
        assert row["voice"] == (f"'{voice}" if voice[0] in "=+-@" else voice)
        assert float(row["credits"]) == whole["credits"]
        assert "e" not in row["credits"]
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())


async def test_csv_goes_over_pages_and_obeys_a_limit(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.features.admin.usage.MOST_ROWS", 3)
    for query, count in (("", 20), ("&limit=3", 3), ("&limit=5", 5), ("&since=2027-01-01", 0)):
        answer = await books.server.ask("GET", f"/v1/usage?format=csv{query}")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [row["id"] for row in rows] == [row.id for row in reversed(books.hers)][:count]
    sums = (await books.server.ask("GET", f"/v1/usage?by=day&format=csv&{_ALWAYS}")).text.splitlines()
    assert sums[0] == "name,requests,characters,audio_ms,credits,refunded"
    assert sums[1] == "2026-01-02,8,40,8000,124.000008,3"


@each_row(
    ("query", "param"),
    [
        ("since=yesterday", "since"),
        ("since=2026-13-01", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("until=20260101", "until"),
        ("until=2026-W01-1", "until"),
        ("until=0000-01-01", "until"),
        ("by=weekday", "by"),
        ("format=xml", "format"),
        ("limit=1001", "limit"),
        ("limit=1001&format=csv", "limit"),
        ("after=req_none", "after"),
    ],
)
async def test_a_question_that_cannot_be_asked_is_refused_by_name(
    priced_once: Inside, query: str, param: str
) -> None:
    own = await priced_once.ask("GET", f"/v1/usage?{query}")
    told = await priced_once.administer("GET", f"usage?{query}")
    for answer in (own, told):
        assert (answer.status_code, envelope(answer)["param"]) == (400, param)


async def test_a_moment_before_our_time_is_before_everything(books: Books) -> None:
    assert len((await books.own("?since=0001-01-01T00:00:00%2B14:00"))["data"]) == 20
    assert (await books.own("?until=1969-12-31"))["data"] == []
