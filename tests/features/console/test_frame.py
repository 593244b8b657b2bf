"""The frame of the console: keys from links and fields, what is kept, languages, and a new version."""

import json

import pytest

from tests.features.console.console_page import ALL_LOOKS, Reader
from tests.features.console.test_speak import IS_HEARD, speak

pytestmark = pytest.mark.slow_but("test_a_link_replaces_another_key_only_if_the_reader_agrees")


def follow(reader: Reader, key: str) -> None:
    """Open a link with this key where the page already is."""
    reader.tab.run(f"void (location.hash = {json.dumps(f'key={key}')})")
    reader.wait("!location.hash.includes('key=')")


def test_a_link_opens_the_console_and_leaves_no_key_in_the_address(reader: Reader) -> None:
    reader.open()
    entries = reader.tab.call("Page.getNavigationHistory")["entries"]
    assert entries[-2]["url"] == f"{reader.server.url}/"
    kept = reader.tab.run(
        "indexedDB.databases().then((bases) => JSON.stringify([bases, {...localStorage},"
        " document.cookie, history.state, location.href, document.documentElement.outerHTML]))"
    )
    assert reader.key.secret not in kept
    assert "Good morning" not in reader.tab.run("JSON.stringify({...localStorage, ...sessionStorage})")
    # A reload asks for no key, and a new tab does.
    reader.tab.open(f"{reader.server.url}/#/speak")
    reader.wait("at('.known')")
    assert reader.key.secret not in reader.server.log.read_text()


def test_a_wrong_key_is_told_and_another_one_opens(reader: Reader) -> None:
    reader.tab.open(f"{reader.server.url}/")
    reader.tab.run("(at('.key').open = true)")
    reader.fill("#key-form input", "sk-vg-stale")
    reader.tab.press("Enter")
    reader.reads("does not know this key", "#door")
    assert not reader.tab.run("shown('.front') || shown('textarea')")
    reader.fill("#door-key", "sk-vg-wrong")
    reader.tab.press("Enter")
    reader.wait("at('#door-key-alert')")
    reader.reads("does not know this key", "#door")
    assert reader.tab.run("[document.activeElement.id, at('#door-key').ariaInvalid]") == ["door-key", "true"]
    reader.assert_readable(ALL_LOOKS[:1])
    reader.fill("#door-key", reader.key.secret)
    reader.tab.press("Enter")
    reader.wait("at('.known') && !at('#door-card') && shown('#speak-input')")


@pytest.mark.kit("axe")
def test_a_link_replaces_another_key_only_if_the_reader_agrees(reader: Reader) -> None:
    other = reader.server.mint_key("the-other", plan="creator")
    reader.open()
    reader.hold("/v1/me", 401)
    speak(reader, "For me alone.")
    reader.wait(f"{IS_HEARD} && window.letGo")
    follow(reader, reader.key.secret)
    assert reader.tab.run("at('#question').open") is False
    follow(reader, other.secret)
    reader.wait("at('#question').open && document.activeElement.id === 'question-no'")
    reader.assert_readable(ALL_LOOKS[1:2], "#question")
    reader.tab.press("Enter")
    reader.wait("!at('#question-no')")
    assert reader.tab.run("sessionStorage.getItem('voxgate-key')") == reader.key.secret
    assert reader.tab.run("shown('#speak-result #player-play')")
    follow(reader, other.secret)
    reader.press("Use the link's key")
    reader.wait(f"sessionStorage.getItem('voxgate-key') === {json.dumps(other.secret)}")
    # What was heard is of the reader before.
    reader.wait("!at('.dock') && !at('#speak-result')")
    # Only the card of Speak can hide the dock of a sound that was spoken.
    reader.go("history")
    assert reader.tab.run("at('.dock')") is None
    reader.go("speak")
    # A late answer to the key before says nothing about this one.
    reader.tab.run("letGo()")
    follow(reader, "%")
    assert reader.tab.run("at('#door-card')") is None
    assert reader.tab.run("sessionStorage.getItem('voxgate-key')") == other.secret


def test_a_key_that_ends_is_asked_for_anew_and_nothing_typed_is_lost(reader: Reader) -> None:
    reader.open()
    reader.fill("#speak-input", "Half a sentence")
    with reader.server.control() as control:
        assert control.delete(f"/admin/keys/{reader.key.id}").is_success
    # A worker knows within seconds that a key has ended.
    reader.tab.run("window.again = setInterval(() => at('#speak-go').click(), 500)")
    reader.wait("at('#door-card')")
    reader.tab.run("clearInterval(again)")
    assert reader.tab.run("sessionStorage.getItem('voxgate-key')") == ""
    assert reader.tab.run("at('#speak-input').value") == "Half a sentence"
    another = reader.server.mint_key("newcomer", plan="creator")
    reader.fill("#door-key", another.secret)
    reader.tab.press("Enter")
    reader.wait("!at('#door-card')")
    assert reader.tab.run("at('#speak-input').value") == "Half a sentence"


def test_the_language_of_the_page_can_be_changed_and_is_kept(reader: Reader) -> None:
    reader.open()
    reader.choose(".tongue", "th")
    reader.wait("document.documentElement.lang === 'th' && at('nav a').innerText !== 'Speak'")
    assert "{" not in reader.text("body")
    reader.tab.open("about:blank")
    reader.tab.open(f"{reader.server.url}/#/speak")
    reader.wait("at('.known') && document.documentElement.lang === 'th'")
    reader.assert_readable(ALL_LOOKS[:2])


def test_a_server_that_was_updated_is_told_and_the_text_stays(reader: Reader) -> None:
    reader.open()
    speak(reader, "Do not lose me.")
    reader.wait(IS_HEARD)
    for file, step in (
        ("core/picker.js", "at('#speak-voice').click()"),
        ("core/code.js", "(at('#speak-codes').hidden = false, button('Copy as curl').click())"),
        ("pages/account.js", "location.hash = '#/account'"),
    ):
        reader.go("history")
        reader.go("speak")
        reader.wait("at('#speak-result') && !at('[role=alert]')")
        # As with another version: the files of the page that is open are not there any more.
        reader.tab.call("Network.setBlockedURLs", urls=[f"*/{file}"])
        try:
            reader.tab.run(f"void ({step})")
            reader.reads("The server was updated.", "main")
            assert reader.tab.run("at('#speak-input').value") == "Do not lose me."
        finally:
            reader.tab.call("Network.setBlockedURLs", urls=[])
        reader.tab.complaints.clear()


def test_what_is_typed_before_the_scripts_run_is_kept(reader: Reader) -> None:
    reader.open()
    slow = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    reader.tab.call("Network.emulateNetworkConditions", **slow)
    reader.tab.call("Network.setCacheDisabled", cacheDisabled=True)
    try:
        reader.tab.call("Page.navigate", url="about:blank")
        reader.tab.call("Page.navigate", url=f"{reader.server.url}/")
        reader.wait("shown('#early')")
        reader.tab.run("at('#early').focus()")
        reader.tab.type("I was quick.")
        reader.wait("at('#speak-input')")
        assert reader.tab.run("[at('#speak-input').value, document.activeElement.id]") == [
            "I was quick.",
            "speak-input",
        ]
    finally:
        fast = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        reader.tab.call("Network.emulateNetworkConditions", **fast)
        reader.tab.call("Network.setCacheDisabled", cacheDisabled=False)


def test_the_keyboard_alone_is_enough_to_speak(reader: Reader) -> None:
    reader.open()
    reader.wait("at('#speak-voice') && !at('#speak-voice').disabled")
    reader.tab.run("(document.body.tabIndex = -1, document.body.focus())")
    places: list[str] = []
    while "speak-go" not in places and len(places) < 40:
        reader.tab.press("Tab")
        places.append(reader.tab.run("document.activeElement.id || document.activeElement.className"))
    assert places[0] == "skip"
    controls = ["input", "file", "voice", "language", "speed", "more", "go"]
    assert places[-7:] == [f"speak-{each}" for each in controls]
    reader.tab.press("Enter")
    reader.wait(IS_HEARD)


def test_hostile_texts_are_shown_as_texts(reader: Reader) -> None:
    name = '<img src=x onerror="alert(1)">\u202eevil' + "w" * 60
    with reader.server.client(reader.key.secret) as client:
        made = client.post("/v1/audio/voices", json={"name": name, "cast": {"A": "alloy", "B": "tone/tone"}})
        assert made.is_success, made.text
    reader.open()
    speak(reader, "[A] <script>alert(1)</script> [B] " + "endless" * 80)
    reader.wait("shown('#speak-result')")
    assert reader.tab.run("at('img, #page script')") is None
    reader.wait("!at('#speak-voice').disabled")
    reader.tab.run("at('#speak-voice').click()")
    reader.reads("<img src=x", "#picker")
    reader.tab.show(width=375)
    assert reader.tab.run("document.documentElement.scrollWidth") <= 375
