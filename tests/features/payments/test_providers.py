"""What the adapters make of their providers: states of payments, refusals, hangs, and forged events."""

import hmac
from typing import Any

import msgspec
import pytest

from fakes.payments import Webhook
from fakes.serving import served
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from proxy.errors import InvalidRequest
from proxy.features.payments import calls
from proxy.features.payments.mercadopago import MercadoPago
from proxy.features.payments.provider import FetchedPayment, ProviderFailed, ProviderWebhook
from proxy.features.payments.section import MercadoPagoSection, StripeSection
from proxy.features.payments.stripe import Stripe
from tests.features.payments.providers import NAMES, ORDER, Pair, checkout_request, pair, received
from tests.tables import each_row

_HEADERS = ("", "ts=1", "t=1", "v1=", "t=,ts=,v1=", "t=９,ts=１,v1=é", ",,=,")
"""Signatures that are none."""


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PAUSES_S", (0.0, 0.0))


async def only(both: Pair, checkout: str) -> FetchedPayment:
    (found,) = await both.adapter.payments_of(ORDER, checkout)
    assert await both.adapter.find_payment(found.id) == found
    assert [each async for each in both.adapter.payments_since(0)] == [found]
    return found


@each_row("name", NAMES)
async def test_a_payment_is_followed_from_its_checkout_to_a_won_dispute(name: str) -> None:
    async with pair(name) as both:
        made = await both.adapter.create_checkout(checkout_request())
        assert made.url.startswith("http://127.0.0.1:")
        assert await both.adapter.payments_of(ORDER, made.id) == []
        # An answer that was lost does no harm: the same order has one checkout.
        assert await both.adapter.create_checkout(checkout_request()) == made
        with pytest.raises(ProviderFailed):
            await both.adapter.create_checkout(checkout_request(amount=1))
        paid = both.pay(made.id)
        found = await only(both, made.id)
        assert (found.reference, found.amount, found.currency) == (ORDER, 2990, "BRL")
        assert (found.is_paid, found.is_live, found.refunded, found.disputed) == (True, False, 0, 0)
        assert found.seller == both.adapter.seller
        both.refund(paid, 1000)
        assert (await only(both, made.id)).refunded == 1000
        win = both.dispute(paid)
        found = await only(both, made.id)
        assert (found.is_paid, found.refunded, found.disputed) == (True, 1000, 1990)
        win()
        assert (await only(both, made.id)).disputed == 0
        assert [each.path for each in both.server.seen if each.status == 401] == []


async def test_other_ways_to_pay_and_other_states_count_as_their_providers_mean_them() -> None:
    async with pair("mercadopago") as both:
        made, account = await both.adapter.create_checkout(checkout_request()), both.fake.account
        assert account.preferences[made.id].excluded == {"ticket"}
        assert account.preferences[made.id].raw["auto_return"] == "approved"
        refused, waits = account.pay(made.id, "master", "rejected"), account.pay(made.id, "pix", "pending")
        assert [each.is_paid for each in await both.adapter.payments_of(ORDER, made.id)] == [False]
        account.approve(waits)
        account.mediate(waits)
        found = await only_paid(both)
        assert (found.id, found.refunded, found.disputed) == (str(waits.id), 0, 0)
        account.approve(waits)
        both.refund(waits)
        assert (await only_paid(both)).refunded == 2990
        # A charge of a payment that was never approved is no money.
        refused.status = "charged_back"
        unpaid = await both.adapter.find_payment(str(refused.id))
        assert unpaid is not None
        assert not unpaid.is_paid
    async with pair("stripe") as both:
        made, account = await both.adapter.create_checkout(checkout_request()), both.fake.account
        assert account.sessions[made.id].methods == ["card"]
        intent = account.pay(made.id, is_late=True)
        assert [each.is_paid for each in await both.adapter.payments_of(ORDER, made.id)] == [False]
        account.settle(intent)
        account.dispute(intent, 1000, "warning_needs_response")
        assert (await only(both, made.id)).disputed == 0
        lost = account.dispute(intent, 1000)
        account.close(lost, "lost")
        assert (await only(both, made.id)).disputed == 1000


async def test_a_refund_that_fails_at_the_bank_falls_back_and_its_webhook_names_the_payment() -> None:
    async with pair("stripe") as both:
        made = await both.adapter.create_checkout(checkout_request())
        paid = both.pay(made.id)
        both.refund(paid, 1000)
        assert (await only(both, made.id)).refunded == 1000
        both.fake.account.fail_refund(paid)
        assert (await only(both, made.id)).refunded == 0
        assert both.adapter.webhook_object(received(both.notices.waiting[-1])) == paid.id


async def test_a_part_that_only_the_list_of_refunds_has_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with pair("mercadopago") as both:
        made, shown = await both.adapter.create_checkout(checkout_request()), both.fake.account.shown
        both.refund(both.pay(made.id), 1000)
        late = {"transaction_amount_refunded": 0}
        monkeypatch.setattr(both.fake.account, "shown", lambda payment: shown(payment) | late)
        assert (await only_paid(both)).refunded == 1000


async def test_only_a_payment_that_succeeded_is_paid() -> None:
    states = ("requires_payment_method", "requires_action", "processing", "requires_capture", "canceled")
    async with pair("stripe") as both:
        paid = both.pay((await both.adapter.create_checkout(checkout_request())).id)
        for status in (*states, "succeeded"):
            paid.status = status
            found = await both.adapter.find_payment(paid.id)
            assert found is not None
            assert found.is_paid == (status == "succeeded"), status


async def test_all_pages_of_payments_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.features.payments.stripe._PAGE", 2)
    monkeypatch.setattr("proxy.features.payments.mercadopago._PAGE", 2)
    for name in NAMES:
        async with pair(name) as both:
            wanted = [checkout_request(order=f"ord_{number}") for number in range(5)]
            made = [await both.adapter.create_checkout(each) for each in wanted]
            paid = {str(both.pay(each.id).id) for each in made}
            assert {each.id async for each in both.adapter.payments_since(0)} == paid, name


async def test_a_bad_row_of_a_search_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair("mercadopago") as both:
        made, account = await both.adapter.create_checkout(checkout_request()), both.fake.account
        bad, good = both.pay(made.id), both.pay(made.id)
        shown = account.shown

        def without_seller(payment: Any) -> dict[str, Any]:
            row: dict[str, Any] = shown(payment)
            return {**row, "collector_id": None} if payment is bad else row

        monkeypatch.setattr(account, "shown", without_seller)
        assert [each.id async for each in both.adapter.payments_since(0)] == [str(good.id)]


HUGE = 10**30
NO_AMOUNTS: dict[str, tuple[Any, ...]] = {
    "mercadopago": ("NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "1e400", "9e999999", -1, HUGE, "", [1]),
    "stripe": (-1, HUGE, 2**63, 1e300, "NaN", "Infinity", "5", "", [1]),
}


@each_row("name", NAMES)
async def test_an_amount_that_is_none_is_a_failure_of_its_provider(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each field with an amount, alone and in a list, where it hides no other payment of Mercado Pago."""
    async with pair(name) as both:
        made, account = await both.adapter.create_checkout(checkout_request()), both.fake.account
        bad = both.pay(made.id)
        both.dispute(bad)
        tried = 0
        for value in NO_AMOUNTS[name]:
            for field in FIELDS[name]:
                with monkeypatch.context() as patch:
                    _show(patch, account, name, field, value)
                    with pytest.raises(ProviderFailed, match="not what its documentation says"):
                        await both.adapter.find_payment(str(bad.id))
                    if name == "mercadopago":
                        assert [each async for each in both.adapter.payments_since(0)] == []
                        tried += 1
        assert tried in (0, 3 * len(NO_AMOUNTS[name]))
        assert await both.adapter.find_payment(str(bad.id)) is not None


FIELDS = {
    "mercadopago": ("transaction_amount", "transaction_amount_refunded", "refunds"),
    "stripe": ("amount", "amount_received", "latest_charge", "dispute"),
}


def _show(patch: pytest.MonkeyPatch, account: Any, name: str, field: str, value: Any) -> None:
    """Let the API show a value as an amount."""
    shows = "shown" if name == "mercadopago" else "shown_dispute" if field == "dispute" else "shown_intent"
    shown, in_place = getattr(account, shows), {field: value}
    if field == "refunds":
        in_place = {field: [{"amount": value, "status": "approved"}]}
    elif field == "latest_charge":
        in_place = {field: {"amount_refunded": value, "disputed": False}}
    elif field == "dispute":
        in_place = {"amount": value}
    patch.setattr(account, shows, lambda *args, **more: {**shown(*args, **more), **in_place})


async def only_paid(both: Pair) -> FetchedPayment:
    (found,) = [each for each in await both.adapter.payments_of(ORDER, "") if each.is_paid]
    return found


@each_row("name", NAMES)
async def test_unknown_objects_are_none_and_strange_ids_are_never_asked_for(name: str) -> None:
    async with pair(name) as both:
        for id_ in ("77", "pi_1", "cs_1", "../v1/balance", "", "７７", "1" * 99, "pi_" + "x" * 999):
            assert await both.adapter.find_payment(id_) is None
        assert {each.path.rpartition("/")[2] for each in both.server.seen} <= {"77", "pi_1", "cs_1"}


@each_row("name", NAMES)
@each_row(
    "status, code, is_final, tries",
    [
        (400, "", True, 1),
        (401, "", True, 1),
        (403, "html", True, 1),
        (302, "", True, 1),
        (409, "", False, 3),
        (423, "", False, 3),
        (429, "", False, 3),
        (500, "", False, 3),
        (502, "html", False, 3),
    ],
)
async def test_a_refusal_is_final_or_is_tried_again(
    name: str, status: int, code: str, is_final: bool, tries: int
) -> None:
    async with pair(name) as both:
        both.server.fail("5xx", count=9, path="/", status=status, code=code)
        with pytest.raises(ProviderFailed) as refused:
            await both.adapter.create_checkout(checkout_request())
        assert (refused.value.is_final, len(both.server.seen)) == (is_final, tries)
        keys = {
            each.headers.get("idempotency-key", each.headers.get("x-idempotency-key"))
            for each in both.server.seen
        }
        assert keys == {ORDER}
        both.server.reset()
        both.server.fail("5xx", count=9, path="/", status=status, code=code, retry_after="30")
        with pytest.raises(ProviderFailed) as refused:
            await both.adapter.find_payment("77" if name == "mercadopago" else "pi_1")
        assert (refused.value.retry_after_s, len(both.server.seen)) == (30.0, 1)


@pytest.mark.clock
@each_row("name", NAMES)
@each_row("fault", ["hang_before", "hang_after", "truncated", "garbage", "lost"])
async def test_a_provider_that_hangs_or_breaks_off_may_have_acted_and_is_asked_once_more(
    name: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "TIMEOUT_S", 0.2)
    async with pair(name) as both:
        both.server.fail(fault, path="/")  # type: ignore[arg-type]  # a word of the table
        with pytest.raises(ProviderFailed) as failed:
            await both.adapter.create_checkout(checkout_request())
        assert not failed.value.is_final
        assert len(both.server.seen) == 1
        made = await both.adapter.create_checkout(checkout_request())
        account = both.fake.account
        known = account.preferences if name == "mercadopago" else account.sessions
        assert list(known) == [made.id]


@each_row("name", NAMES)
async def test_an_answer_of_five_megabytes_or_without_its_fields_is_refused(name: str) -> None:
    async with pair(name) as both:
        made = await both.adapter.create_checkout(checkout_request())
        paid = both.pay(made.id)
        id_ = str(paid.id)
        for odd in ({"more": "x" * 5_000_000}, {"currency": None, "currency_id": None}):
            paid.shown_as = odd
            with pytest.raises(ProviderFailed) as failed:
                await both.adapter.find_payment(id_)
            assert not failed.value.is_final
            assert "x" * 9 not in str(failed.value)


async def test_amounts_are_exact_and_never_rounded_in_the_buyers_favour() -> None:
    async with pair("mercadopago") as both:
        made = await both.adapter.create_checkout(checkout_request(amount=1999))
        paid = both.pay(made.id)
        for amount, back, minor in ((19.99, 0, (1999, 0)), (19.989, 0.001, (1998, 1)), (0.07, 0.07, (7, 7))):
            paid.shown_as = {"transaction_amount": amount, "transaction_amount_refunded": back}
            found = await both.adapter.find_payment(str(paid.id))
            assert found is not None
            assert (found.amount, found.refunded) == minor
        pending = {"id": 1, "amount": 5, "status": "in_process"}
        paid.shown_as = {"transaction_amount_refunded": 0, "refunds": [pending]}
        found = await both.adapter.find_payment(str(paid.id))
        assert found is not None
        assert found.refunded == 0, "it may be refused"
        for amount in (-1, 1e300):
            paid.shown_as = {"transaction_amount": amount}
            with pytest.raises(ProviderFailed):
                await both.adapter.find_payment(str(paid.id))


async def test_events_of_mercado_pago_are_taken_in_all_their_forms_and_forgeries_are_not() -> None:
    async with pair("mercadopago") as both:
        sign, take = both.fake.signer.webhook, both.adapter.webhook_object
        now = 1_790_000_000.0
        for good in (
            sign("77", now),
            sign("77", now, in_seconds=True),
            sign("77", now, request_id=""),
            sign("77", now - 90 * 86_400),
        ):
            assert take(received(good)) == "77"
        assert take(received(sign("ABC", now))) is None
        assert take(received(sign("77", now, type_="merchant_order"))) is None
        first = sign("77", now)
        bad = [
            sign("77", now, secret=""),
            sign("77", now, secret="whsec_fake-stripe-secret"),
            sign("ABC", now, signed_id="ABC"),
            first._replace(url=first.url.replace("77", "78")),
            first._replace(headers={**first.headers, "x-request-id": "other"}),
            *(
                _with(first, "x-signature", text)
                for text in ("", "ts=1", "v1=", "ts=,v1=", "ts=１,v1=é", ",,=,")
            ),
            _with(first, "x-signature", first.headers["x-signature"].upper()),
        ]
        for forged in bad:
            with pytest.raises(InvalidRequest) as refused:
                take(received(forged))
            assert (refused.value.code, refused.value.param) == ("invalid_signature", "x-signature")


async def test_events_of_stripe_are_taken_in_time_alone_and_forgeries_are_not() -> None:
    async with pair("stripe") as both:
        account, take = both.fake.account, both.adapter.webhook_object
        made = await both.adapter.create_checkout(checkout_request())
        intent = account.pay(made.id)
        account.refund(intent, 100)
        account.dispute(intent)
        assert {take(received(each)) for each in both.notices.waiting} == {intent.id}
        shown, now = account.shown_charge(intent), 1_790_000_000.0
        sign = both.fake.signer.webhook
        rolled = sign("charge.refunded", shown, now, secrets=("whsec_new", both.fake.signer.secret))
        assert take(received(rolled, now + 300)) == intent.id
        assert take(received(sign("invoice.paid", shown, now), now)) is None
        assert take(received(sign("charge.updated", {"id": 5}, now), now)) is None
        first = sign("charge.refunded", shown, now)
        bad = [
            (first, now + 301),
            (first, now - 301),
            (sign("charge.refunded", shown, now, secrets=("",)), now),
            (sign("charge.refunded", shown, now, secrets=("fake-mercadopago-secret",)), now),
            (sign("charge.refunded", shown, now, secrets=()), now),
            (first._replace(body=first.body.replace(b"pi_", b"PI_")), now),
            (_with(first, "stripe-signature", first.headers["stripe-signature"].upper()), now),
            *(
                (_with(first, "stripe-signature", text), now)
                for text in ("", "t=,v1=", "v1=a", "t=９,v1=é", ",=")
            ),
        ]
        for forged, moment in bad:
            with pytest.raises(InvalidRequest) as refused:
                take(received(forged, moment))
            assert refused.value.code == "invalid_signature"


def _with(webhook: Webhook, name: str, text: str) -> Webhook:
    return webhook._replace(headers={**webhook.headers, name: text})


@each_row("name", NAMES)
async def test_nothing_that_is_printed_has_a_key_or_a_secret(name: str) -> None:
    async with pair(name) as both:
        made = await both.adapter.create_checkout(checkout_request())
        shown = f"{both.adapter!r} {vars(both.adapter)['_calls']!r}"
        assert msgspec.json.encode(shown)
        assert not any(word in shown for word in ("fake-", "sk_test", made.id))


async def test_a_fake_sends_its_webhooks_over_http_until_they_are_taken() -> None:
    async with pair("mercadopago") as both, served(both.server) as at:
        # The fake itself answers: it has no such path, and then a page without a button.
        both.fake.signer.url = f"{at.url}/webhooks"
        made = await both.adapter.create_checkout(checkout_request())
        both.pay(made.id)
        assert await both.notices.deliver(copies=2) == [404, 404]
        assert len(both.notices.waiting) == 1
        taken = both.notices.waiting[0]._replace(url=f"{at.url}/checkout/v1/redirect")
        both.notices.waiting[:] = [taken]
        assert await both.notices.deliver() == [200]
        assert (both.notices.waiting, len(both.notices.sent)) == ([], 3)
        assert both.server.seen[-1].headers["x-signature"] == taken.headers["x-signature"]


async def test_without_a_secret_no_signature_is_right() -> None:
    """The configuration refuses it, and Mercado Pago's own validator does not."""
    body, now = b'{"id": "evt_1"}', 1_763_980_000
    signed_as = {
        "stripe-signature": f"t={now},v1={hmac.digest(b'', f'{now}.'.encode() + body, 'sha256').hex()}",
        "x-signature": f"ts={now},v1={hmac.digest(b'', f'id:7;ts:{now};'.encode(), 'sha256').hex()}",
    }
    event = ProviderWebhook(body, {"data.id": "7", "type": "payment"}, signed_as, now * 1_000_000)
    url = "http://127.0.0.1:9"
    async with open_http(Upstream()) as client:
        for adapter in (
            MercadoPago(client, MercadoPagoSection(access_token="token", base_url=url, seller="7")),
            Stripe(client, StripeSection(secret_key="key", base_url=url)),
        ):
            with pytest.raises(InvalidRequest):
                adapter.webhook_object(event)
