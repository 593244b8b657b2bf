"""Admin in the console: by an admin key, and by an operator who has signed in."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.storage.sqlite_backup import DATABASE
from tests.browser import Tab
from tests.features.console.console_page import Reader
from tests.features.console.people import People, sign_in
from tests.replies import json_of
from tests.server import PLAIN, running
from tests.waiting import until

pytestmark = pytest.mark.slow_but("test_keys_plan_and_state_of_an_account_are_changed")

_HOSTILE = "<img src=x onerror=alert(1)> \u202e" + "endless" * 9
_ME = "/v1/me"


def _answer(reader: Reader, text: str) -> None:
    """Agree to the question, or not."""
    reader.wait("at('#question').open")
    reader.press(text, "at('#question')")
    reader.wait("!at('#question-no')")


def test_a_grant_by_an_admin_is_seen_by_its_account(reader: Reader) -> None:
    account = reader.server.mint_key(_HOSTILE, plan="metered")
    admin = reader._replace(key=reader.server.mint_key("dev", role="admin"))
    admin.open("admin")
    admin.reads("espeak", "#page .grid")
    assert admin.text("#server-state") == "ready"
    admin.assert_readable(((1280, "dark"),))
    admin.go("admin/accounts")
    admin.wait("at('.rows a')")
    admin.fill("#find-find", "nobody at all")
    admin.tab.press("Enter")
    admin.reads("Nothing here yet.")
    admin.fill("#find-find", _HOSTILE)
    admin.tab.press("Enter")
    admin.reads("100", "#account-tiles")
    assert admin.tab.run("location.hash") == f"#/admin/accounts/{quote(_HOSTILE, safe='!()*')}"
    # With keys alone. What is missing is said beside its field, before anything is asked.
    admin.fill("#money-reason", "a trial")
    admin.tab.press("Enter")
    admin.wait("document.activeElement.id === 'money-credits' && at('#money-credits-alert')")
    admin.tab.type("50")
    admin.tab.press("Enter")
    admin.wait("at('#question').open")
    assert all(each in admin.text("#question") for each in (_HOSTILE, "50 credits", "a trial"))
    assert admin.tab.run("document.activeElement.id") == "question-no"
    admin.assert_readable(((375, "light"),), "#question")
    admin.tab.press("Tab")
    admin.tab.press("Enter")
    admin.reads("150", "#account-tiles")
    admin.assert_readable(((375, "light"),))
    admin.fill("#money-credits", "-20")
    admin.press("Correct")
    admin.wait("document.activeElement.id === 'money-reason' && at('#money-reason-alert')")
    admin.tab.type("a mistake")
    admin.press("Correct")
    _answer(admin, "Not now")
    admin.press("Correct")
    _answer(admin, "Correct")
    admin.reads("130", "#account-tiles")
    reader._replace(key=account).open("account")
    reader.reads("130 credits", ".purse")
    reader.reads("of these, 30 credits do not expire")
    assert "…" + account.secret[-4:] in reader.text("#account-who")
    reader.tab.run("(at('details.card').open = true)")
    reader.assert_readable(((1280, "dark"),))
    reader.tab.run("void (location.hash = '#/admin')")
    reader.reads("This key has the role")
    reader.go("account")
    reader.tab.run("sessionStorage.setItem('voxgate-form-book', '{}')")
    reader.press("Forget the key in this tab")
    reader.arrive("shown('.front') && !at('.purse')")
    assert reader.tab.run("sessionStorage.length") == 0


@pytest.mark.kit("axe")
def test_keys_plan_and_state_of_an_account_are_changed(reader: Reader) -> None:
    account = reader.server.mint_key("changed", plan="metered")
    admin = reader._replace(key=reader.server.mint_key("dev", role="admin"))
    admin.open("admin/accounts/changed")
    with reader.server.client(account.secret) as client:
        admin.press("Suspend")
        admin.wait("document.activeElement.id === 'state-reason'")
        admin.tab.type("abuse")
        admin.press("Suspend")
        _answer(admin, "Suspend")
        admin.reads("Suspended")
        assert client.get(_ME).status_code == 403
        admin.fill("#state-reason", "mended")
        admin.press("Resume")
        _answer(admin, "Resume")
        admin.wait("at('#state-go').textContent === 'Suspend'")
        assert client.get(_ME).status_code == 200
        # What is typed while the plan changes stays.
        admin.fill("#new-name", "<i>new</i>")
        admin.choose("#plan-plan", "creator")
        admin.press("Change the plan")
        _answer(admin, "Change the plan")
        admin.reads("· Creator ·")
        assert json_of(client.get(_ME))["plan"]["name"] == "creator"
        admin.tab.run("at('#new-name').focus()")
        admin.tab.press("Enter")
        _answer(admin, "Make a key")
        admin.wait("document.activeElement.id === 'secret-copy'")
        admin.assert_readable(((375, "light"),))
        with reader.server.client(admin.tab.run("at('#secret').value")) as made:
            assert json_of(made.get(_ME))["key"]["name"] == "<i>new</i>"
        admin.press("I have it")
        # The older of the two keys, which is the last in the list.
        admin.tab.run("at('.rows li:last-child button').click()")
        _answer(admin, "Revoke")
        admin.reads("Revoked")
        assert client.get(_ME).status_code == 401
    admin.go("admin/accounts/nobody")
    admin.reads("There is no account")


def test_an_account_is_made_with_a_key_that_speaks(reader: Reader) -> None:
    admin = reader._replace(key=reader.server.mint_key("dev", role="admin"))
    admin.open("admin/accounts")
    admin.wait("at('#new-plan option')")
    admin.press("Make an account")
    admin.wait("document.activeElement.id === 'new-name' && at('#new-name-alert')")
    admin.tab.type("sold <i>here")
    admin.choose("#new-plan", "sold")
    admin.press("Make an account")
    admin.wait("document.activeElement.id === 'secret-copy'")
    admin.reads("sold <i>here", ".rows")
    admin.assert_readable(((375, "light"),))
    with reader.server.client(admin.tab.run("at('#secret').value")) as made:
        assert json_of(made.get(_ME))["plan"]["name"] == "sold"
        wanted = {"model": "tts-1", "voice": "alloy", "input": "Hello."}
        assert made.post("/v1/audio/speech", json=wanted).raise_for_status().content
    admin.press("I have it")
    admin.fill("#new-name", "sold <i>here")
    admin.press("Make an account")
    admin.reads("There is an account with the name", "#new-name-alert")


def test_jobs_of_all_accounts_are_canceled_tried_again_and_deleted(reader: Reader) -> None:
    with reader.server.client(reader.key.secret) as client:
        wanted = {"model": "tts-1", "voice": "tone/slow", "input": "A long text. " * 400, "title": _HOSTILE}
        job = json_of(client.post("/v1/jobs", json=wanted), 202)["id"]
        account = json_of(client.get(_ME))["account"]["id"]
        admin = reader._replace(key=reader.server.mint_key("dev", role="admin"))
        admin.open(f"admin/jobs/{account}")
        admin.press(f"Cancel: {job}")
        _answer(admin, "Cancel")
        admin.reads("Cancelled")
        assert _HOSTILE in admin.text()
        admin.assert_readable(((375, "light"),))
        admin.press(f"Try again: {job}")
        _answer(admin, "Try again")
        admin.wait(f"button('Cancel: {job}')")
        admin.press(f"Delete: {job}")
        _answer(admin, "Delete")
        admin.reads("Nothing here yet.")
        assert client.get(f"/v1/jobs/{job}").status_code == 404
        admin.press("Show all")
        admin.wait("location.hash === '#/admin/jobs'")
    admin.go(f"admin/audit/{account}")
    admin.reads("account.created")
    admin.assert_readable(((1280, "dark"),))


def test_a_consent_that_waits_is_accepted(browser: Tab, tmp_path: Path) -> None:
    refuses = f'{PLAIN}\n[consent]\nwords = "refuse"\n'
    with running(tmp_path, refuses) as server, server.client(server.mint_key().secret) as client:
        body = {"name": _HOSTILE, "language": "pt-BR", "statement": f"On paper. {_HOSTILE}"}
        consent = json_of(client.post("/v1/audio/voice_consents", json=body))["id"]
        admin = Reader(browser, server, server.mint_key("dev", role="admin"))
        admin.open("admin/consents")
        admin.press(f"Accept: {_HOSTILE}")
        admin.assert_readable(((375, "light"),), "#question")
        _answer(admin, "Not now")
        admin.assert_readable(((375, "light"), (1280, "dark")))
        admin.press(f"Accept: {_HOSTILE}")
        _answer(admin, "Accept")
        admin.reads("accepted by the operator", ".rows")
        assert json_of(client.get(f"/v1/audio/voice_consents/{consent}"))["accepted_at"]
        admin.go("admin/audit")
        admin.reads("consent.accepted")


def test_an_operator_invites_signs_out_and_removes_people(visitor: Reader, people: People) -> None:
    sign_in(visitor, people.invite("root@example.org", operator=True))
    visitor.go("admin/accounts")
    visitor.fill("#find-find", "root@")
    visitor.tab.press("Enter")
    visitor.reads("root@example.org", "h1")
    visitor.reads("acc_")
    visitor.fill("#state-reason", "a trial")
    visitor.press("Suspend")
    visitor.wait("at('#question').open")
    assert "Suspend: root@example.org" in visitor.text("#question")
    _answer(visitor, "Not now")
    visitor.go("admin/plans")
    visitor.reads("Plans are written in config.toml.")
    visitor.reads("R$ 49")
    assert visitor.text(".tabs a:first-child") == "Overview"
    visitor.assert_readable(((375, "light"), (1280, "dark")))
    visitor.go("admin/users")
    address = "new+%3cb%3e@example.org"
    visitor.fill("#invite-address", "no address")
    visitor.press("Make a link")
    visitor.wait("document.activeElement.id === 'invite-address'")
    visitor.fill("#invite-address", address)
    visitor.press("Make a link")
    visitor.wait("document.activeElement.id === 'secret-copy'")
    visitor.assert_readable(((375, "light"),))
    link = visitor.tab.run("at('#secret').value")
    assert link.startswith(f"{people.server.url}/sign-in#sign_in=")
    people.age(people.account("root@example.org"))
    visitor.go("admin")
    visitor.wait("at('#server-state')")
    visitor.go("admin/users")
    visitor.press("Sign out: root@example.org")
    _answer(visitor, "Sign out")
    visitor.reads("Confirm that it is you", "#door")
    visitor.press("Not now", "at('#door')")
    visitor.wait("!at('#door-card')")
    sign_in(visitor, link)
    assert address in visitor.text("#door")
    assert visitor.tab.run("Boolean(at('nav a[href=\"#/admin\"]'))") is False
    sign_in(visitor, people.invite("root@example.org", operator=True))
    visitor.go("admin/users")
    visitor.press(f"Remove: {address}")
    _answer(visitor, "Remove")
    visitor.wait(f"!at('#page').innerText.includes({json.dumps(address)})")


def test_orders_and_alerts_that_need_a_person_are_seen_and_resolved(visitor: Reader, people: People) -> None:
    sign_in(visitor, people.invite("till@example.org", operator=True))
    order = visitor.tab.run(
        "fetch('v1/orders', { method: 'POST', headers: { 'content-type': 'application/json' },"
        " body: JSON.stringify({ pack: 'small', provider: 'mercadopago' }) }).then((answer) => answer.json())"
    )
    preference = order["url"].partition("pref_id=")[2]
    payment = people.provider.account.pay(preference)
    payment.amount = Decimal("1.00")
    until(lambda: people.administer("POST", f"orders/{order['id']}/check")["attention"])
    with closing(sqlite3.connect(people.server.data / DATABASE, timeout=10)) as store, store:
        store.execute(
            "INSERT INTO alerts (id, kind, name, detail, since, machine)"
            " VALUES ('x', 'engine_failed', 'cloud', ?, 1790000000000000, '')",
            (_HOSTILE,),
        )
    visitor.go("admin")
    visitor.reads("An engine has failed: cloud")
    visitor.reads("Today $0 of $5")
    visitor.assert_readable(((375, "light"),))
    visitor.go("admin/orders")
    visitor.wait(f"at('#{order['id']}-note')")
    # It has a list of its own, above those that need nobody.
    visitor.reads(order["id"], "#page section:has(#needy-title)")
    assert order["id"] not in visitor.text("#page section.card:last-child")
    visitor.assert_readable(((1280, "dark"),))
    visitor.press("Resolved")
    visitor.wait(f"document.activeElement.id === '{order['id']}-note'")
    visitor.tab.type("Paid the rest by bank.")
    visitor.press("Resolved")
    visitor.wait(f"!at('#{order['id']}-note')")
    assert people.administer("GET", f"orders/{order['id']}")["resolved"] != []
    people.provider.account.pay(preference)
    visitor.press(f"Ask the provider: {order['id']}")
    visitor.reads("Done.")
    until(lambda: people.administer("POST", f"orders/{order['id']}/check")["state"] == "paid")
    visitor.go(f"admin/accounts/{people.account('till@example.org')}")
    visitor.reads("R$ 29.90", "#account-tiles")
    visitor.reads("till@example.org")
