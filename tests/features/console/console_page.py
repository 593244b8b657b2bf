"""The console in Chromium: what a reader opens, fills in, presses and is told."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import soundfile
import soxr  # type: ignore[import-untyped]

from tests import speech_clips
from tests.browser import Tab, chromium
from tests.clients.environments import modules, stands_in
from tests.programs import present
from tests.server import MintedKey, Server
from tests.sound import decoded
from tests.waiting import until

PLAIN = "plain.voxgate.test"
"""A name of this machine under which it is any server without TLS."""
_FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    f"--host-resolver-rules=MAP {PLAIN} 127.0.0.1",
)
_NOTED = """
window.violations = [];
window.addEventListener('securitypolicyviolation', (event) =>
  violations.push([event.effectiveDirective, event.blockedURI, event.sample].join(' ')));
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  const { sampleRate: rate } = this.buffer;
  played.push({ when, rate, samples: Array.from(this.buffer.getChannelData(0)) });
  return start.call(this, when);
};
window.tracks = [];
const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (open) navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await open(wanted);
  tracks.push(...stream.getTracks());
  return stream;
};
window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 50);
window.cancelAnimationFrame = clearTimeout;
const at = (selector) => document.querySelector(selector);
const shown = (selector) => Boolean(at(selector)?.offsetParent);
const button = (text, within = document) => [...within.querySelectorAll('button, a, summary')].find((each) =>
  (each.getAttribute('aria-label') ?? each.textContent).trim() === text && each.offsetParent);
"""
"""Notes what the policy forbids, what the loudspeaker gets, and what is taken of the microphone. It draws as
often as a test looks: without a screen, sixty frames a second are work for nobody."""
_HOLD = """((end, status) => {
  const ask = window.fetch;
  window.fetch = async (url, sent) => {
    const answer = await ask(url, sent);
    if (window.fetch === ask || !new URL(url, location).pathname.endsWith(end)) return answer;
    window.fetch = ask;
    await new Promise((resolve) => { window.letGo = resolve; });
    return status ? new Response("{}", { status }) : answer;
  };
})"""

_NUMBERS = itertools.count(1)
LOOKS = ((375, "light"), (1280, "dark"))
ALL_LOOKS = (*LOOKS, (375, "dark"), (1280, "light"))


class Reader(NamedTuple):
    """A person at the console: a tab, the server, and a key of an account of their own."""

    tab: Tab
    server: Server
    key: MintedKey

    def of_plan(self, plan: str) -> "Reader":
        """The same person with an account of another plan."""
        return self._replace(key=self.server.mint_key(f"{plan}-{next(_NUMBERS)}", plan=plan))

    def open(self, page: str = "speak", *, path: str = "/") -> None:
        """Open a page with the key of a link, as a person who has not been here."""
        forget(self.tab)
        self.tab.open(f"{self.server.url}{path}#key={self.key.secret}")
        self.wait("at('.known')")
        self.go(page)

    def go(self, page: str) -> None:
        """Follow a link of the frame, and wait until its page has taken the place of this one."""
        place = json.dumps(f"#/{page}")
        self.tab.run(f"location.hash === {place} || at('#page h1').setAttribute('class', 'before')")
        self.tab.run(f"void (location.hash = {place})")
        self.wait(f"location.hash === {place} && at('#page h1:not(.before)')")

    def go_to_history(self, entries: int) -> None:
        """Go there once it has so many entries: the last one is kept after its sound has come."""
        with self.server.client(self.key.secret) as client:
            until(lambda: len(client.get("/v1/history").json()["data"]) >= entries)
        self.go("history")

    def reload(self, condition: str) -> None:
        """Load the page anew, and wait until a condition holds there."""
        self.tab.run("(window.isOld = true, location.reload())")
        self.arrive(f"!window.isOld && ({condition})")

    def wait(self, condition: str) -> None:
        self.tab.wait(condition)

    def arrive(self, condition: str) -> None:
        self.tab.arrive(condition)

    def press(self, text: str, within: str = "document") -> None:
        """Press the button with this text, or this name. The focus is on it, as with a hand."""
        found = f"button({json.dumps(text)}, {within})"
        self.wait(f"{found} && !{found}.disabled")
        self.tab.run(f"{found}.focus()")
        self.tab.run(f"{found}.click()")

    def tap(self, selector: str) -> None:
        """Touch the middle of what is shown there, as a finger does."""
        self.wait(f"shown({json.dumps(selector)})")
        middle = (
            f"(() => {{ const it = at({json.dumps(selector)}); it.scrollIntoView({{ block: 'center' }});"
            " const { x, y, width, height } = it.getBoundingClientRect();"
            " return { x: x + width / 2, y: y + height / 2 }; })()"
        )
        point = self.tab.run(middle)
        self.tab.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[point])
        self.tab.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def tab_to(self, selector: str) -> None:
        """Go on by the Tab key until the focus is there."""
        for _ in range(200):
            if self.tab.run(f"document.activeElement.matches({json.dumps(selector)})"):
                return
            self.tab.press("Tab")
        raise AssertionError(f"the keyboard does not come to {selector}")

    def fill(self, selector: str, text: str) -> None:
        """Type a text into a field in place of what is there."""
        field = f"at({json.dumps(selector)})"
        self.wait(field)
        self.tab.run(f"({field}.focus(), {field}.select())")
        self.tab.type(text)

    def choose(self, selector: str, value: str) -> None:
        """Choose from a list."""
        field = f"at({json.dumps(selector)})"
        self.wait(f"{field} && !{field}.disabled")
        event = "new Event('change', {bubbles: true})"
        self.tab.run(f"({field}.value = {json.dumps(value)}, {field}.dispatchEvent({event}))")

    def text(self, selector: str = "#page") -> str:
        """What is to be read there, without what is hidden."""
        return str(self.tab.run(f"at({json.dumps(selector)})?.innerText ?? ''"))

    def reads(self, text: str, selector: str = "#page") -> None:
        """Wait until a text is to be read there."""
        self.wait(f"at({json.dumps(selector)})?.innerText.includes({json.dumps(text)})")

    def hold(self, end: str, status: int = 0) -> None:
        """Hold the next answer of a path that ends so until `letGo()`, and give it another status."""
        self.tab.run(f"{_HOLD}({json.dumps(end)}, {status})")

    def file(self, selector: str, file: Path) -> None:
        """Choose a file in the browser's own dialog."""
        self.wait(f"at({json.dumps(selector)})")
        self.tab.choose_file(selector, file)

    def assert_readable(self, looks: tuple[tuple[int, str], ...] = LOOKS, part: str = "html") -> None:
        """Look at the page in each of these looks: nothing scrolls sideways, and nothing is inaccessible.

        Axe looks for the second, in `make slow` alone.
        """
        for width, scheme in looks:
            self.tab.show(width=width, scheme=scheme)
            if not stands_in():
                assert self._violations(part) == []
            assert self.tab.run("document.documentElement.scrollWidth") <= width, width
        self.tab.show(width=1280)

    def _violations(self, part: str) -> Any:
        if not self.tab.run("'axe' in window"):
            axe = (present(lambda: modules("axe")) / "axe-core" / "axe.min.js").read_text()
            self.tab.run(f"(() => {{ {axe} }})()")
        rules = json.dumps(
            {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
        )
        return self.tab.run(
            f"axe.run({json.dumps(part)}, {rules}).then(({{ violations }}) =>"
            " violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]))"
        )


def forget(tab: Tab) -> None:
    """Leave the page, and let nothing of its reader stay in the browser."""
    if tab.run("location.protocol !== 'about:' && Boolean(at('html.console'))"):
        # Before it is known who this is, a key could be kept once more.
        tab.wait("at('.known, #door-card')")
        tab.run("(sessionStorage.clear(), localStorage.clear())")
    tab.open("about:blank")


@contextmanager
def hearing_browser(folder: Path) -> Iterator[Tab]:
    """Open a browser whose microphone hears twelve seconds of speech, again and again."""
    heard = decoded(speech_clips.wav(), "wav")
    file = folder / "microphone.wav"
    # Chromium takes 24 and 48 kHz only.
    soundfile.write(file, soxr.resample(heard.samples, heard.sample_rate_hz, 48_000), 48_000, "PCM_16")
    with chromium(folder, *_FLAGS, f"--use-file-for-fake-audio-capture={file}") as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=_NOTED)
        yield tab
