"""Questions about usage, often or at once: an account waits for its own sums, and for no others."""

import asyncio
from collections import Counter

import pytest

from proxy.access.admission import MOST_A_MINUTE
from proxy.features.admin.usage import LOOK_BACK_DAYS
from proxy.storage.store import Params, Row, Statement
from tests.proxy.api.inside import Inside, envelope
from tests.tables import each_row

_MANY = 5_000
_DAY = 86_400_000_000
_FILL = f"""
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {_MANY - 1})
INSERT INTO usage (id, account, key, started, engine, model, voice, language, characters, samples,
    sample_rate_hz, format, outcome)
SELECT CAST(:prefix AS TEXT) || n, CAST(:account AS TEXT), 'key_1', CAST(:started AS BIGINT) - n, 'tone',
    'standard', 'voice_' || n, 'en', 1, 1, 24000, 'mp3', 'finished'
FROM numbers WHERE n < CAST(:many AS BIGINT)
"""


async def fill(server: Inside, account: str, many: int, *, days_ago: int = 0) -> None:
    started = await server.worker.store.now() - days_ago * _DAY
    row: Params = {"prefix": f"req_{days_ago}_", "account": account, "started": started, "many": many}
    await server.worker.store.write(Statement(_FILL, row))


async def statuses(server: Inside, path: str, times: int, key: str | None = None) -> Counter[int]:
    answers = await asyncio.gather(*(server.ask("GET", path, key=key) for _ in range(times)))
    return Counter(answer.status_code for answer in answers)


@pytest.mark.parametrize("query", ["by=voice", "format=csv", "by=voice&format=csv"])
async def test_an_account_has_one_sum_or_export_at_once(priced: Inside, query: str) -> None:
    await fill(priced, priced.account.id, 5_000)
    asking = [asyncio.create_task(priced.ask("GET", f"/v1/usage?{query}")) for _ in range(4)]
    answers = await asyncio.gather(*asking)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 429: 3}
    for answer in answers:
        if answer.status_code == 429:
            assert (envelope(answer)["code"], answer.headers["retry-after"]) == ("rate_limit_exceeded", "1")
    # The turn is given back.
    assert (await priced.ask("GET", f"/v1/usage?{query}")).status_code == 200


async def test_an_operators_sums_have_a_turn_of_their_own(priced: Inside) -> None:
    bob = (await priced.administer("POST", "accounts", {"name": "bob"})).json()["id"]
    operator = (await priced.administer("POST", "keys", {"account": bob, "role": "admin"})).json()["key"]
    await fill(priced, priced.account.id, 5_000)
    own, everybodys = await asyncio.gather(
        statuses(priced, "/v1/usage?by=voice", 2), statuses(priced, "/admin/usage?by=voice", 2, operator)
    )
    assert own == everybodys == {200: 1, 429: 1}


async def test_usage_is_asked_for_so_often_a_minute_by_all_keys_of_an_account(priced: Inside) -> None:
    other = (await priced.administer("POST", "keys", {"account": "ada"})).json()["key"]
    await priced.administer("POST", "accounts", {"name": "bob"})
    bobs = (await priced.administer("POST", "keys", {"account": "bob"})).json()["key"]
    half = MOST_A_MINUTE["usage"] // 2
    assert await statuses(priced, "/v1/usage?limit=1", half) == {200: half}
    assert await statuses(priced, "/v1/usage?limit=1", half + 2, other) == {200: half, 429: 2}
    refused = await priced.ask("GET", "/v1/usage")
    assert (refused.status_code, envelope(refused)["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await priced.ask("GET", "/v1/usage", key=bobs)).status_code == 200
    # What a plan counts is counted apart.
    assert (await priced.speech()).status_code == 200


@pytest.mark.parametrize("query", ["by=voice", "format=csv"])
async def test_long_reads_keep_nobodys_key_from_being_recognised(
    priced: Inside, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, begun, may_go = priced.worker.store, asyncio.Event(), asyncio.Event()
    read_long = store.read_long

    async def held_read(sql: str, params: Params | None = None) -> list[Row]:
        begun.set()
        await may_go.wait()
        return await read_long(sql, params)

    monkeypatch.setattr(store, "read_long", held_read)
    made = (await priced.administer("POST", "keys", {"account": "ada"})).json()["key"]
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(priced.ask("GET", f"/v1/usage?{query}"))
        async with asyncio.timeout(30):
            await begun.wait()
        # A key that nobody has used yet: it must be looked up.
        assert (await priced.ask("GET", "/v1/models", key=made)).status_code == 200
        may_go.set()
    assert reading.result().status_code == 200


async def test_sums_that_name_no_beginning_look_back_so_many_days(priced: Inside) -> None:
    account = priced.account.id
    await fill(priced, account, 3, days_ago=LOOK_BACK_DAYS - 1)
    await fill(priced, account, 5, days_ago=LOOK_BACK_DAYS + 1)
    (group,) = (await priced.ask("GET", "/v1/usage?by=engine")).json()["data"]
    assert group["requests"] == 3
    (whole,) = (await priced.ask("GET", "/v1/usage?by=engine&since=1970-01-01")).json()["data"]
    assert whole["requests"] == 8
    # Rows are paged, and have no such bound.
    assert len((await priced.ask("GET", "/v1/usage")).json()["data"]) == 8


async def test_groups_are_so_many_at_most_the_dearest_or_newest_ones(priced: Inside) -> None:
    await fill(priced, priced.account.id, 1_001)
    whole = (await priced.ask("GET", "/v1/usage?by=voice")).json()
    assert (len(whole["data"]), whole["has_more"]) == (1000, True)
    await priced.worker.store.write(
        Statement("UPDATE usage SET credits = 7000000 WHERE voice = 'voice_500'"),
        Statement("UPDATE usage SET credits = 5000000 WHERE voice = 'voice_900'"),
    )
    most = (await priced.ask("GET", "/v1/usage?by=voice&limit=2")).json()
    assert [group["name"] for group in most["data"]] == ["voice_500", "voice_900"]
    assert most["has_more"]
    for by in ("day", "month", "account"):
        found = (await priced.ask("GET", f"/v1/usage?by={by}&limit=1")).json()
        assert len(found["data"]) == 1
    sheet = (await priced.ask("GET", "/v1/usage?by=voice&format=csv")).text.splitlines()
    assert (len(sheet), sheet[1].split(",")[0]) == (1_002, "voice_500")
    few = (await priced.ask("GET", "/v1/usage?by=voice&format=csv&limit=2")).text.splitlines()
    assert len(few) == 3


@each_row("query", ["by=day&after=req_1", "by=day&format=csv&after=req_1", "format=csv&after=req_1"])
async def test_an_answer_that_is_not_paged_has_nothing_to_go_on_from(priced_once: Inside, query: str) -> None:
    answer = await priced_once.ask("GET", f"/v1/usage?{query}")
    assert (answer.status_code, envelope(answer)["param"]) == (400, "after")


@each_row("more", ["", "&format=csv", "&by=day", "&by=day&format=csv"])
async def test_a_limit_that_cannot_be_is_refused_whatever_is_asked(priced_once: Inside, more: str) -> None:
    for limit in ("foo", "0", "1001"):
        for path in ("/v1/usage", "/admin/usage"):
            key = priced_once.admin_key if path.startswith("/admin") else None
            answer = await priced_once.ask("GET", f"{path}?limit={limit}{more}", key=key)
            assert (answer.status_code, envelope(answer)["param"]) == (400, "limit")
