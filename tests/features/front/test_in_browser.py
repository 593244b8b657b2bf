"""The page for visitors in Chromium: what is heard, what is fetched, and the way from it into the console."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx2
import pytest

from tests.browser import Tab
from tests.features.console.conftest import _watched, browser, people, visitor
from tests.features.console.console_page import ALL_LOOKS, Reader, forget
from tests.features.console.people import People
from tests.features.front.rig import SHOP, Shop, shop_beside
from tests.server import ALONE, MintedKey, Server, running
from tests.waiting import until

__all__ = ["browser", "people", "visitor"]
pytestmark = pytest.mark.slow_but(
    "test_a_sound_is_heard_on_the_first_screen",
    "test_what_was_chosen_is_ordered_after_the_sign_in",
    "test_a_hostile_logo_runs_nothing_and_fetches_nothing",
)
_FETCHED = """
performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
  .map(({ name, encodedBodySize }) => [new URL(name).pathname, encodedBodySize])
"""
_PLAYED = """
window.heard = [];
HTMLMediaElement.prototype.play = ((play) => function () {
  const clicked = performance.now();
  this.addEventListener('playing', () => heard.push([this.src, performance.now() - clicked]), { once: true });
  return play.call(this);
})(HTMLMediaElement.prototype.play);
"""
_PRESSED_EARLY = """
window.asked = [];
HTMLMediaElement.prototype.play = function () { asked.push(this.src); return Promise.resolve(); };
addEventListener('DOMContentLoaded', () => document.querySelector('.clip [data-sound]').click());
"""
_HOSTILE = """<?xml version="1.0"?>
<?xml-stylesheet type="text/css" href="STRANGER/sheet.css"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9"
  onload="document.documentElement.setAttribute('data-ran', 'onload')">
  <script>document.documentElement.setAttribute('data-ran', 'script'); fetch('STRANGER/script')</script>
  <script href="STRANGER/script.js"/>
  <style>@import 'STRANGER/import.css'; rect { fill: url(STRANGER/fill.svg#a) }</style>
  <image href="STRANGER/image.png" width="9" height="9"/>
  <use href="STRANGER/use.svg#a"/>
  <foreignObject width="9" height="9">
    <body xmlns="http://www.w3.org/1999/xhtml"><iframe src="STRANGER/frame.html"/>
      <img src="STRANGER/img.png" onerror="document.documentElement.dataset.ran = 'onerror'"/></body>
  </foreignObject>
  <animate attributeName="x" dur="1ms" onbegin="document.documentElement.setAttribute('data-ran', 'begin')"/>
  <rect width="9" height="9"/>
</svg>
"""
_RAN = "document.documentElement.getAttribute('data-ran')"
_IS_IN_VIEW = (
    "(({ top, bottom, right }) => top >= 0 && bottom <= innerHeight && right <= innerWidth)"
    "(at('.clip:not([hidden]) [data-sound]').getBoundingClientRect())"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop_beside(tmp_path_factory.mktemp("shop"), SHOP) as opened:
        yield opened


def _at(url: str) -> Server:
    """A server that is no process."""
    return Server(None, url, "", Path(), Path(), "", Path())  # type: ignore[arg-type]


def _play(front: Reader, name: str) -> None:
    """Press a button as a hand does: a browser plays no sound for a script."""
    front.tab.run(f"button({json.dumps(name)}).focus()")
    front.tab.press("Enter")


@pytest.fixture
def front(browser: Tab, made: Shop) -> Iterator[Reader]:
    with _watched(browser, made.url):
        yield Reader(browser, _at(made.url), MintedKey("", ""))


def test_a_sound_is_heard_on_the_first_screen(front: Reader, made: Shop) -> None:
    tab = front.tab
    for width, height in ((1280, 800), (375, 812)):
        tab.show(width=width, height=height)
        tab.open("about:blank")
        tab.requests.clear()
        tab.open(made.url)
        assert tab.run(_IS_IN_VIEW), width
    asked = [url for url in tab.requests if url.startswith("http")]
    sizes = dict(tab.run(_FETCHED))
    assert len(asked) <= 6
    assert sum(sizes.values()) <= 15_000
    assert not any(url.endswith(".wav") for url in asked), "nothing is fetched before somebody presses play"
    assert tab.run("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
    tab.run(_PLAYED)
    _play(front, "Play the sample by Heart")
    front.wait("heard.length === 1 && button('Pause', at('.clip'))")
    front.wait("at('.clip progress').value > 0")
    # Another one takes its place.
    _play(front, "Hear Dora")
    front.wait("heard.length === 2 && !button('Pause', at('.clip')) && button('Pause', at('#voices'))")
    tab.run("at('[name=front-clip][value=es]').click()")
    front.wait("shown('[data-clip=es]') && !shown('[data-clip=en]')")
    _play(front, "Play the sample by Dora")
    front.wait("button('Pause', at('[data-clip=es]'))")
    front.tab.press("Enter")
    front.wait("button('Play the sample by Dora')")
    assert made.studio.jobs == []


def test_play_that_is_pressed_before_the_script_is_there_is_heard(browser: Tab, made: Shop) -> None:
    added = browser.call("Page.addScriptToEvaluateOnNewDocument", source=_PRESSED_EARLY)["identifier"]
    try:
        browser.open(made.url)
        browser.wait("asked.length")
        assert browser.run("asked") == [f"{made.url}/v1/audio/samples/one.wav"]
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added)


def test_the_page_is_readable_in_each_look_and_language(front: Reader, made: Shop) -> None:
    for language in ("en", "th"):
        front.tab.open(f"{made.url}/?lang={language}")
        front.assert_readable(ALL_LOOKS)
    assert "{" not in front.text("body")


def test_the_page_can_be_read_without_scripts(front: Reader, made: Shop) -> None:
    front.tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        front.tab.call("Page.navigate", url=made.url)
        until(
            lambda: front.tab.run(
                "document.readyState === 'complete' && Boolean(document.querySelector('.front'))"
            )
        )
        assert "Start with 10 free minutes" in front.tab.run("document.querySelector('.front').innerText")
        assert front.tab.run("getComputedStyle(document.querySelector('#frame')).display") == "none"
    finally:
        front.tab.call("Emulation.setScriptExecutionDisabled", value=False)


def test_the_keyboard_leads_to_the_sign_in_and_back(front: Reader, made: Shop) -> None:
    front.tab.open(made.url)
    front.tab_to("[data-sound]")
    front.tab.press("Enter")
    front.wait("button('Pause', at('.clip'))")
    front.tab.run("at('.hero .first').focus()")
    front.tab.press("Enter")
    front.wait("document.activeElement.id === 'door-address'")
    assert not front.tab.run("shown('.front') || shown('textarea') || shown('nav a')")
    assert front.tab.run("document.title") == "Sign in · Lumen Voices"
    assert front.tab.run("at('.rail .brand').innerText") == "Lumen Voices"
    front.assert_readable(ALL_LOOKS)
    front.tab.run("history.back()")
    front.wait("shown('.front') && !shown('#door-card')")
    assert front.tab.run("document.title") == "Lumen Voices: text to speech"
    # The language that was chosen goes along.
    front.tab.open(f"{made.url}/?lang=es#/sign-in")
    front.wait("at('#door-card h1')?.innerText === 'Iniciar sesión'")


def test_a_reader_sees_no_front(browser: Tab, tmp_path: Path) -> None:
    config = f'{ALONE}[features]\noff = ["front"]\n'
    (tmp_path / "off").mkdir()
    with (
        running(tmp_path, ALONE) as server,
        running(tmp_path / "off", config) as bare,
        _watched(browser, server.url, bare.url),
    ):
        reader = Reader(browser, server, server.mint_key())
        browser.open(server.url)
        reader.wait("shown('.front')")
        browser.run("(at('.key').open = true)")
        reader.fill("#key-form input", reader.key.secret)
        browser.press("Enter")
        reader.wait("at('.known') && shown('#speak-input') && !shown('.front')")
        assert reader.key.secret not in browser.run("location.href")
        # It is never painted: what decides runs before the body.
        seen = "document.addEventListener('DOMContentLoaded', () => { window.first = shown('.front'); })"
        script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=seen)["identifier"]
        browser.open("about:blank")
        browser.requests.clear()
        browser.open(server.url)
        reader.wait("at('.known')")
        assert browser.run("window.first") is False
        assert not any("front.js" in url for url in browser.requests)
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
        forget(browser)
        browser.open(bare.url)
        reader.wait("at('#door-key')")
        assert not browser.run("shown('textarea') || shown('nav a') || at('.front')")
        reader.assert_readable(ALL_LOOKS[:2])


@pytest.mark.kit("axe")
def test_what_was_chosen_is_ordered_after_the_sign_in(visitor: Reader, people: People) -> None:
    visitor.tab.open(people.server.url)
    visitor.press("Choose Creator")
    visitor.reads("Sign in to buy Creator.", "#door")
    number = len(people.mails.got)
    visitor.fill("#door-address", "buyer@example.org")
    visitor.tab.press("Enter")
    visitor.wait("document.activeElement.id === 'door-code'")
    link, _ = people.mailed(number)
    # The link of the mail opens another page of this browser.
    visitor.tab.open("about:blank")
    visitor.tab.open(link)
    visitor.wait("at('#door-spend')")
    visitor.press("Sign in", "at('#door-card')")
    visitor.wait("at('#order-pay') && /^#.orders.ord_/.test(location.hash)")
    visitor.reads("Creator")
    visitor.assert_readable(((375, "light"),))
    # It is bought once: the next sign-in ends where it always does.
    visitor.tab.open("about:blank")
    visitor.tab.open(f"{people.server.url}/#/sign-in")
    visitor.wait("shown('#speak-input') && location.hash === '#/speak'")
    visitor.tab.run(f"void (location.hash = {json.dumps('#/sign-in/pack/small')})")
    visitor.wait("/^#.orders.ord_/.test(location.hash) && at('#order-pay')")


@contextmanager
def _stranger(page: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that gives a page at / as an SVG, and notes what it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            url = f"http://{self.headers['host']}"
            content = page.replace(b"STRANGER", url.encode()) if self.path == "/" else b""
            self.send_response(200)
            self.send_header("content-type", "image/svg+xml")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_hostile_logo_runs_nothing_and_fetches_nothing(browser: Tab, tmp_path: Path) -> None:
    """Opened as a page of its own. The same file from a server without our policy does all of it."""
    with _stranger(_HOSTILE.encode()) as (stranger, asked):
        browser.call("Page.navigate", url=stranger)
        browser.arrive(f"{_RAN} && document.readyState === 'complete'")
        until(lambda: {"/script", "/image.png", "/frame.html", "/sheet.css"} <= {*asked})
        (tmp_path / "logo.svg").write_text(_HOSTILE.replace("STRANGER", stranger))
        with running(tmp_path, f'{ALONE}[front]\nlogo = "logo.svg"\n') as server:
            page = httpx2.get(server.url, headers={"accept": "text/html"}).text
            (path,) = re.findall(r'<img src="(front/[^"]+)"', page)
            # What a page has asked for comes before what the next one asks for.
            browser.call("Page.navigate", url=f"{stranger}/between")
            until(lambda: "/between" in asked)
            asked.clear()
            browser.call("Page.navigate", url=f"{server.url}/{path}")
            browser.arrive("document.readyState === 'complete' && document.querySelector('rect')")
            assert browser.run(_RAN) is None
            browser.call("Page.navigate", url=f"{stranger}/behind")
            until(lambda: "/behind" in asked)
            assert {*asked} - {"/favicon.ico"} == {"/behind"}
    browser.open("about:blank")
    browser.complaints.clear()
