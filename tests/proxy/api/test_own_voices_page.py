"""The list of own voices on the page at /: paged, heard, used and deleted, and of one account alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest

from plugins.tone.decode import decode_timbres
from tests import speech_clips
from tests.browser import Tab
from tests.proxy.api.try_page import HAS_VOICES, enter_key, fill, open_page, speaking_browser
from tests.server import ALONE, Server, live_server

_RATE_HZ = 24_000
_names = count()

server = live_server(ALONE)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with speaking_browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def key(server: Server) -> str:
    """The key of a new account."""
    return server.mint_key(f"own-{next(_names)}", plan="unlimited").secret


def _make_mix(server: Server, key: str, name: str) -> str:
    mix = [{"id": "tone/tone"}, {"id": "tone/slow"}]
    with server.client(key) as client:
        made = client.post("/v1/audio/voices", json={"name": name, "mix": mix})
    assert made.is_success, made.text
    return str(made.json()["id"])


def _make_recording(server: Server, key: str, name: str) -> str:
    """Its processes take ten times as long as a mix."""
    with server.client(key) as client:
        said = {"name": name, "language": "en", "statement": "Agreed on paper."}
        consent = client.post("/v1/audio/voice_consents", json=said).json()["id"]
        made = client.post(
            "/v1/audio/voices",
            data={"name": name, "consent": consent},
            files={"audio_sample": speech_clips.wav()},
        )
        assert made.is_success, made.text
        return str(made.json()["id"])


def _open(browser: Tab, server: Server, key: str) -> Tab:
    browser.show(width=1280)
    open_page(browser, server)
    browser.complaints.clear()
    enter_key(browser, key)
    browser.wait("at('own-list').children.length")
    return browser


def _press(page: Tab, button: str) -> None:
    page.run(f"document.querySelector('#own-list [aria-label=\"{button}\"]').click()")


def test_the_list_has_pages_and_the_focus_stays_in_it(browser: Tab, server: Server, key: str) -> None:
    for number in range(12):
        _make_mix(server, key, f"blend {number}")
    page = _open(browser, server, key)
    assert page.run("at('own-list').children.length") == 10
    page.run("(at('own-more').focus(), at('own-more').click())")
    page.wait("at('own-list').children.length === 12")
    assert page.run("[at('own-more').hidden, at('own-status').textContent]") == [True, "12 in all."]
    assert page.run("document.activeElement.querySelector('h3').textContent") == "blend 1"
    # The next page begins after the last voice, also if the one that was last is deleted.
    _press(page, "Delete blend 0")
    page.run("at('doom-delete').click()")
    page.wait("at('own-status').textContent.includes('is deleted')")
    assert page.run("document.activeElement.querySelector('h3').textContent") == "blend 1"


def test_a_preview_is_heard_and_can_be_stopped(browser: Tab, server: Server, key: str) -> None:
    _make_recording(server, key, "Ana")
    page = _open(browser, server, key)
    _press(page, "Play Ana")
    page.wait("at('own-status').textContent === 'Ana speaks.'")
    wav = page.run("sounds.at(-1).arrayBuffer().then((bytes) => [...new Int16Array(bytes.slice(44))])")
    [timbre] = decode_timbres(np.array(wav) / 32768, _RATE_HZ)
    assert timbre.seconds > 8
    _press(page, "Stop Ana")
    assert page.run("[at('preview').paused, at('own-status').textContent]") == [True, "Stopped."]
    _press(page, "Play Ana")
    page.wait("preview")
    page.wait("!preview")
    assert page.run("document.querySelector('#own-list button').textContent") == "Play"
    assert not page.complaints


def test_a_preview_that_is_stopped_early_is_not_heard(browser: Tab, server: Server, key: str) -> None:
    _make_recording(server, key, "Ana")
    page = _open(browser, server, key)
    page.run(
        "(at('own-list').querySelector('button').click(), at('own-list').querySelector('button').click())"
    )
    assert page.run("[at('own-status').textContent, preview]") == ["Stopped.", None]
    _press(page, "Play Ana")
    page.wait("at('preview').src")
    assert page.run("sounds.length") == 1


def test_a_voice_is_used_with_a_model_that_can_speak_it(browser: Tab, server: Server, key: str) -> None:
    id_ = _make_recording(server, key, "Ana")
    page = _open(browser, server, key)
    page.run("(at('model').value = 'espeak/standard', at('find').value = 'nobody', showVoices())")
    assert page.run("at('voices-about').textContent") == "No voice is like that."
    _press(page, "Use Ana")
    assert page.run("[chosen, at('model').value]") == [id_, "tone/standard"]
    assert id_ in page.run("at('curl').textContent")


@pytest.mark.parametrize("leave", ["key", "button"])
def test_nothing_is_deleted_without_a_yes(browser: Tab, server: Server, key: str, leave: str) -> None:
    id_ = _make_mix(server, key, "Ana")
    page = _open(browser, server, key)
    page.run("document.querySelector('[aria-label=\"Delete Ana\"]').focus()")
    page.press("Enter")
    page.wait("at('doom').open")
    assert page.run("[document.activeElement.id, at('doom-title').textContent]") == [
        "doom-keep",
        "Delete “Ana”?",
    ]
    page.press("Escape" if leave == "key" else "Enter")
    page.wait("!at('doom').open")
    assert page.run("document.activeElement.ariaLabel") == "Delete Ana"
    with server.client(key) as client:
        assert client.get(f"/v1/audio/voices/{id_}").is_success


def test_a_consent_that_another_voice_needs_is_kept(browser: Tab, server: Server, key: str) -> None:
    id_ = _make_recording(server, key, "Ana")
    with server.client(key) as client:
        consent = client.get(f"/v1/audio/voices/{id_}").json()["consent"]
        fields = {"name": "Bea", "consent": consent}
        client.post("/v1/audio/voices", data=fields, files={"audio_sample": speech_clips.wav()})
    page = _open(browser, server, key)
    _press(page, "Delete Ana")
    page.run("(at('doom-both').click(), at('doom-delete').click())")
    page.wait("at('own-status').textContent.includes('consent')")
    assert "Its consent is kept: The voice " in page.run("at('own-status').textContent")


def test_another_key_shows_nothing_of_the_one_before(browser: Tab, server: Server, key: str) -> None:
    _make_mix(server, key, "Ana")
    page = _open(browser, server, key)
    other = server.mint_key(f"own-{next(_names)}", plan="unlimited").secret
    page.run("at('key-change').click()")
    fill(page, "key", other)
    page.press("Tab")
    page.wait("at('own-about').textContent.startsWith('There is none')")
    assert "Ana" not in page.run("at('own-list').textContent + at('voice').textContent")
    page.open(f"{server.url}/")
    page.wait(HAS_VOICES)
    assert page.run("own.key") == other


def test_a_voice_that_is_gone_is_told_when_it_is_deleted(browser: Tab, server: Server, key: str) -> None:
    id_ = _make_mix(server, key, "Ana")
    page = _open(browser, server, key)
    with server.client(key) as client:
        assert client.delete(f"/v1/audio/voices/{id_}").is_success
    _press(page, "Delete Ana")
    page.run("at('doom-delete').click()")
    page.wait("!at('alert').hidden")
    assert id_ in page.run("at('alert').textContent")
