"""What the console costs a browser, in a real Chromium on a real server: `python -m bench.console [PART …]`.

    front       gzipped bytes and requests of the page for visitors, and from a click to its first sound
    load        gzipped bytes and requests of the first load, and of each further page
    sound       from the click on Speak to the first sound, beside the first byte of a plain request
    nodes       elements of a page with 10,000 entries of history, and with 1,000 voices in use
    slow        at 400 ms and 400 kbit/s: when one can type, and when one can speak
    functions   the share of our functions that the tests reach, by Chromium's coverage (minutes)

Without a part, all but `functions`. The server speaks with the tone engine, so that an engine takes no time.
That of `front` has Kokoro: a robot speaks no sample of the front, and its sounds have the size of real ones.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.sample_visitors import NATURAL
from proxy.features.console.files import console
from tests.browser import Tab, chromium
from tests.features.console.many_entries import book_many
from tests.features.console.reached import functions_reached
from tests.heard import natural
from tests.plugins.piper.environment import interpreter
from tests.server import TONE, Server, running

PAGES = ("voices", "train", "marks", "jobs", "history", "usage", "account", "orders", "admin")
ROUNDS = 21
SAMPLES_S = 300.0
"""How long the first sample may take: it is made once the model is loaded and nothing has run for 10 s."""
_TEXT = "How soon is this heard?"
_LATENCY_MS, _BYTES_PER_S = 400, 400_000 / 8
_READY = (
    "document.querySelector('#speak-voice')?.disabled === false"
    " && document.querySelector('#speak-estimate').textContent"
)
_SHOWN = "document.title.split(' ·')[0] === document.querySelector('#page h1')?.innerText"
_NOTED = """
window.begun = 0;
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  window.begun ||= performance.now() + Math.max(0, when - this.context.currentTime) * 1000;
  return start.call(this, when);
};
addEventListener('click', () => { window.clicked = performance.now(); window.begun = 0; }, true);
"""
"""Notes when a click comes, and when the clock of the loudspeaker comes to the first sample."""
_SOUND = "document.querySelector('.front [data-sound]')"
_PLAYED = """
window.begun = 0;
addEventListener('click', () => { window.clicked = performance.now(); window.begun = 0; }, true);
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  this.addEventListener('playing', () => { window.begun = performance.now(); }, { once: true });
  return play.call(this);
};
"""
_FETCHED = """
performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
  .map(({ name, encodedBodySize }) => [name, encodedBodySize])
"""


@contextmanager
def browser() -> Iterator[Tab]:
    with tempfile.TemporaryDirectory(prefix="bench-console-") as folder, chromium(Path(folder)) as tab:
        yield tab


def fetched(tab: Tab) -> dict[str, int]:
    """Return the bytes of each thing that the page has fetched, as they came."""
    return {name: size for name, size in tab.run(_FETCHED) if name.startswith("http")}


def front(server: Server) -> None:
    """Open the page as a visitor. A sound is there once samples are made: wait for them for a while."""
    with browser() as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=_PLAYED)
        deadline = time.monotonic() + SAMPLES_S
        tab.open(server.url)
        print("|what|files, kB gzipped|requests|answers of the API, kB|\n|---|---|---|---|")
        tab.run("new Promise((resolve) => setTimeout(resolve, 500))")
        _row("front", fetched(tab), tab.requests)
        while not tab.run(f"{_SOUND} !== null") and time.monotonic() < deadline:
            time.sleep(2)
            tab.open(server.url)
        if not tab.run(f"{_SOUND} !== null"):
            print(f"no sample was made within {SAMPLES_S} s")
            return
        heard = []
        for _ in range(ROUNDS):
            tab.call("Network.clearBrowserCache")
            tab.open("about:blank")
            tab.open(server.url)
            tab.run(f"{_SOUND}.focus()")
            tab.press("Enter")
            tab.wait("window.begun")
            heard.append(float(tab.run("begun - clicked")))
    print(f"click to a sample, p50: {statistics.median(heard):.0f} ms, most {max(heard):.0f} ms")


def load(server: Server) -> None:
    key = server.mint_key(role="admin").secret
    print("|what|files, kB gzipped|requests|answers of the API, kB|\n|---|---|---|---|")
    with browser() as tab:
        tab.open(f"{server.url}/#key={key}")
        tab.wait(_READY)
        known = fetched(tab)
        _row("first load", known, tab.requests)
    for page in PAGES:
        if f"pages/{page}.js" not in console().files:
            print(f"|{page}|not there|||")
            continue
        with browser() as tab:
            tab.open(f"{server.url}/#key={key}")
            tab.wait(_READY)
            before, count = fetched(tab), len(tab.requests)
            tab.run(f"void (location.hash = '#/{page}')")
            tab.wait(f"location.hash === '#/{page}' && {_SHOWN}")
            tab.run("new Promise((resolve) => setTimeout(resolve, 1000))")
            more = {name: size for name, size in fetched(tab).items() if name not in before}
            _row(page, more, tab.requests[count:])


def _row(what: str, sizes: dict[str, int], requests: list[str]) -> None:
    files = sum(size for name, size in sizes.items() if "/v1" not in name and "/admin/" not in name)
    asked = [url for url in requests if url.startswith("http")]
    print(f"|{what}|{files / 1000:.1f}|{len(asked)}|{(sum(sizes.values()) - files) / 1000:.1f}|", flush=True)


def sound(server: Server) -> None:
    """Ask for the same text by turns: by a click, and by a plain request of the same form."""
    clicks, plain = [], []
    with browser() as tab, server.client() as client:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=_NOTED)
        tab.open(f"{server.url}/#key={server.key}")
        tab.wait(_READY)
        tab.run("document.querySelector('#speak-input').select()")
        tab.type(_TEXT)
        tab.wait(_READY)
        body = {"model": "tone", "voice": "alloy", "input": _TEXT, "response_format": "pcm"}
        for _ in range(ROUNDS):
            tab.run("document.querySelector('#speak-go').focus()")
            tab.press("Enter")
            tab.wait("window.begun")
            clicks.append(float(tab.run("begun - clicked")))
            tab.wait("!document.querySelector('#speak-stop')")
            began = time.perf_counter()
            with client.stream("POST", "/v1/audio/speech", json=body) as answer:
                next(answer.iter_raw())
                plain.append((time.perf_counter() - began) * 1000)
    heard, byte = statistics.median(clicks), statistics.median(plain)
    print(
        f"click to first sound, p50: {heard:.0f} ms, {heard - byte:+.0f} ms to a plain request's first byte"
    )


def nodes(server: Server) -> None:
    key = server.mint_key("many", plan="creator").secret
    book_many(server, key)
    with browser() as tab:
        tab.open(f"{server.url}/#key={key}")
        tab.wait(_READY)
        for page, rows in (("history", "#history-list li"), ("usage", ".sums tbody tr")):
            tab.run(f"void (location.hash = '#/{page}')")
            tab.wait(f"document.querySelectorAll('{rows}').length")
            if page == "usage":
                _choose(tab, "#usage-side", "voice")
            most = 0
            for _ in range(4):
                tab.wait(f"document.querySelectorAll('{rows}').length === 50")
                most = max(most, tab.run("document.querySelectorAll('*').length"))
                tab.run("document.querySelector('#pager button + button').click()")
                tab.run("new Promise((resolve) => setTimeout(resolve, 300))")
            print(f"{page}: {most} elements at most, on four pages of 50 rows", flush=True)


def _choose(tab: Tab, field: str, value: str) -> None:
    change = f"(field.value = '{value}', field.dispatchEvent(new Event('change', {{ bubbles: true }})))"
    tab.run(f"((field) => {change})(document.querySelector('{field}'))")


def slow(server: Server) -> None:
    with browser() as tab:
        tab.call(
            "Network.emulateNetworkConditions",
            offline=False,
            latency=_LATENCY_MS,
            downloadThroughput=_BYTES_PER_S,
            uploadThroughput=_BYTES_PER_S,
        )
        tab.call("Page.navigate", url=f"{server.url}/#key={server.key}")
        tab.wait(
            "document.querySelector('textarea')?.offsetHeight && performance.getEntriesByType('paint').length"
        )
        tab.run("document.querySelector('textarea').focus()")
        tab.type(_TEXT)
        typed = tab.run("document.querySelector('textarea').value && performance.now()")
        tab.wait(_READY)
        ready = tab.run("performance.now()")
        kept = tab.run("document.querySelector('#speak-input').value")
    assert kept == _TEXT, kept
    print(f"at 400 ms and 400 kbit/s: typed after {typed / 1000:.1f} s, can speak after {ready / 1000:.1f} s")


def functions(_: Server) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-console-") as folder:
        count, missed = functions_reached(Path(folder), "-m", "not soak")
    print("\n".join(missed))
    print(f"{count - len(missed)} of {count} functions reached: {1 - len(missed) / count:.1%}")


PARTS: dict[str, Callable[[Server], None]] = {
    "front": front,
    "load": load,
    "sound": sound,
    "nodes": nodes,
    "slow": slow,
    "functions": functions,
}
CONFIG = f"{TONE}\n[plans.creator]\nrpm = 1000\n"


def main() -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in sys.argv[1:] or [part for part in PARTS if part != "functions"]:
        with tempfile.TemporaryDirectory(prefix="bench-console-") as folder:
            if name == "front":
                interpreter(natural.KOKORO.engine)
                natural.put(natural.KOKORO.model, Path(folder) / "data")
            with running(Path(folder), NATURAL if name == "front" else CONFIG) as server:
                PARTS[name](server)


if __name__ == "__main__":
    main()
