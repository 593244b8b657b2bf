"""Usage: what a period cost, by day as bars, by each side as a table, and as CSV. All of them agree."""

import asyncio
import csv
import io
import itertools
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from proxy.feature_list import open_store
from proxy.storage import usage
from proxy.storage.usage import UsageRow
from tests.features.console.console_page import Reader
from tests.features.console.many_entries import book_many
from tests.proxy.storage.test_usage import ROW
from tests.server import Server
from tests.tables import soak

pytestmark = pytest.mark.slow_but("test_the_total_is_the_sum_of_the_requests_and_of_the_ledger")

_HOUR = 3_600_000_000
_NUMBERS = itertools.count(1)
_TABLE = """[...document.querySelectorAll('.sums tbody tr')].map((row) =>
  [...row.cells].map((cell) => cell.innerText))"""


def _account(reader: Reader) -> str:
    with reader.server.client(reader.key.secret) as client:
        return str(client.get("/v1/me").json()["account"]["id"])


def _book(server: Server, rows: Iterable[UsageRow]) -> None:
    async def write() -> None:
        async with open_store("sqlite", server.data) as store:
            await store.write(*map(usage.insert_statement, rows))

    asyncio.run(write())


def _rows(account: str, key: str, ages_h: Iterable[float], **fields: Any) -> list[UsageRow]:
    """Requests of ten seconds and ten credits, so many hours ago."""
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    common: dict[str, Any] = {"samples": 240_000, "credits": 10_000_000, **fields}
    return [
        msgspec.structs.replace(
            ROW,
            id=f"req_booked{next(_NUMBERS)}",
            started=int(now - age * _HOUR),
            account=account,
            key=key,
            **common,
        )
        for age in ages_h
    ]


def _is_summed(reader: Reader, side: str, head: str) -> None:
    reader.choose("#usage-side", side)
    reader.wait(f"at('.sums th')?.innerText === '{head}'")


@pytest.mark.parametrize("count", [300, *soak(10_000)])
def test_the_total_is_the_sum_of_the_requests_and_of_the_ledger(
    reader: Reader, tmp_path: Path, count: int
) -> None:
    reader = reader.of_plan("priced")
    with reader.server.client(reader.key.secret) as client, reader.server.control() as operator:

        def speak(number: int) -> str:
            body = {"model": "tts-1", "voice": "alloy", "input": "Hey you."[: number % 8 + 1]}
            answer = client.post(
                "/v1/audio/speech", json={**body, "tag": f"part-{number % 3}", "response_format": "pcm"}
            )
            assert answer.status_code == 200, answer.text
            return answer.headers["x-request-id"]

        with ThreadPoolExecutor(6) as pool:
            ids = list(pool.map(speak, range(count)))
        for number, id_ in enumerate(ids[::10]):
            part = {} if number % 2 else {"credits": 0.01}
            answer = operator.post(f"/admin/requests/{id_}/refund", json={"reason": "late", **part})
            assert answer.is_success, answer.text
        me = client.get("/v1/me").json()
        assert operator.get("/admin/ledger").json()["is_clean"]
    reader.open("usage")
    reader.wait("shown('#usage-credits')")
    spent = round(me["credits"]["used"], 6)
    assert spent > 0
    assert reader.text("#usage-requests") == f"{count:,}"
    assert reader.text("#usage-credits") == f"{round(spent, 2):,.2f}".rstrip("0").rstrip(".")
    file = reader.tab.downloaded(tmp_path, "at('#usage-all').click()").decode()
    rows = list(csv.DictReader(io.StringIO(file)))
    assert {row["id"] for row in rows} == set(ids)
    assert round(sum(float(row["credits"]) - float(row["refunded"]) for row in rows), 6) == spent
    for side in ("voice", "model", "key", "operation", "job", "tag"):
        _is_summed(reader, side, side.capitalize())
        assert sum(int(row[1].replace(",", "")) for row in reader.tab.run(_TABLE)) == count, side
        saved = reader.tab.downloaded(tmp_path, "at('#usage-csv').click()").decode()
        sums = list(csv.DictReader(io.StringIO(saved)))
        assert round(sum(float(each["credits"]) - float(each["refunded"]) for each in sums), 6) == spent, side


def test_a_period_is_drawn_and_summed_by_each_side(reader: Reader) -> None:
    reader = reader.of_plan("priced")
    account = _account(reader)
    reader.open("usage")
    reader.reads("Nothing was spoken in this period.")
    reader.assert_readable()
    key = reader.key.id
    hostile, endless = "<img src=x onerror=alert(1)>\u202eabc", "w" * 200
    _book(
        reader.server,
        [
            *_rows(account, key, (0, 0), tag="episode-1"),
            *_rows(account, key, (0,), voice=hostile, refunded=10_000_000, tag="episode-2"),
            *_rows(account, key, (30 * 24,), voice=endless, kind="conversion"),
            *_rows(account, key, (60 * 24,), samples=99_976_000, credits=5_999_000_000, refunded=987_650_000),
            *_rows(account, "key_of_another", (75 * 24,), voice="", job="job_1"),
        ],
    )
    reader.choose("#usage-period", "7")
    reader.reads("20", "#usage-credits")
    assert reader.text("#usage-speech") == "30 s"
    assert reader.text("#usage-requests") == "3"
    label = reader.tab.run("at('.chart').getAttribute('aria-label')")
    today = f"{datetime.now(UTC):%b} {datetime.now(UTC).day}, {datetime.now(UTC).year}"
    assert f"The most on one day: 20, on {today}." in label
    assert reader.tab.run("document.querySelectorAll('.chart rect').length") == 7
    assert reader.tab.run(_TABLE) == [[f"{today} so far today", "3", "30 s", "20\n10 given back"]]
    reader.tab.run("at('[value=requests]').click()")
    reader.reads("Requests by day")
    reader.choose("#usage-period", "90")
    reader.wait(
        "document.querySelectorAll('.chart rect').length === 90 && at('#usage-requests').innerText === '6'"
    )
    _is_summed(reader, "voice", "Voice")
    shown = {row[0]: row[1] for row in reader.tab.run(_TABLE)}
    assert shown == {"alloy": "3", hostile: "1", endless: "1", "none": "1"}
    assert reader.tab.run("document.images.length") == 0
    reader.assert_readable()
    for side, names in (
        ("operation", {"Speech", "Conversion"}),
        ("tag", {"episode-1", "episode-2", "none"}),
        ("job", {"job_1", "none"}),
        ("model", {"espeak/standard"}),
    ):
        _is_summed(reader, side, side.capitalize())
        assert {row[0] for row in reader.tab.run(_TABLE)} == names
    _is_summed(reader, "key", "Key")
    assert {row[0][:4] for row in reader.tab.run(_TABLE)} == {"Key ", "key_"}


def test_many_rows_are_turned_like_pages(reader: Reader) -> None:
    reader = reader.of_plan("priced")
    account = _account(reader)
    book_many(reader.server, reader.key.secret)
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0)
    ages = [(datetime.now(UTC) - first + timedelta(hours=5)).total_seconds() / 3600]
    _book(reader.server, _rows(account, "key_1", ages, tag="last"))
    reader.open("usage")
    reader.choose("#usage-period", "month")
    reader.wait("at('#usage-requests')?.innerText === '1,020'")
    _is_summed(reader, "voice", "Voice")
    reader.reads("These are the 1,000 with the most credits.")
    reader.press("Next")
    reader.reads("Page 2", "#pager")
    assert reader.tab.run("document.activeElement.id") == "usage-table"
    reader.press("Previous")
    reader.reads("Page 1", "#pager")
    assert len(reader.tab.run(_TABLE)) == 50
    assert reader.tab.run("document.querySelectorAll('*').length") <= 1500
    reader.choose("#usage-period", "before")
    reader.wait("at('#usage-requests').innerText === '1' && !at('#pager')")
    reader.press("History", "at('.tabs')")
    reader.wait("location.hash === '#/history'")
    # A page that is refused for a moment is read after that. Here, an export has the turn of its account.
    admin = reader._replace(key=reader.server.mint_key("dev", role="admin"))
    narrow = httpx2.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)])
    headers = {"authorization": f"Bearer {admin.key.secret}"}
    with (
        httpx2.Client(base_url=reader.server.url, headers=headers, transport=narrow) as slow,
        slow.stream("GET", "/admin/usage", params={"format": "csv"}),
    ):
        admin.open(f"admin/accounts/{account}")
        admin.reads("Try again in 1 second.")
    admin.wait("at('#months-title') && !at('[role=alert]')")
