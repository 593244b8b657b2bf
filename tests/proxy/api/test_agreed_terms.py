"""Plans over /admin: which there are, what was agreed beside them, and a key's own caps."""

import asyncio
from typing import Any

import pytest

from proxy.storage import accounts
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.storage.changes import to_plan
from tests.replies import json_of
from tests.tables import each_row

_NOTHING = {
    "allowance": None,
    "rpm": None,
    "streams": None,
    "voices": None,
    "clones": None,
    "keys": None,
    "max_characters": None,
    "job_characters": None,
    "engines": None,
    "prices": None,
    "budget_usd_day": None,
    "budget_usd_month": None,
}


async def change(server: Inside, **body: object) -> dict[str, Any]:
    return json_of(await server.administer("POST", "accounts/ada", body))


async def test_a_plan_is_free_unless_another_one_is_named(priced: Inside) -> None:
    made = (await priced.administer("POST", "accounts", {"name": "bob"})).json()
    assert (made["plan"], made["agreed"], made["anchor"]) == ("free", _NOTHING, made["created"])


async def test_prices_are_agreed_as_the_configuration_writes_them(priced: Inside) -> None:
    prices = {"speech": {"credits": 0.25, "per": "second"}, "models": {"tone": {"credits": 3, "per": "job"}}}
    changed = await change(priced, agreed={"prices": prices})
    shown = changed["agreed"]["prices"]
    assert shown["speech"] == {"credits": 15, "per": "minute"}
    assert shown["models"] == {"tone": {"credits": 3, "per": "job"}}
    assert shown["cached"]["credits"] == 0
    assert (await priced.speech()).status_code == 200
    assert (await priced.usage())[0].credits == 3_000_000


async def test_other_work_has_agreed_prices_too_and_the_account_sees_them(priced: Inside) -> None:
    before = (await priced.ask("GET", "/v1/me")).json()["prices"]
    assert (before["conversion"], before["training"]) == (before["speech"], None)
    prices = {"conversion": {"credits": 0.5, "per": "second"}, "training": {"credits": 900, "per": "job"}}
    changed = await change(priced, agreed={"prices": prices})
    shown = (await priced.ask("GET", "/v1/me")).json()["prices"]
    assert shown == changed["agreed"]["prices"]
    assert shown["conversion"] == {"credits": 30, "per": "minute"}
    assert shown["training"] == {"credits": 900, "per": "job"}
    await change(priced, agreed={"prices": None})
    assert (await priced.ask("GET", "/v1/me")).json()["prices"] == before


_FREE = {"credits": 0, "per": "job"}
_A_MINUTE = {"credits": 1, "per": "minute"}


@each_row(
    ("prices", "conversion", "training"),
    [
        ({}, _FREE, _FREE),
        ({"speech": _A_MINUTE}, _A_MINUTE, None),
        ({"speech": {"credits": 1, "per": "character"}}, None, None),
        ({"models": {"tone": {"credits": 1, "per": "character"}}}, _FREE, None),
        ({"speech": {"credits": 1, "per": "character"}, "conversion": _A_MINUTE}, _A_MINUTE, None),
        ({"speech": _A_MINUTE, "training": _FREE}, _A_MINUTE, _FREE),
    ],
)
async def test_an_account_sees_the_prices_that_apply(
    priced: Inside, prices: dict[str, Any], conversion: object, training: object
) -> None:
    changed = await change(priced, agreed={"prices": prices})
    shown = (await priced.ask("GET", "/v1/me")).json()["prices"]
    assert (shown["conversion"], shown["training"]) == (conversion, training)
    assert shown == changed["agreed"]["prices"]


async def test_changes_at_once_are_all_kept_and_each_act_tells_its_own(priced: Inside) -> None:
    changes = ({"plan": "unlimited"}, {"agreed": {"rpm": 7}}, {"agreed": {"streams": 3}})
    asked = (priced.administer("POST", "accounts/ada", change) for change in changes)
    assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200, 200, 200]
    last = (await priced.administer("GET", "accounts/ada")).json()
    assert (last["plan"], last["agreed"]) == ("unlimited", _NOTHING | {"rpm": 7, "streams": 3})
    told = [act["details"] for act in (await priced.administer("GET", "audit")).json()["data"]]
    befores = [details["before"] for details in told]
    afters = [{"plan": details["plan"], "agreed": details["agreed"]} for details in told]
    # In some order, each began where the one before had ended.
    first = {"plan": "free", "agreed": _NOTHING}
    assert [before for before in befores if before not in afters] == [first]
    assert [after for after in afters if after not in befores] == [
        {"plan": last["plan"], "agreed": last["agreed"]}
    ]
    assert len(told) == 3


async def test_a_change_that_others_overtake_each_time_is_a_conflict(
    priced: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_TRIES", 0)
    answer = await priced.administer("POST", "accounts/ada", {"plan": "unlimited"})
    assert (answer.status_code, envelope(answer)["code"]) == (409, "conflict")
    assert (await priced.administer("GET", "accounts/ada")).json()["plan"] == "free"


async def test_an_agreement_counts_at_once(priced: Inside) -> None:
    assert (await priced.speech()).status_code == 200
    await change(priced, agreed={"allowance": 4.9})
    refused = await priced.speech()
    assert (refused.status_code, envelope(refused)["code"]) == (429, "insufficient_quota")
    await change(priced, agreed={"allowance": 5})
    assert (await priced.speech()).status_code == 200


@each_row(
    ("body", "param", "says"),
    [
        ({"plan": "gold"}, "plan", "The plans are: free, custom, unlimited."),
        ({"plan": "custom"}, "agreed", "leaves allowance, rpm to each account"),
        ({"plan": "custom", "agreed": {"rpm": 5}}, "agreed", "leaves allowance to each account"),
        ({"agreed": 5}, "agreed", "must be an object"),
        ({"agreed": {"rpm": 1.5}}, "agreed.rpm", "be requests a minute, 1 to 1000000"),
        ({"agreed": {"rmp": 5}}, "agreed.rmp", "Unknown parameter: 'agreed.rmp'"),
        ({"agreed": {"allowance": 0.1234567}}, "agreed.allowance", "6 decimals at most"),
        ({"agreed": {"engines": ["xtts"]}}, "agreed.engines", "The engines are: tone."),
        ({"agreed": {"prices": {"speach": {}}}}, "agreed.prices.speach", "did you mean speech?"),
        ({"agreed": {"prices": {"training": {}}}}, "agreed.prices.training.per", "must be"),
        ({"agreed": {"prices": {"speech": 5}}}, "agreed.prices.speech", "must be a table"),
        (
            {"agreed": {"prices": {"speech": {"credits": 1, "per": "day"}}}},
            "agreed.prices.speech.per",
            "must be",
        ),
        (
            {"agreed": {"prices": {"models": {"xtts/a": {"credits": 1, "per": "job"}}}}},
            "agreed.prices.models",
            "no [engines.xtts]",
        ),
    ],
)
async def test_a_change_that_cannot_be_is_refused_by_name(
    priced_once: Inside, body: dict[str, Any], param: str, says: str
) -> None:
    before = (await priced_once.administer("GET", "accounts/ada")).json()
    for path, sent in (("accounts/ada", body), ("accounts", {"name": "bob", **body})):
        answer = await priced_once.administer("POST", path, sent)
        error = envelope(answer)
        assert (answer.status_code, error["param"]) == (400, param)
        assert says in error["message"]
    assert (await priced_once.administer("GET", "accounts/ada")).json() == before
    assert (await priced_once.administer("GET", "accounts/bob")).status_code == 404


async def test_an_agreement_that_a_plan_needs_cannot_be_taken_back(priced: Inside) -> None:
    await change(priced, plan="custom", agreed={"allowance": 10, "rpm": 5})
    answer = await priced.administer("POST", "accounts/ada", {"agreed": {"rpm": None}})
    assert (answer.status_code, envelope(answer)["param"]) == (400, "agreed")


async def test_without_a_limit_there_is_nothing_left_to_count(priced: Inside) -> None:
    await change(priced, plan="unlimited")
    balance = (await priced.administer("GET", "accounts/ada")).json()["balance"]
    assert balance == {"allowance": None, "used": 0, "left": None, "granted": 0, "available": None}


async def test_an_account_whose_plan_is_gone_is_shown_without_a_balance(priced: Inside) -> None:
    await accounts.change(priced.worker.store, priced.account.id, to_plan("gone"))
    answer = await priced.administer("GET", "accounts/ada")
    assert (answer.status_code, answer.json()["balance"], answer.json()["cycle"]) == (200, None, None)


async def test_a_name_that_a_path_could_not_tell_apart_is_refused(priced_once: Inside) -> None:
    for name in (
        "ada/grants",
        "x/corrections",
        "y/entries",
        "bob/",
        "/bob",
        "a//b",
        "/",
        ".",
        "a/../b",
        "./a",
    ):
        answer = await priced_once.administer("POST", "accounts", {"name": name})
        assert (answer.status_code, envelope(answer)["param"]) == (400, "name")


async def test_plans_are_listed_with_the_accounts_that_have_them(priced: Inside) -> None:
    for name in ("bob", "eve"):
        await priced.administer("POST", "accounts", {"name": name, "plan": "unlimited"})
    await priced.administer("DELETE", "accounts/eve")
    listed = (await priced.administer("GET", "plans")).json()["data"]
    plans = {plan["name"]: plan for plan in listed}
    assert {name: plan["accounts"] for name, plan in plans.items()} == {
        "free": 1,
        "custom": 0,
        "unlimited": 1,
    }
    assert plans["free"]["allowance"] == 100
    assert plans["free"]["prices"]["speech"] == {"credits": 2.5, "per": "job"}
    assert (plans["custom"]["allowance"], plans["custom"]["price"]) == ("account", "ask")
    assert plans["unlimited"]["rpm"] is None


async def test_a_keys_caps_are_shown_kept_by_rotation_and_hold(priced: Inside) -> None:
    caps = {"rpm": None, "streams": 1, "max_characters": 5, "pace": "live"}
    made = (await priced.administer("POST", "keys", {"account": "ada", "caps": caps})).json()
    assert made["caps"] == caps
    rotated = (await priced.administer("POST", f"keys/{made['id']}/rotate")).json()
    assert rotated["caps"] == caps
    listed = (await priced.administer("GET", "keys?account=ada")).json()["data"]
    assert {key["id"]: key["caps"] for key in listed}[rotated["id"]] == caps
    body = {"model": "tts-1", "voice": "alloy", "input": "Hello there."}
    refused = await priced.ask("POST", "/v1/audio/speech", key=rotated["key"], body=body)
    assert (refused.status_code, envelope(refused)["param"]) == (403, "input")
    assert envelope(refused)["message"] == (
        "This key takes texts of up to 5 characters; this one has 12. Jobs take longer texts."
    )
    assert (await priced.speech()).status_code == 200


@each_row(
    ("caps", "param"),
    [({"rpm": 0}, "caps.rpm"), ({"rpms": 1}, "caps.rpms"), ({"streams": "1"}, "caps.streams"), (5, "caps")],
)
async def test_caps_that_cannot_be_are_refused_by_name(priced_once: Inside, caps: object, param: str) -> None:
    answer = await priced_once.administer("POST", "keys", {"account": "ada", "caps": caps})
    assert (answer.status_code, envelope(answer)["param"]) == (400, param)
