"""With the keyboard alone from the front to the first own sound: the focus is always seen, and never lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Tab
from tests.features.console.conftest import _watched
from tests.features.console.console_page import Reader
from tests.features.console.people import People
from tests.features.console.test_speak import IS_HEARD
from tests.server import ALONE, running

pytestmark = pytest.mark.slow

_TEXT = "The first sound of my own."
_UNSEEN = """(() => {
  const it = document.activeElement;
  if (!it || it === document.body) return "lost";
  const { top, bottom, left, right } = it.getBoundingClientRect();
  if (bottom <= 0 || top >= innerHeight || right <= 0 || left >= innerWidth) return `away: ${it.outerHTML}`;
  const outer = ["label", ".file", ".composer"].map((each) => it.closest(each)).filter(Boolean);
  const isOutlined = (each) => {
    const { outlineStyle: style, outlineColor: colour, boxShadow: bar } = getComputedStyle(each);
    return style !== "none" && (colour !== "rgba(0, 0, 0, 0)" || bar !== "none");
  };
  return [it, ...outer].some(isOutlined) ? "" : `unmarked: ${it.outerHTML}`;
})()"""
"""What is wrong with the focus, if anything."""


class Keys:
    """Somebody who has no mouse. After each key, the focus must be seen."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.tab = reader.tab

    def press(self, key: str) -> None:
        self.tab.press(key)
        self.look()

    def look(self) -> None:
        self.reader.wait(f"{_UNSEEN} === ''")

    def go_to(self, selector: str) -> None:
        """Go on by Tab until the focus is there."""
        for _ in range(60):
            self.press("Tab")
            if self.tab.run(f"document.activeElement.matches({selector!r})"):
                return
        raise AssertionError(f"the keyboard does not come to {selector}")

    def speak_and_play(self) -> None:
        """On Speak, where the focus begins on the heading: type, choose a speed, speak, and play it again."""
        reader = self.reader
        reader.wait("document.activeElement.matches('#page h1')")
        self.look()
        self.press("Tab")
        assert self.tab.run("document.activeElement.id") == "speak-input"
        self.tab.run("document.activeElement.select()")
        self.tab.type(_TEXT)
        reader.wait("at('#speak-estimate').textContent && !at('#speak-voice').disabled")
        self.go_to("#speak-voice")
        self.press("Enter")
        reader.wait("at('#picker')?.open")
        self.press("ArrowDown")
        self.press("Enter")
        reader.wait("!at('#picker').open && document.activeElement.id === 'speak-voice'")
        self.go_to("#speak-speed")
        self.press("ArrowRight")
        reader.wait("at('#speak-speed').value === '1.05'")
        self.go_to("#speak-more")
        self.press("Space")
        reader.wait("at('#speak-format')")
        self.press("Space")
        self.go_to("#speak-go, #speak-stop")
        self.press("Enter")
        reader.wait(IS_HEARD)
        self.look()
        reader.reads(_TEXT, ".words")
        self.go_to("#player-play")
        self.press("Space")
        reader.wait("at('#player-play').ariaLabel === 'Pause'")
        self.go_to("#player-seek")
        self.press("ArrowRight")


@pytest.fixture(params=[(1280, 800), (375, 812)])
def window(request: pytest.FixtureRequest, browser: Tab) -> Iterator[tuple[int, int]]:
    width, height = request.param
    yield width, height
    browser.show(width=1280)


def test_a_key_leads_to_the_first_own_sound(browser: Tab, window: tuple[int, int], tmp_path: Path) -> None:
    with running(tmp_path, ALONE) as server, _watched(browser, server.url):
        reader = Reader(browser, server, server.mint_key())
        browser.show(width=window[0], height=window[1])
        browser.open(server.url)
        reader.wait("shown('.front')")
        keys = Keys(reader)
        keys.go_to(".key summary")
        keys.press("Enter")
        keys.go_to("#key-form input")
        browser.type(reader.key.secret)
        browser.press("Enter")
        keys.speak_and_play()
        browser.run("(sessionStorage.clear(), localStorage.clear())")
        browser.open("about:blank")
        browser.requests.clear()


def test_a_mail_leads_to_the_first_own_sound(
    visitor: Reader, people: People, window: tuple[int, int]
) -> None:
    visitor.tab.show(width=window[0], height=window[1])
    visitor.tab.open(people.server.url)
    visitor.wait("shown('.front')")
    keys = Keys(visitor)
    keys.go_to(".hero .first")
    keys.press("Enter")
    visitor.wait("document.activeElement.id === 'door-address'")
    keys.look()
    number = len(people.mails.got)
    visitor.tab.type(f"keys-{window[0]}@example.org")
    visitor.tab.press("Enter")
    visitor.wait("document.activeElement.id === 'door-code'")
    keys.look()
    visitor.tab.type(people.mailed(number)[1])
    visitor.tab.press("Enter")
    keys.speak_and_play()
