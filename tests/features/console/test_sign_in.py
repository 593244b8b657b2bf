"""Sign-in at the console: by a code, by a link, in place of a key, and where it cannot be."""

import json

import httpx2
import pytest

from tests.features.console.console_page import PLAIN, Reader
from tests.features.console.people import TERMS, People, sign_in

pytestmark = pytest.mark.slow_but(
    "test_a_mailed_code_signs_in_where_it_was_asked_for",
    "test_a_link_signs_in_by_its_button_alone",
    "test_a_person_takes_the_place_of_a_key_and_comes_back_to_what_was_typed",
)

_ODD = "!#$%&'*+/=?^_`{|}~" + "long-" * 9 + "@" + "x" * 60 + ".example.org"
_ME = "fetch('v1/me').then((answer) => answer.status)"


def _ask_for_code(visitor: Reader, people: People, address: str) -> str:
    """Ask for a mail with keys alone, and return its code."""
    number = len(people.mails.got)
    visitor.fill("#door-address", address)
    visitor.tab.press("Enter")
    visitor.wait("document.activeElement.id === 'door-code'")
    return people.mailed(number)[1]


@pytest.mark.kit("axe")
def test_a_mailed_code_signs_in_where_it_was_asked_for(visitor: Reader, people: People) -> None:
    visitor.tab.open(f"{people.server.url}/#/sign-in")
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
    visitor.arrive("shown('.front') && !at('.purse')")
    assert visitor.tab.run(_ME) == 401


@pytest.mark.kit("axe")
def test_a_link_signs_in_by_its_button_alone(visitor: Reader, people: People) -> None:
    link = people.invite(_ODD)
    visitor.tab.open(f"{people.server.url}/#/sign-in")
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
    visitor.assert_readable(((1280, "dark"),))
    # Someone who has signed in is told who they are before a stranger's link changes it.
    visitor.tab.run(
        f"void (location.hash = {json.dumps(people.invite('bob@example.org').partition('#')[2])})"
    )
    visitor.reads(f"You use the console as {_ODD.lower()}.", "#door")
    visitor.press("Sign in", "at('#door-card')")
    visitor.reads("You are signed in as bob@example.org.", "#door")


def test_who_signs_in_while_the_page_still_asks_who_is_there_stays(visitor: Reader, people: People) -> None:
    sign_in(visitor, people.invite("early@example.org"))
    visitor.hold("/v1/me")
    # Another tab has signed in, and the answer is late.
    visitor.tab.run(
        "void dispatchEvent(new StorageEvent('storage', { key: 'voxgate-signed-in', newValue: '1' }))"
    )
    visitor.wait("window.letGo")
    link = people.invite("late@example.org")
    visitor.tab.run(f"void (location.hash = {json.dumps(link.partition('#')[2])})")
    visitor.wait("at('#door-spend')")
    visitor.press("Sign in", "at('#door-card')")
    visitor.reads("You are signed in as late@example.org.", "#door")
    visitor.tab.run("(letGo(), new Promise((resolve) => setTimeout(resolve, 50)))")
    assert "late@example.org" in visitor.text("#door")
    visitor.tab.run(
        f"void (location.hash = {json.dumps(people.invite('bob@example.org').partition('#')[2])})"
    )
    visitor.reads("You use the console as late@example.org.", "#door")


@pytest.mark.kit("axe")
def test_a_person_takes_the_place_of_a_key_and_comes_back_to_what_was_typed(
    visitor: Reader, people: People
) -> None:
    link = people.invite("ivo@example.org")
    visitor._replace(key=people.server.mint_key("dev")).open()
    visitor.tab.run(f"void (location.hash = {json.dumps(link.partition('#')[2])})")
    visitor.reads("You use the console as dev.", "#door")
    visitor.press("Sign in", "at('#door-card')")
    visitor.reads("You are signed in as ivo@example.org.", "#door")
    assert visitor.tab.run("sessionStorage.getItem('voxgate-key')") == ""
    visitor.go("account/keys")
    visitor.fill("#key-name", "studio")
    # The operator ends the session meanwhile.
    [user] = [
        each for each in people.administer("GET", "users")["data"] if each["address"] == "ivo@example.org"
    ]
    people.administer("POST", f"users/{user['id']}/sign-out")
    visitor.press("Make a key")
    visitor.reads("Your session has ended.", "#door")
    visitor.assert_readable(((375, "light"),))
    visitor.tab.type(_ask_for_code(visitor, people, "ivo@example.org"))
    visitor.tab.press("Enter")
    visitor.reads("You are signed in as", "#door")
    assert visitor.tab.run("at('#key-name').value") == "studio"
    # Its end takes the cookie along.
    visitor.tab.call("Network.clearBrowserCookies")
    visitor.press("Make a key")
    visitor.reads("Your session has ended.", "#door")


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
    visitor.arrive("shown('.front') && !at('#door-out')")
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
    visitor.wait("at('.known') && !at('.purse')")
