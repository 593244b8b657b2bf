"""Pages, ranges and refusals of /v1/history."""

from pathlib import Path

from proxy.storage.store import Statement
from tests.features.history.rig import blobs, content, entry, id_of, ids, keeping, listed, speak, spoken
from tests.fixtures import opened
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.owning import new_key
from tests.replies import json_of
from tests.tables import each_row

server = opened(keeping, "tmp_path")


async def test_pages_go_on_where_the_last_one_ended(server: Inside) -> None:
    assert await listed(server) == {
        "object": "list",
        "data": [],
        "has_more": False,
        "last_id": None,
        "days": 30.0,
        "account_mb": 512,
        "used_mb": 0,
    }
    made = [(await spoken(server, f"Number {number}."))["id"] for number in range(5)]
    found, query = list[str](), "?limit=2"
    while query:
        page = await listed(server, query)
        found += [each["id"] for each in page["data"]]
        assert page["last_id"] == found[-1]
        await spoken(server, "Newer.")
        query = f"?limit=2&after={page['last_id']}" if page["has_more"] else ""
    assert found == made[::-1]


async def test_an_entry_ends_after_the_days_of_its_plan(tmp_path: Path) -> None:
    async with keeping(tmp_path, plan="longer") as server:
        shown = await spoken(server, "A text.")
        assert (await listed(server))["days"] == 60.0
    assert shown["expires_at"] - shown["created_at"] == 60 * 86_400


@each_row(
    "query, field",
    [
        *[(f"?limit={limit}", "limit") for limit in ("0", "1001", "x", "-1")],
        ("?after=req_gone", "after"),
        ("?since=yesterday", "since"),
        ("?until=2026-02-30", "until"),
    ],
)
async def test_a_wrong_query_is_named(server: Inside, query: str, field: str) -> None:
    answer = await server.ask("GET", f"/v1/history{query}")
    assert (answer.status_code, envelope(answer)["param"]) == (400, field)
    if field not in ("limit", "after"):
        answer = await server.ask("DELETE", f"/v1/history{query}")
        assert (answer.status_code, envelope(answer)["param"]) == (400, field)


async def test_another_accounts_entry_is_unknown(server: Inside) -> None:
    kept = (await spoken(server))["id"]
    other = await new_key(server, "bob", "metered")
    for id_ in (kept, "req_gone"):
        for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
            answer = await server.ask(method, f"/v1/history/{id_}{path}", key=other)
            assert (answer.status_code, envelope(answer)["code"]) == (404, "history_entry_not_found")
    assert (await server.ask("GET", f"/v1/history?after={kept}", key=other)).status_code == 400
    assert (await listed(server, key=other))["data"] == []
    assert json_of(await server.ask("DELETE", "/v1/history", key=other))["deleted"] == 0
    assert (await server.ask("GET", "/v1/history", key="")).status_code == 401
    assert await ids(server) == [kept]


@each_row(
    "header, status, first, last",
    [
        ("", 200, 0, None),
        ("bytes=0-", 206, 0, None),
        ("bytes=0-9", 206, 0, 10),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=-7", 206, -7, None),
        ("bytes=5-999999999", 206, 5, None),
        ("bytes=9-5", 200, 0, None),
        ("bytes=0-1,3-4", 200, 0, None),
        ("seconds=0-1", 200, 0, None),
        ("bytes=999999999-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ],
)
async def test_a_range_of_the_sound_is_sent(
    server: Inside, header: str, status: int, first: int, last: int | None
) -> None:
    answer = await speak(server, response_format="opus")
    shown = await entry(server, id_of(answer))
    part = await content(server, shown["id"], **({"range": header} if header else {}))
    assert part.status_code == status
    size = len(answer.content)
    if status == 416:
        assert part.headers["content-range"] == f"bytes */{size}"
        return
    assert part.content == answer.content[first:last]
    assert part.headers["content-disposition"] == f'attachment; filename="{shown["id"]}.opus"'
    assert part.headers["cache-control"] == "no-store"
    if status == 206:
        begin = first % size
        end = begin + len(part.content) - 1
        assert part.headers["content-range"] == f"bytes {begin}-{end}/{size}"


async def test_a_range_leads_over_sealed_frames(server: Inside) -> None:
    answer = await speak(server, "A long text. " * 60, response_format="g711_ulaw", language="en")
    id_ = (await entry(server, id_of(answer)))["id"]
    size = len(answer.content)
    assert size > 300_000
    for first, last in ((65_000, 66_000), (262_100, 262_200), (0, size)):
        part = await content(server, id_, range=f"bytes={first}-{last - 1}")
        assert part.content == answer.content[first:last]
    async with server.client() as client:
        head = await client.head(f"/v1/history/{id_}/content")
    assert (head.headers["content-length"], head.content) == (str(size), b"")


async def test_what_cannot_be_opened_hides_no_other_and_can_be_deleted(server: Inside) -> None:
    damaged, other = (await spoken(server, "One."))["id"], (await spoken(server, "Two."))["id"]
    sql = "UPDATE history SET sealed = 'AAAA' WHERE id = :id"
    await server.worker.store.write(Statement(sql, {"id": damaged}))
    texts = {each["id"]: each["text"] for each in (await listed(server))["data"]}
    assert texts == {damaged: "", other: "Two."}
    shown = await entry(server, damaged)
    assert (shown["text"], shown["request"]) == ("", None)
    assert (await server.ask("DELETE", f"/v1/history/{damaged}")).is_success
    assert (await ids(server), await blobs(server)) == ([other], 1)
