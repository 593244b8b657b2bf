"""People at the console: they sign in by mail, make keys, buy, and go."""

from __future__ import annotations

import json

import httpx2

from tests.features.console.console_page import PLAIN, Reader
from tests.features.console.people import TERMS, People, sign_in
from tests.replies import json_of
from tests.waiting import until

_ODD = "!#$%&'*+/=?^_`{|}~" + "long-" * 9 + "@" + "x" * 60 + ".example.org"
_ME = "fetch('v1/me').then((answer) => answer.status)"


def _ask_for_code(visitor: Reader, people: People, address: str) -> str:
    """Ask for a mail with keys alone, and return its code."""
    number = len(people.mails.got)
    visitor.fill("#door-address", address)
    visitor.tab.press("Enter")
    visitor.wait("document.activeElement.id === 'door-code'")
    return people.mailed(number)[1]


def test_a_mailed_code_signs_in_where_it_was_asked_for(visitor: Reader, people: People) -> None:
    visitor.tab.open(people.server.url)
    visitor.wait("at('#door-address')")
    assert visitor.tab.run("at('#door-card a').href") == TERMS
    visitor.assert_readable(((375, "light"),))
    # A code that another browser has asked for is no good here.
    number = len(people.mails.got)
    httpx2.post(f"{people.server.url}/v1/sign-ins", json={"address": "ada@example.org"})
    others = people.mailed(number)[1]
    code = _ask_for_code(visitor, people, "Ada@Example.org")
    visitor.assert_readable(((1280, "dark"),))
    visitor.tab.type(others)
    visitor.tab.press("Enter")
    visitor.reads("This link or code is wrong", "#door")
    visitor.assert_readable(((375, "light"),))
    visitor.fill("#door-code", f"{code[:4]}-{code[4:]}".lower())
    visitor.tab.press("Enter")
    visitor.reads("You are signed in as ada@example.org.", "#door")
    assert visitor.tab.run("document.cookie") == ""
    visitor.reads("10 credits", ".purse")
    visitor.go("account")
    visitor.reads("ada@example.org")
    assert visitor.text("#door") == "", "the note goes with the page"
    # A reload knows the person; after a sign-out, it does not.
    visitor.tab.open("about:blank")
    visitor.tab.open(people.server.url)
    visitor.reads("10 credits", ".purse")
    visitor.go("account")
    visitor.press("Sign out")
    visitor.arrive("at('#door-address') && !at('.purse')")
    assert visitor.tab.run(_ME) == 401


def test_a_link_signs_in_by_its_button_alone(visitor: Reader, people: People) -> None:
    link = people.invite(_ODD)
    visitor.tab.open(people.server.url)
    visitor.wait("at('#door-address')")
    visitor.tab.run("void (location.hash = '#/account')")
    # It is pasted into the open page. The secret leaves the address, and nothing has happened yet.
    visitor.tab.run(f"void (location.hash = {json.dumps(link.partition('#')[2])})")
    visitor.wait("at('#door-spend')")
    assert visitor.tab.run("location.hash") == "#/account"
    assert visitor.tab.run(_ME) == 401
    visitor.assert_readable(((375, "light"),))
    visitor.press("Not now", "at('#door-card')")
    visitor.wait("at('#door-address')")
    sign_in(visitor, link)
    assert _ODD.lower() in visitor.text("#door")
    visitor.assert_readable(((1280, "dark"), (375, "light")))
    # Someone who has signed in is told who they are before a stranger's link changes it.
    visitor.tab.run(
        f"void (location.hash = {json.dumps(people.invite('bob@example.org').partition('#')[2])})"
    )
    visitor.reads(f"You use the console as {_ODD.lower()}.", "#door")
    visitor.press("Sign in", "at('#door-card')")
    visitor.reads("You are signed in as bob@example.org.", "#door")


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
    visitor.reads("Waiting")
    visitor.reads("Paid. Thank you!")
    visitor.reads("510 credits", ".purse")
    visitor.assert_readable(((1280, "dark"),))
    visitor.go("account")
    visitor.reads("500 of them without an end")
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
    visitor.press("pro: Pay with Mercado Pago")
    visitor.wait("at('#question').open")
    assert "The month of your plan 'creator' ends when you pay" in visitor.text("#question")
    visitor.assert_readable(((375, "light"),), "#question")
    visitor.press("Not now", "at('#question')")
    visitor.wait("at('#orders-title')?.parentNode.innerText.includes('Plan pro, one month')")
    assert visitor.tab.run("location.origin") == people.server.url
    visitor.press("pro: Pay with Mercado Pago")
    visitor.wait("at('#question').open")
    visitor.tab.run("button('Pay now', at('#question')).click()")
    visitor.arrive("location.href.startsWith('" + people.provider_url + "')")


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
    visitor.press("Make a key")
    visitor.wait("document.activeElement.id === 'secret-copy'")
    visitor.assert_readable(((1280, "dark"), (375, "light")))
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
    visitor.assert_readable(((375, "light"), (1280, "dark")))
    visitor.tab.run("at('.rows li:not(:has(.tag)) button').click()")
    visitor.reads("Done.")
    assert visitor.tab.run("document.querySelectorAll('.rows li').length") == 1
    visitor.tab.run("at('#settings-preferred_voice').click()")
    visitor.wait("at('#picker')?.open && at('#picker [value=alloy]')")
    visitor.tab.run("(at('#picker [value=alloy]').click(), at('#picker').close())")
    visitor.choose("#settings-language", "pt-BR")
    visitor.press("Save")
    visitor.reads("Done.")
    me = visitor.tab.run("fetch('v1/me').then((answer) => answer.json())")
    assert (me["preferred_voice"], me["user"]["language"], me["user"]["mails"]) == ("alloy", "pt-BR", True)


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
    visitor.arrive("at('#door-address') && !at('.purse')")
    assert people.administer("GET", f"accounts/{account}")["closed"] is not None


def test_a_suspended_person_is_told_and_can_go(visitor: Reader, people: People) -> None:
    sign_in(visitor, people.invite("hana@example.org"))
    visitor.fill("#speak-input", "What I typed.")
    people.administer("POST", f"accounts/{people.account('hana@example.org')}/suspend", reason="abuse")
    visitor.go("account/keys")
    visitor.reads("Your account is suspended.", "#door")
    visitor.assert_readable(((375, "light"),))
    visitor.press("Close the account", "at('#door')")
    visitor.wait("at('#close-address')")
    visitor.tab.run("void at('#door-out').click()")
    visitor.arrive("at('#door-address') && !at('#door-out')")
    assert visitor.tab.run(_ME) == 401


def test_without_tls_the_console_says_that_sign_in_needs_it(visitor: Reader, people: People) -> None:
    port = people.server.url.rpartition(":")[2]
    visitor.tab.open(f"http://{PLAIN}:{port}/#sign_in=sin_0.token")
    visitor.reads("over HTTPS", "#door")
    assert visitor.tab.run("[at('#door-address'), at('#door-spend')]") == [None, None]
    key = people.administer("POST", "keys", account="dev")["key"]
    visitor.fill("#door-key", "sk-vg-wrong")
    visitor.tab.press("Enter")
    visitor.wait("at('#door-key-alert')")
    visitor.fill("#door-key", key)
    visitor.tab.press("Enter")
    visitor.reads("No limit", ".purse")
