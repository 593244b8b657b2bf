"""What a caller is told where the limits of its account do not allow one more request."""

from contextlib import AsyncExitStack

import pytest

from policies.price import MICRO
from proxy.errors import QuotaExceeded, RateLimited
from proxy.features.admin import movements
from proxy.features.admin.movements import Reason
from proxy.ledger import HoldRequest, Ledger, open_ledger
from proxy.ledger.ledger import credits_text
from proxy.storage import usage
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger.asking import Account, holding, speak, stands, terms, wanted
from tests.proxy.storage.watched import WatchedStore
from tests.tables import each_row


async def out_of_credits(ledger: Ledger, request: HoldRequest) -> QuotaExceeded:
    with pytest.raises(QuotaExceeded) as caught:
        async with holding(ledger, request):
            pytest.fail("it was let through")
    return caught.value


async def too_many(ledger: Ledger, request: HoldRequest) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        async with holding(ledger, request):
            pytest.fail("it was let through")
    return caught.value


async def test_an_account_with_too_few_credits_is_told_how_many_and_not_to_try_again(
    timed: WatchedStore,
) -> None:
    async with open_ledger(timed, Metrics()) as ledger:
        await speak(ledger, wanted("req_1", under=terms(12)), 1.996)
        failure = await out_of_credits(ledger, wanted("req_2", 10.011, under=terms(12)))
    assert (failure.status, failure.kind, failure.code) == (429, "insufficient_quota", "insufficient_quota")
    assert failure.message == (
        "You exceeded your current quota: this needs about 10.02 credits, and your plan 'pro' has 10 left "
        "until 2023-12-14."
    )
    assert failure.headers == {"x-should-retry": "false"}
    assert failure.retry_after_s is None
    assert [row.id for row in await usage.list_newest(timed)] == ["req_1"]


async def test_an_account_that_owes_is_told_how_much(timed: WatchedStore) -> None:
    async with open_ledger(timed, Metrics()) as ledger:
        await speak(ledger, wanted("req_1", under=terms(100)), 91.479)
        failure = await out_of_credits(ledger, wanted("req_2", 1, under=terms(0)))
    assert failure.message == (
        "You exceeded your current quota: this needs about 1 credits, and your plan 'pro' has none left "
        "until 2023-12-14: 91.48 are owed."
    )


async def test_nothing_is_held_after_a_refusal_and_the_last_credit_can_be_spent(ledger: Ledger) -> None:
    under = terms(10)
    await out_of_credits(ledger, wanted("req_1", 10.000001, under=under))
    assert await stands(ledger, wanted(under=under)) == Account(10, 0, 0)
    await speak(ledger, wanted("req_1", 10, under=under), 10)
    await out_of_credits(ledger, wanted("req_2", 0.000001, under=under))


async def test_held_credits_are_not_there_for_others_until_they_come_back(ledger: Ledger) -> None:
    under = terms(10)
    async with holding(ledger, wanted("req_1", 6, under=under)):
        assert "has 4 left" in (await out_of_credits(ledger, wanted("req_2", 5, under=under))).message
        assert "has 4 left" in (await out_of_credits(ledger, wanted("req_2", 4.5, under=under))).message
    await speak(ledger, wanted("req_2", 5, under=under), 5)


async def test_an_account_that_spoke_beyond_its_last_credit_owes_the_rest(ledger: Ledger) -> None:
    under = terms(5)
    await speak(ledger, wanted("req_1", 5, under=under), 9)
    message = (await out_of_credits(ledger, wanted("req_2", 1, under=under))).message
    assert "has none left" in message
    assert message.endswith(": 4 are owed.")


async def test_granted_credits_count_beside_the_allowance(ledger: Ledger) -> None:
    await movements.grant(ledger, "acc_ada", 7 * MICRO, None, Reason("control"))
    assert "has 12 left" in (await out_of_credits(ledger, wanted(credits=13, under=terms(5)))).message


async def test_one_stream_more_than_the_plan_has_is_refused_until_one_has_ended(ledger: Ledger) -> None:
    under = terms(streams=2)
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await first.enter_async_context(holding(ledger, wanted("req_1", under=under, key="key_a")))
        await second.enter_async_context(holding(ledger, wanted("req_2", under=under, key="key_b")))
        failure = await too_many(ledger, wanted("req_3", under=under, key="key_c"))
        # Other accounts have streams of their own.
        await speak(ledger, wanted("req_4", under=under, account="acc_bob"), 1)
        await first.aclose()
        await speak(ledger, wanted("req_3", under=under), 1)
    assert (failure.status, failure.kind, failure.code) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert failure.message == (
        "Rate limit reached: your plan 'pro' allows 2 streams at the same time. Try again when one has ended."
    )
    assert (failure.retry_after_s, failure.headers) == (1.0, {})


async def test_a_key_may_have_fewer_streams_than_its_account(ledger: Ledger) -> None:
    capped, whole = terms(streams=3, key_streams=1), terms(streams=3)
    async with holding(ledger, wanted("req_1", under=capped, key="key_a")):
        failure = await too_many(ledger, wanted("req_2", under=capped, key="key_a"))
        # Another key of the same kind has its own.
        await speak(ledger, wanted("req_own", under=capped, key="key_b"), 1)
        async with holding(ledger, wanted("req_2", under=whole, key="key_b")):
            async with holding(ledger, wanted("req_3", under=whole, key="key_b")):
                # With the account's streams taken, it is the account's limit that is named.
                over = await too_many(ledger, wanted("req_4", under=capped, key="key_a"))
    assert "your key allows 1 stream at the same time" in failure.message
    assert "your plan 'pro' allows 3 streams" in over.message


async def test_streams_are_named_before_credits(ledger: Ledger) -> None:
    under = terms(10, streams=1)
    async with holding(ledger, wanted("req_1", 10, under=under)):
        await too_many(ledger, wanted("req_2", 10, under=under))


async def test_a_refused_request_may_be_asked_again_under_its_own_name(store: Store, ledger: Ledger) -> None:
    await out_of_credits(ledger, wanted(credits=11, under=terms(10)))
    await speak(ledger, wanted(credits=10, under=terms(10)), 3)
    assert [row.id for row in await usage.list_newest(store)] == ["req_1"]


@each_row(
    ("micro", "text"),
    [
        (1_150_000, "1.15"),
        (1_159_999, "1.15"),
        (14_400_550_000, "14400.55"),
        (3_000_000_000_000, "3000000"),
        (9_999, "0"),
    ],
)
def test_credits_are_told_exactly_or_downwards(micro: int, text: str) -> None:
    assert credits_text(micro) == text
