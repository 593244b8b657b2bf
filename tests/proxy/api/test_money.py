"""Grants, corrections, refunds and entries over /admin, each with its place in the audit."""

from typing import Any

import pytest

from tests.proxy.api.inside import Inside, envelope

pytestmark = pytest.mark.slow


async def balance(server: Inside) -> dict[str, float]:
    found: dict[str, float] = (await server.administer("GET", "accounts/ada")).json()["balance"]
    return found


async def acts(server: Inside, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await server.administer("GET", f"audit{query}")).json()["data"]
    return found


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("accounts/ada/grants", {"credits": 1e10}, 400, "credits"),
        ("accounts/ada/grants", {"credits": 1, "reference": "x" * 101}, 400, "reference"),
        ("accounts/ada/grants", {"credits": 1, "reference": "pay:stripe:1:1"}, 400, "reference"),
        ("accounts/ada/grants", {"credits": 1, "reference": "carry:1"}, 400, "reference"),
        ("accounts/ada/grants", {"credits": 1, "reference": "reset:acc:0:1"}, 400, "reference"),
        ("accounts/ada/grants", {"credits": 1, "reason": "a\x00b"}, 400, "reason"),
        ("accounts/ada/corrections", {"credits": 1, "reason": ""}, 400, "reason"),
        ("accounts/ada/corrections", {"credits": 0.1234567, "reason": "x"}, 400, "credits"),
        ("accounts/nobody/corrections", {"credits": 1, "reason": "x"}, 404, "account"),
        ("accounts/nobody/reset-cycle", {"reason": "x"}, 404, "account"),
        ("accounts/ada/reset-cycle", {}, 400, "reason"),
        ("accounts/ada/reset-cycle", {"reason": "a\x00b"}, 400, "reason"),
        ("accounts/ada/grants", {"credits": 1, "reference": "reset:ada:1:1"}, 400, "reference"),
        ("requests/{spoken}/refund", {"credits": 2.6, "reason": "x"}, 400, "credits"),
        ("requests/{spoken}/refund", {"credits": 0, "reason": "x"}, 400, "credits"),
    ],
)
async def test_money_that_cannot_move_does_not_and_is_no_act(
    priced: Inside, path: str, body: dict[str, Any], status: int, param: str
) -> None:
    spoken = (await priced.speech()).headers["x-request-id"]
    before = await balance(priced)
    answer = await priced.administer("POST", path.replace("{spoken}", spoken), body)
    assert (answer.status_code, envelope(answer)["param"]) == (status, param)
    assert await balance(priced) == before
    assert await acts(priced) == []


async def test_the_books_of_a_closed_account_stay_as_they_are(priced: Inside) -> None:
    spoken = (await priced.speech()).headers["x-request-id"]
    await priced.administer("POST", "accounts", {"name": "root", "plan": "unlimited"})
    root = (await priced.administer("POST", "keys", {"account": "root", "role": "admin"})).json()["key"]
    await priced.administer("DELETE", "accounts/ada")
    before = (await priced.ask("GET", "/admin/accounts/ada", key=root)).json()
    for path, body in (
        ("accounts/ada/grants", {"credits": 1}),
        ("accounts/ada/corrections", {"credits": 1, "reason": "x"}),
        ("accounts/ada/reset-cycle", {"reason": "x"}),
        (f"requests/{spoken}/refund", {"reason": "x"}),
        ("accounts/ada", {"plan": "unlimited"}),
        ("accounts/ada", {"agreed": {"rpm": 5}}),
    ):
        answer = await priced.ask("POST", f"/admin/{path}", key=root, body=body)
        error = envelope(answer)
        assert (answer.status_code, error["code"], error["param"]) == (409, "conflict", "account"), path
    assert (await priced.ask("GET", "/admin/accounts/ada", key=root)).json() == before
    told = (await priced.ask("GET", "/admin/audit?account=ada", key=root)).json()["data"]
    assert [act["action"] for act in told] == ["account.closed"]


async def test_entries_are_paged_newest_first_and_are_one_accounts(priced: Inside) -> None:
    await priced.administer("POST", "accounts", {"name": "bob"})
    for number in range(5):
        await priced.administer("POST", "accounts/ada/grants", {"credits": number + 1})
    bobs = (await priced.administer("POST", "accounts/bob/grants", {"credits": 9})).json()
    seen: list[float] = []
    after = ""
    while True:
        page = (await priced.administer("GET", f"accounts/ada/entries?limit=2{after}")).json()
        seen += [entry["credits"] for entry in page["data"]]
        assert page["last_id"] == page["data"][-1]["id"]
        assert len(seen) <= 5, "a page began again where it was"
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == [5, 4, 3, 2, 1]
    stranger = await priced.administer("GET", f"accounts/ada/entries?after={bobs['id']}")
    assert (stranger.status_code, envelope(stranger)["param"]) == (400, "after")


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "٣", "99999999999"])
async def test_a_limit_that_cannot_be_is_refused(priced_once: Inside, limit: str) -> None:
    for path in ("accounts/ada/entries", "audit", "usage"):
        answer = await priced_once.administer("GET", f"{path}?limit={limit}")
        assert (answer.status_code, envelope(answer)["param"]) == (400, "limit")


async def test_acts_are_found_by_account_and_time_and_paged(priced: Inside) -> None:
    for name in ("bob", "eve"):
        await priced.administer("POST", "accounts", {"name": name})
    newest, oldest = await acts(priced)
    assert [act["account"] for act in await acts(priced, "?account=eve")] == [newest["account"]]
    assert await acts(priced, f"?since={newest['at']}") == [newest]
    assert await acts(priced, f"?limit=1&after={newest['id']}") == [oldest]
    assert await acts(priced, "?since=2999-01-01") == []
    for query, param in (("?since=yesterday", "since"), ("?after=aud_none", "after")):
        answer = await priced.administer("GET", f"audit{query}")
        assert (answer.status_code, envelope(answer)["param"]) == (400, param)
    assert (await priced.administer("GET", "audit?account=nobody")).status_code == 404


async def test_a_cycle_is_reset_with_an_act_of_the_operator(priced: Inside) -> None:
    nothing = await priced.administer("POST", "accounts/ada/reset-cycle", {"reason": "x"})
    assert (nothing.status_code, envelope(nothing)["param"]) == (409, "account")
    await priced.speech()
    reset = (await priced.administer("POST", "accounts/ada/reset-cycle", {"reason": "a bad day"})).json()
    assert (reset["credits"], reset["kind"], reset["pool"]) == (2.5, "correction", "allowance")
    assert (reset["balance"]["used"], reset["balance"]["left"]) == (0, 100)
    (act,) = await acts(priced)
    assert (act["action"], act["account"]) == ("cycle.reset", priced.account.id)
    assert act["details"] == {"credits": 2.5, "reason": "a bad day", "reference": reset["reference"]}
