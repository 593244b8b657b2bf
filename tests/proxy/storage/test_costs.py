"""Costs: what is summed for whom, from which moment on."""

import pytest

from proxy.storage import costs
from proxy.storage.costs import Cost
from proxy.storage.store import Store

BEGAN = 1_000_000


def cost(request: str, at: int, account: str = "acc_a", engine: str = "one") -> Cost:
    return Cost(
        request=request,
        attempt=1,
        account=account,
        at=at,
        engine=engine,
        model="m",
        characters=1,
        audio_ms=0,
        units=None,
        micro_usd=500,
    )


@pytest.mark.parametrize(("owner", "is_account"), [("acc_a", True), ("one", False)])
async def test_a_sum_has_what_its_owner_cost_from_the_first_moment_on(
    store: Store, owner: str, is_account: bool
) -> None:
    rows = [
        cost("req_before", BEGAN - 1),
        cost("req_first", BEGAN),
        cost("req_later", BEGAN + 1),
        cost("req_of_others", BEGAN, account="acc_b", engine="two"),
    ]
    await store.write(*map(costs.insert_statement, rows))
    assert await costs.sum_costs(store, owner, BEGAN, is_account=is_account) == 1000
