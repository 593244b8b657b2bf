"""People at the console: they make keys, buy, set what is theirs, and go."""

import re
import time

import httpx2
import pytest

from tests.features.console.console_page import Reader
from tests.features.console.people import People, sign_in
from tests.replies import json_of
from tests.waiting import until

pytestmark = pytest.mark.slow_but("test_a_pack_is_bought_at_the_provider_and_its_credits_come")

_ONE_LOOK_FAILS = """(() => {
  const [ask, wait] = [fetch, setTimeout];
  window.failed = 0;
  window.fetch = (...asked) => failed++ ? ask(...asked) : Promise.reject(new TypeError("away"));
  window.setTimeout = (then, ms, ...more) => wait(then, Math.min(ms, 100), ...more);
})()"""
_FOLLOWED = """
import(performance.getEntriesByType('resource').find(({ name }) => name.endsWith('/checkout.js')).name)
  .then(({ checkoutOf }) => ['javascript:alert(1)', 'https://pay.test/1'].map((url) => checkoutOf({ url })))
"""


@pytest.mark.kit("axe")
def test_a_pack_is_bought_at_the_provider_and_its_credits_come(visitor: Reader, people: People) -> None:
    sign_in(visitor, people.invite("cleo@example.org"))
    visitor.go("account")
    visitor.wait("button('500 credits: Pay with Mercado Pago')")
    assert "<b>Markup</b>" in visitor.text()
    visitor.assert_readable(((375, "light"),))
    visitor.tab.run("button('500 credits: Pay with Mercado Pago').click()")
    visitor.arrive("location.href.startsWith('" + people.provider_url + "')")
    visitor.tab.run("at('[value=\"pix:approved\"]').click()")
    visitor.arrive("location.hash.startsWith('#/orders/ord_') && at('#order-state')")
    assert visitor.tab.run("location.href").startswith(f"{people.server.url}/#/orders/")
    # What may be paid is not offered again before the provider has told.
    assert visitor.tab.run("at('#order-pay') || at('#order-cancel')") is None
    # One failed look is not the last.
    visitor.tab.run(_ONE_LOOK_FAILS)
    visitor.reads("Waiting")
    visitor.reads("Paid. Thank you! 500 credits, with no end date.")
    assert visitor.tab.run("failed") > 1
    assert visitor.tab.run(_FOLLOWED) == ["", "https://pay.test/1"]
    visitor.reads("510 credits", ".purse")
    visitor.assert_readable(((1280, "dark"),))
    visitor.go("account")
    visitor.reads("of these, 500 credits do not expire")
    visitor.wait("button('500 credits')?.closest('tr').innerText.includes('Paid')")
    # The provider gives it back.
    order = visitor.tab.run("button('500 credits').hash.slice('#/orders/'.length)")
    [payment] = [each for each in people.provider.account.payments.values() if each.reference == order]
    people.provider.account.refund(payment)
    until(lambda: people.administer("POST", f"orders/{order}/check")["state"] == "refunded")
    visitor.go(f"orders/{order}")
    visitor.reads("Refunded")
    visitor.go("orders/ord_0")
    visitor.reads("does not exist")


def test_what_paying_changes_is_read_before_one_pays(visitor: Reader, people: People) -> None:
    sign_in(visitor, people.invite("dora@example.org"))
    visitor.go("account")
    made = visitor.tab.run(
        "fetch('v1/orders', { method: 'POST', headers: { 'content-type': 'application/json' },"
        " body: JSON.stringify({ plan: 'creator', provider: 'mercadopago' }) })"
        ".then((answer) => answer.json())"
    )
    people.provider.account.pay(made["url"].partition("pref_id=")[2])
    until(lambda: people.administer("POST", f"orders/{made['id']}/check")["state"] == "paid")
    visitor.go(f"orders/{made['id']}")
    visitor.reads("Paid. Thank you! Creator until")
    visitor.go("account")
    visitor.wait("at('#account-plan')?.textContent.includes('until')")
    told = visitor.text("#account-plan")
    assert re.fullmatch(
        r"Creator until \w+ \d+, \d{4}\. It ends by itself, and you are not charged again\. "
        r"After it you have Free\. Extra minutes that you bought stay\.",
        told,
    )
    visitor.reads("16 minutes", ".tiles")
    visitor.reads("16 minutes", ".purse")
    visitor.go("speak")
    visitor.fill("#speak-input", "A word.")
    visitor.reads("You have 16 minutes left.", "#speak-estimate")
    visitor.go("account")
    visitor.wait("!!button('Creator: One more month · Mercado Pago')")
    assert visitor.tab.run("at('.plan.mine details').open") is False
    # Minutes come first, and limits are sentences.
    visitor.reads("16 minutes · 1,000 credits", ".plan.mine")
    assert "5 API keys" not in visitor.text(".plan.mine")
    visitor.tab.run("void (at('.plan.mine details').open = true)")
    assert "5 API keys" in visitor.text(".plan.mine")
    visitor.assert_readable(((375, "light"), (1280, "dark")))
    visitor.press("Pro: Pay with Mercado Pago")
    visitor.wait("at('#question').open")
    assert (
        "Your month of Creator ends when you pay. What is left of it, now 16 minutes, stays"
        in visitor.text("#question")
    )
    visitor.assert_readable(((375, "light"),), "#question")
    visitor.press("Not now", "at('#question')")
    visitor.wait("at('#orders-title')?.parentNode.innerText.includes('Plan Pro, one month')")
    assert visitor.tab.run("location.origin") == people.server.url
    # An order that waits says so on its own page, before the way to the provider. One that is paid does not.
    visitor.press("Plan Pro, one month")
    visitor.reads("Your month of Creator ends when you pay", "#page ul")
    assert visitor.tab.run("at('#page ul').compareDocumentPosition(at('#order-pay')) & 4") == 4
    visitor.assert_readable(((375, "light"),))
    visitor.go(f"orders/{made['id']}")
    visitor.reads("Paid. Thank you!")
    assert "ends when you pay" not in visitor.text()
    visitor.go("account")
    visitor.press("Pro: Pay with Mercado Pago")
    visitor.wait("at('#question').open")
    visitor.tab.run("button('Pay now', at('#question')).click()")
    visitor.arrive("location.href.startsWith('" + people.provider_url + "')")


def test_an_order_is_cancelled_on_its_page_and_what_was_paid_before_counts(
    visitor: Reader, people: People
) -> None:
    sign_in(visitor, people.invite("cara@example.org"))
    first, other = (_ordered(visitor) for _ in range(2))
    visitor.go(f"orders/{first['id']}/back")
    visitor.reads("Waiting")
    assert visitor.tab.run("at('#order-pay')") is None
    visitor.wait("at('#order-pay')")
    visitor.press("Cancel the order")
    visitor.reads("You cancelled this order.")
    visitor.reads("Cancelled", "#page .tag")
    assert visitor.tab.run("at('#order-pay') || at('#order-cancel')") is None
    visitor.assert_readable(((375, "light"), (1280, "dark")))
    preference = people.provider.account.preferences[first["url"].partition("pref_id=")[2]]
    until(lambda: preference.is_over(time.time()))
    visitor.go(f"orders/{other['id']}")
    visitor.wait("at('#order-cancel')")
    people.provider.account.pay(other["url"].partition("pref_id=")[2])
    until(lambda: people.administer("POST", f"orders/{other['id']}/check")["state"] == "paid")
    visitor.tab.run("at('#order-cancel')?.click()")
    visitor.reads("Paid. Thank you!")


def _ordered(visitor: Reader) -> dict[str, str]:
    made: dict[str, str] = visitor.tab.run(
        "fetch('v1/orders', { method: 'POST', headers: { 'content-type': 'application/json' },"
        " body: JSON.stringify({ pack: 'small', provider: 'mercadopago' }) })"
        ".then((answer) => answer.json())"
    )
    return made


def test_keys_are_made_after_a_fresh_sign_in_and_what_was_typed_stays(
    visitor: Reader, people: People
) -> None:
    sign_in(visitor, people.invite("eva@example.org"))
    people.age(people.account("eva@example.org"))
    visitor.go("account/keys")
    name = "<i>studio</i> \u202e" + "x" * 60
    visitor.fill("#key-name", name)
    visitor.press("Make a key")
    visitor.reads("Confirm that it is you", "#door")
    visitor.assert_readable(((375, "light"),))
    number = len(people.mails.got)
    visitor.press("Send me a link")
    visitor.wait("document.activeElement.id === 'door-code'")
    visitor.tab.type(people.mailed(number)[1])
    visitor.tab.press("Enter")
    visitor.reads("You are signed in as eva@example.org.", "#door")
    assert visitor.tab.run("at('#key-name').value") == name
    # Two presses make one key.
    visitor.wait("button('Make a key')")
    visitor.tab.run("[1, 2].forEach(() => button('Make a key').click())")
    visitor.wait("document.activeElement.id === 'secret-copy'")
    assert visitor.tab.run("document.querySelectorAll('.rows li').length") == 1
    visitor.assert_readable(((375, "light"),))
    secret = visitor.tab.run("at('#secret').value")
    with people.server.client(secret) as client:
        assert json_of(client.get("/v1/me"))["key"]["name"] == name
        visitor.press("I have it")
        visitor.wait("!at('#secret')")
        visitor.tab.run("at('.rows button').click()")
        visitor.press("Replace", "at('#question')")
        visitor.wait("at('#secret')")
        assert client.get("/v1/me").status_code == 401
    with people.server.client(visitor.tab.run("at('#secret').value")) as client:
        assert client.get("/v1/me").status_code == 200
        visitor.tab.run("at('.rows li:first-child button:last-of-type').click()")
        visitor.press("Revoke", "at('#question')")
        visitor.reads("Done.")
        assert client.get("/v1/me").status_code == 401
    assert visitor.tab.run("document.activeElement.id") == "keys-title"


def test_sessions_and_settings_are_the_persons_own(visitor: Reader, people: People) -> None:
    # Another browser of the same person.
    id_, _, token = people.invite("finn@example.org").partition("#sign_in=")[2].partition(".")
    httpx2.post(f"{people.server.url}/v1/sign-ins/{id_}/confirm", json={"token": token}).raise_for_status()
    sign_in(visitor, people.invite("finn@example.org"))
    visitor.go("account/settings")
    visitor.wait("at('.rows li:not(:has(.tag)) button')")
    visitor.assert_readable(((1280, "dark"),))
    visitor.tab.run("at('.rows li:not(:has(.tag)) button').click()")
    visitor.reads("Done.")
    assert visitor.tab.run("document.querySelectorAll('.rows li').length") == 1
    visitor.tab.run("at('#settings-preferred_voice').click()")
    visitor.wait("at('#picker')?.open && at('#picker [value=alloy]')")
    visitor.tab.run("(at('#picker [value=alloy]').click(), at('#picker').close())")
    visitor.choose("#settings-language", "pt-BR")
    visitor.press("Save")

    def is_saved() -> bool:
        me = visitor.tab.run("fetch('v1/me').then((answer) => answer.json())")
        return (me["preferred_voice"], me["user"]["language"], me["user"]["mails"]) == (
            "alloy",
            "pt-BR",
            True,
        )

    until(is_saved)


def test_an_account_is_closed_by_its_own_address_alone(visitor: Reader, people: People) -> None:
    sign_in(visitor, people.invite("gus@example.org"))
    account = people.account("gus@example.org")
    visitor.go("account/close")
    visitor.assert_readable(((375, "light"),))
    visitor.fill("#close-address", "someone@example.org")
    visitor.press("Close the account")
    visitor.press("Close the account", "at('#question')")
    visitor.wait("at('#close-address-alert')")
    visitor.fill("#close-address", "gus@example.org")
    visitor.press("Close the account")
    visitor.press("Not now", "at('#question')")
    assert people.administer("GET", f"accounts/{account}")["closed"] is None
    visitor.press("Close the account")
    visitor.wait("at('#question').open")
    visitor.tab.run("void at('#question-yes').click()")
    visitor.arrive("shown('.front') && !at('.purse')")
    assert people.administer("GET", f"accounts/{account}")["closed"] is not None
