"""The page at /, in a real browser on a real server: what a stranger types, hears, copies and is told."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from plugins.tone.decode import decode
from tests.browser import Tab, chromium
from tests.proxy.api.try_page import assert_readable, enter_key, fill, load_axe
from tests.server import TONE, Server, running
from tests.sound import decoded

_TEXT = """It's "quoted", costs $5, and has a \\ in it."""
_LISTEN = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  const { sampleRate: rate } = this.buffer;
  window.played.push({ when, rate, samples: Array.from(this.buffer.getChannelData(0)) });
  return start.call(this, when);
};
"""
"""Notes what the loudspeaker is given, and when."""

_IS_HEARD = "!at('heard').hidden"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one_slot = TONE.replace("[engines.tone]", "[engines.tone]\nslots = 1")
    with running(tmp_path_factory.mktemp("server"), one_slot) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=_LISTEN)
        yield tab


@pytest.fixture
def page(browser: Tab, server: Server) -> Tab:
    browser.show(width=1280)
    browser.open(f"{server.url}/")
    browser.run("(at('input').value = 'Hi.', refresh())")
    browser.complaints.clear()
    browser.requests.clear()
    return browser


def _choose(page: Tab, field: str, value: str) -> None:
    page.run(f"(at('{field}').value = {json.dumps(value)}, at('{field}').dispatchEvent(new Event('input')))")


def _is(page: Tab, script: str) -> str:
    return str(page.run(script))


def test_a_text_is_heard_and_can_be_kept(page: Tab, server: Server, tmp_path: Path) -> None:
    enter_key(page, server.key)
    fill(page, "input", _TEXT)
    page.run("at('speak').click()")
    page.wait(_IS_HEARD)
    pieces = page.run("window.played")
    samples = np.concatenate([np.array(piece["samples"]) for piece in pieces])
    assert decode(samples, pieces[0]["rate"]) == (_TEXT,)
    kept = decoded(page.downloaded(tmp_path, "at('save').click()"), "wav")
    assert decode(kept.samples, kept.sample_rate_hz) == (_TEXT,)
    assert "by tone/standard" in _is(page, "at('status').textContent")
    assert not page.complaints


def test_sound_is_heard_while_the_rest_is_spoken_and_a_stop_ends_the_request(
    page: Tab, server: Server
) -> None:
    enter_key(page, server.key)
    _choose(page, "voice", "tone/slow")
    fill(page, "input", "A long text. " * 200)
    page.run("at('speak').click()")
    page.wait("window.played.length > 1")
    first, second, *_ = page.run("window.played")
    # A piece may come late on a busy machine, but no piece may be heard over another.
    assert second["when"] >= first["when"] + len(first["samples"]) / first["rate"] - 1e-6
    page.run("(at('stop').focus(), at('stop').click())")
    page.wait("at('status').textContent === 'Stopped.'")
    assert page.run("[at('stop').hidden, at('heard').hidden, document.activeElement.id]") == [
        True,
        True,
        "speak",
    ]
    # The engine has one slot: the next answer shows that the first request has given it back.
    _choose(page, "voice", "alloy")
    fill(page, "input", "Short.")
    page.run("at('speak').click()")
    page.wait(_IS_HEARD)


def test_the_curl_line_says_what_the_page_says(page: Tab, server: Server, tmp_path: Path) -> None:
    enter_key(page, server.key)
    fill(page, "input", _TEXT)
    line = _is(page, "at('curl').textContent")
    assert server.key not in line
    environ = {**os.environ, "KEY": server.key}
    subprocess.run(["sh", "-c", line], env=environ, cwd=tmp_path, check=True, timeout=60)
    heard = decoded((tmp_path / "speech.mp3").read_bytes(), "mp3")
    assert decode(heard.samples, heard.sample_rate_hz) == (_TEXT,)


def test_a_wrong_key_is_told_beside_its_field(page: Tab) -> None:
    fill(page, "key", "sk-vg-wrong")
    page.press("Enter")
    page.wait("!at('alert').hidden")
    assert "Incorrect API key" in _is(page, "at('alert').textContent")
    assert page.run("[document.activeElement.id, at('key').getAttribute('aria-invalid')]") == ["key", "true"]
    assert page.run("at('key').parentElement.contains(at('alert'))")


def test_an_error_of_the_api_is_told_beside_the_field_that_it_names(page: Tab, server: Server) -> None:
    enter_key(page, server.key)
    fill(page, "input", " ")
    page.run("at('speak').click()")
    page.wait("!at('alert').hidden")
    assert page.run("document.activeElement.id") == "input"
    fill(page, "input", "Now with words.")
    page.press("Enter", ctrl=True)
    page.wait(_IS_HEARD)
    assert page.run("[at('alert').hidden, at('input').hasAttribute('aria-invalid')]") == [True, False]


def test_an_answer_that_breaks_off_is_told(page: Tab, server: Server) -> None:
    enter_key(page, server.key)
    _choose(page, "voice", "tone/fail-late")
    page.run("at('speak').click()")
    page.wait("!at('alert').hidden")
    assert "broke off" in _is(page, "at('alert').textContent")
    assert page.run("[at('heard').hidden, at('stop').hidden]") == [True, True]


def test_the_key_stays_in_memory(page: Tab, server: Server) -> None:
    enter_key(page, server.key)
    page.run("at('speak').click()")
    page.wait(_IS_HEARD)
    kept = page.run(
        "indexedDB.databases().then(bases => JSON.stringify([bases, {...localStorage}, {...sessionStorage},"
        " document.cookie, history.state, location.href, document.documentElement.outerHTML]))"
    )
    assert server.key not in kept
    page.open(f"{server.url}/")
    assert page.run("at('key').value") == ""


def test_the_page_asks_nobody_but_its_server(page: Tab, server: Server) -> None:
    page.open(f"{server.url}/")
    enter_key(page, server.key)
    fill(page, "input", "Hi.")
    page.run("at('speak').click()")
    page.wait(_IS_HEARD)
    others = [
        url for url in page.requests if not url.startswith((f"{server.url}/", f"blob:{server.url}", "data:"))
    ]
    assert page.requests
    assert not others


def test_the_keyboard_is_enough(page: Tab, server: Server) -> None:
    page.run("document.body.focus()")
    places = []
    page.press("Tab")
    page.type(server.key)
    for _ in range(6):
        places.append(page.run("document.activeElement.id"))
        page.press("Tab")
        page.wait("!at('voice').disabled")
    assert places == ["key", "input", "find", "voice", "model", "speed"]
    assert page.run("document.activeElement.id") == "speak"
    page.press("Enter")
    page.wait(_IS_HEARD)


def test_a_focus_on_the_stop_button_outlives_it(page: Tab, server: Server) -> None:
    enter_key(page, server.key)
    page.run("at('speak').click()")
    page.wait("!at('stop').hidden")
    page.run("at('stop').focus()")
    page.wait(_IS_HEARD)
    assert page.run("[document.activeElement.id, at('stop').hidden]") == ["speak", True]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_everybody_can_read_it(page: Tab, server: Server, scheme: str, width: int) -> None:
    page.show(width=width, scheme=scheme)
    page.open(f"{server.url}/")
    load_axe(page)
    page.run("(at('input').value = 'Hi.', refresh())")
    assert_readable(page, width)
    enter_key(page, server.key)
    page.run("at('speak').click()")
    page.wait(_IS_HEARD)
    assert_readable(page, width)
    fill(page, "input", " ")
    page.run("at('speak').click()")
    page.wait("!at('alert').hidden")
    assert_readable(page, width)
