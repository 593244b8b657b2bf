"""GET /admin/accounts: people, what they used and paid, and what they cost, by as many queries as for one."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.storage import accounts, costs, usage
from tests.features.alerts.test_watch import COST
from tests.features.payments.shop import Shop, shop
from tests.proxy.api.inside import envelope
from tests.proxy.storage.test_usage import ROW
from tests.replies import json_of

OWNER = "owner@example.org"
MADE_UP = "account-0123456789ab"
PRICES = """
[plans.creator.prices]
speech = { credits = 1, per = "second" }
[plans.free.prices]
speech = { credits = 1, per = "second" }
"""


async def _listed(opened: Shop, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json_of(await opened.server.administer("GET", f"accounts{query}"))["data"]
    return found


async def _spoke(opened: Shop, started: int, number: int) -> None:
    account, id_ = opened.server.account.id, f"req_{number}"
    row = msgspec.structs.replace(ROW, id=id_, account=account, started=started, samples=24_000 * 90)
    cost = msgspec.structs.replace(COST, request=id_, account=account, at=started, micro_usd=40_000)
    await opened.server.worker.store.write(usage.insert_statement(row), costs.insert_statement(cost))


async def test_accounts_are_listed_with_their_people_and_sums(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shop(tmp_path, f'{PRICES}[storage]\nurl = "{store_url}"\n') as opened:
        store, ours = opened.server.worker.store, opened.server.account
        await opened.run_sql("UPDATE accounts SET name = :name WHERE id = :id", name=MADE_UP, id=ours.id)
        bought = await opened.order(plan="creator")
        opened.pay(bought)
        await opened.deliver()
        await opened.in_state(bought, "paid")
        now = await store.now()
        for number, started in enumerate((now, now, now - 40 * 86_400_000_000)):
            await _spoke(opened, started, number)
        (row,) = [each for each in await _listed(opened) if each["id"] == ours.id]
        assert (row["title"], row["users"], row["plan"]) == (
            OWNER,
            [OWNER],
            "creator",
        )
        assert row["paid_until"] > row["created"]
        assert row["sums"] == {
            "minutes": 3,
            "credits": 0,
            "allowance": 1000,
            "granted": 0,
            "paid": {"BRL": "49.00"},
            "cost_usd": 0.08,
        }
        for find in ("OWNER@", OWNER, MADE_UP, "0123", ours.id, ours.id[:9]):
            assert [each["id"] for each in await _listed(opened, f"?find={find}")] == [ours.id], find
        for find in ("example.org", "own_r", "%25", "nobody", "wner@"):
            assert await _listed(opened, f"?find={find}") == [], find
        (named,) = await _listed(opened, f"?ids=acc_none,{ours.id}")
        assert (named["title"], named["sums"]) == (OWNER, None)
        for query, param in (
            (f"find={'x' * 255}", "find"),
            ("find=a%00b", "find"),
            (f"ids={',' * 100}", "ids"),
        ):
            refused = await opened.server.administer("GET", f"accounts?{query}")
            assert (refused.status_code, envelope(refused)["param"]) == (400, param)
        by_address = json_of(await opened.server.administer("GET", "accounts/Owner@Example.org"))
        assert (by_address["id"], by_address["title"]) == (ours.id, OWNER)
        me = json_of(await opened.ask("GET", "/v1/me"))
        assert (me["account"]["title"], me["plan"]["minutes"]["number"]) == (OWNER, 16.67)
        assert (me["next_plan"]["name"], me["next_plan"]["minutes"]["number"]) == ("free", 0.17)
        by_key = json_of(await opened.server.ask("GET", "/v1/me"))
        assert by_key["account"]["title"] == MADE_UP, "a key tells nobody's address"
        start = json_of(await opened.server.ask("GET", "/v1/plans", key=""))["start"]
        assert (start["name"], start["credits"], start["minutes"]) == (
            "free",
            10,
            {"number": 0.17, "is_about": False},
        )
        few = await _reads(opened, monkeypatch)
        for number in range(30):
            await accounts.create(store, name=f"other-{number}", plan="free")
        assert await _reads(opened, monkeypatch) == few


async def _reads(opened: Shop, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the number of queries of a page, at a moment without others of the server's own tasks."""
    return min([await _counted(opened, monkeypatch) for _ in range(15)])


async def _counted(opened: Shop, monkeypatch: pytest.MonkeyPatch) -> int:
    counted = 0
    with monkeypatch.context() as patch:
        for name in ("read", "read_long"):
            read = getattr(opened.server.worker.store, name)

            async def counting(*args: Any, read: Any = read) -> Any:
                nonlocal counted
                counted += 1
                return await read(*args)

            patch.setattr(opened.server.worker.store, name, counting)
        await _listed(opened)
    return counted
