"""Grants, corrections, refunds and entries over /admin, each with its place in the audit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.proxy.api.inside import Inside, envelope


async def balance(server: Inside) -> dict[str, float]:
    found: dict[str, float] = (await server.administer("GET", "accounts/ada")).json()["balance"]
    return found


async def is_clean(server: Inside) -> bool:
    verdict = (await server.administer("GET", "ledger")).json()
    assert verdict["contradictions"] == [] or not verdict["is_clean"]
    return bool(verdict["is_clean"])


async def acts(server: Inside, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await server.administer("GET", f"audit{query}")).json()["data"]
    return found


async def test_a_grant_is_exact_and_once_for_its_reference(priced: Inside) -> None:
    body = {"credits": 0.1, "reference": "pay-1", "reason": "thanks"}
    answers = await asyncio.gather(
        *(priced.administer("POST", "accounts/ada/grants", body) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    (entry,) = {answer.text for answer in answers}
    assert '"credits":0.1,' in entry
    assert (await balance(priced))["granted"] == 0.1
    other = await priced.administer("POST", "accounts/ada/grants", {**body, "credits": 0.2})
    assert (other.status_code, envelope(other)["param"]) == (409, "reference")
    (act,) = await acts(priced)
    assert (act["action"], act["subject"], act["account"]) == (
        "credits.granted",
        priced.account.id,
        priced.account.id,
    )
    assert act["details"] == {"credits": 0.1, "reason": "thanks", "reference": "pay-1"}
    assert await is_clean(priced)


async def test_many_small_grants_add_up_exactly(priced: Inside) -> None:
    for _ in range(3):
        await priced.administer("POST", "accounts/ada/grants", {"credits": 0.1})
    assert (await balance(priced))["granted"] == 0.3


async def test_a_correction_may_go_below_zero_and_says_why(priced: Inside) -> None:
    entry = (
        await priced.administer("POST", "accounts/ada/corrections", {"credits": -1.5, "reason": "twice"})
    ).json()
    assert (entry["kind"], entry["credits"], entry["reason"]) == ("correction", -1.5, "twice")
    assert (await balance(priced))["granted"] == -1.5
    (act,) = await acts(priced)
    assert (act["action"], act["details"]) == ("credits.corrected", {"credits": -1.5, "reason": "twice"})
    assert await is_clean(priced)


async def test_a_refund_gives_back_a_part_or_all_of_it_once(priced: Inside) -> None:
    first, second = [(await priced.speech()).headers["x-request-id"] for _ in range(2)]
    assert (await balance(priced))["used"] == 5
    part = await priced.administer("POST", f"requests/{first}/refund", {"credits": 1, "reason": "late"})
    assert [entry["credits"] for entry in part.json()["data"]] == [1]
    whole = await priced.administer("POST", f"requests/{second}/refund", {"reason": "late"})
    assert [(entry["credits"], entry["pool"]) for entry in whole.json()["data"]] == [(2.5, "allowance")]
    assert (await balance(priced))["used"] == 1.5
    again = await priced.administer("POST", f"requests/{first}/refund", {"reason": "late"})
    assert (again.status_code, envelope(again)["param"]) == (409, "request")
    told = [(act["subject"], act["account"], act["details"]["credits"]) for act in await acts(priced)]
    assert told == [(second, priced.account.id, 2.5), (first, priced.account.id, 1)]
    assert await is_clean(priced)


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("accounts/ada/grants", {}, 400, "credits"),
        ("accounts/ada/grants", {"credits": 0}, 400, "credits"),
        ("accounts/ada/grants", {"credits": -1}, 400, "credits"),
        ("accounts/ada/grants", {"credits": "5"}, 400, "credits"),
        ("accounts/ada/grants", {"credits": 1e10}, 400, "credits"),
        ("accounts/ada/grants", {"credits": 0.0000001}, 400, "credits"),
        ("accounts/ada/grants", {"credits": 1, "reference": "x" * 101}, 400, "reference"),
        ("accounts/ada/grants", {"credits": 1, "reason": "a\x00b"}, 400, "reason"),
        ("accounts/nobody/grants", {"credits": 1}, 404, "account"),
        ("accounts/ada/corrections", {"credits": 1}, 400, "reason"),
        ("accounts/ada/corrections", {"credits": 1, "reason": ""}, 400, "reason"),
        ("accounts/ada/corrections", {"credits": 0, "reason": "x"}, 400, "credits"),
        ("accounts/ada/corrections", {"credits": 0.1234567, "reason": "x"}, 400, "credits"),
        ("accounts/nobody/corrections", {"credits": 1, "reason": "x"}, 404, "account"),
        ("requests/req_none/refund", {"reason": "x"}, 404, "request"),
        ("requests/%00/refund", {"reason": "x"}, 404, "request"),
        ("requests/req_none/refund", {}, 400, "reason"),
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


async def test_a_spend_is_an_entry_with_its_request(priced: Inside) -> None:
    spoken = (await priced.speech()).headers["x-request-id"]
    (entry,) = (await priced.administer("GET", "accounts/ada/entries")).json()["data"]
    cycle = (await priced.administer("GET", "accounts/ada")).json()["cycle"]
    assert (entry["kind"], entry["credits"], entry["pool"]) == ("spend", -2.5, "allowance")
    assert (entry["request"], entry["cycle"]) == (spoken, cycle["start"])


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "٣", "99999999999"])
async def test_a_limit_that_cannot_be_is_refused(priced_once: Inside, limit: str) -> None:
    for path in ("accounts/ada/entries", "audit", "usage"):
        answer = await priced_once.administer("GET", f"{path}?limit={limit}")
        assert (answer.status_code, envelope(answer)["param"]) == (400, "limit")


async def test_every_change_of_an_administrator_is_an_act_without_secrets(priced: Inside) -> None:
    await priced.administer("POST", "accounts", {"name": "bob"})
    await priced.administer("POST", "accounts/bob", {"agreed": {"rpm": 5}})
    made = (await priced.administer("POST", "keys", {"account": "bob", "name": "bot"})).json()
    rotated = (await priced.administer("POST", f"keys/{made['id']}/rotate")).json()
    await priced.administer("DELETE", f"keys/{rotated['id']}")
    await priced.administer("DELETE", "accounts/bob")
    answer = await priced.administer("GET", "audit?account=bob")
    told = answer.json()["data"][::-1]
    assert [act["action"] for act in told] == [
        "account.created",
        "account.changed",
        "key.created",
        "key.rotated",
        "key.revoked",
        "account.closed",
    ]
    bob = told[0]["subject"]
    assert [act["subject"] for act in told] == [bob, bob, made["id"], rotated["id"], rotated["id"], bob]
    assert told[1]["details"]["agreed"]["rpm"] == 5
    assert told[3]["details"] == {"replaces": made["id"]}
    keys = (await priced.administer("GET", "keys?account=ada")).json()["data"]
    (admin,) = [key["id"] for key in keys if key["role"] == "admin"]
    assert {act["actor"] for act in told} == {admin}
    for secret in (made["key"], rotated["key"], made["key"][6:-4]):
        assert secret not in answer.text


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
