"""The part "Was it made here?" in a real browser: a recording is chosen or dropped, and judged."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from tests.browser import Tab, chromium
from tests.proxy.api import try_page
from tests.proxy.audio.recordings.clips import wav
from tests.server import TONE, Server, running
from tests.sound import tone
from tests.tables import soak

PLAIN = wav(tone(440, 0.6))
TEXT = "A machine speaks this sentence, and its mark is found again by the machine that made it."
_IS_JUDGED = "at('verdict').childElementCount"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = TONE.replace("[server]", "[server]\nfirst_audio_s = 60")
    with running(tmp_path_factory.mktemp("server"), config) as opened:
        yield opened


@pytest.fixture(scope="module")
def spoken(server: Server) -> bytes:
    body = {"model": "espeak/standard", "voice": "alloy", "input": TEXT, "response_format": "mp3"}
    with server.client(timeout=120.0) as client:
        answer = client.post("/v1/audio/speech", json=body)
    assert answer.headers["x-voxgate-mark"]
    return answer.content


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def page(browser: Tab, server: Server) -> Tab:
    browser.show(width=1280)
    try_page.open_page(browser, server)
    try_page.enter_key(browser, server.key)
    browser.complaints.clear()
    browser.requests.clear()
    return browser


def _choose(page: Tab, folder: Path, data: bytes, field: str = "check-file") -> None:
    file = folder / f"{field}-{len(data)}.bin"
    file.write_bytes(data)
    page.choose_file(f"#{field}", file)


def _drop(page: Tab, data: bytes) -> None:
    """What the browser does with a file that is dragged there."""
    sent = base64.b64encode(data).decode()
    page.run(
        "(() => { const files = new DataTransfer();"
        f" const bytes = Uint8Array.from(atob('{sent}'), (letter) => letter.charCodeAt(0));"
        " files.items.add(new File([bytes], 'clip.mp3', { type: 'audio/mpeg' }));"
        " for (const kind of ['dragenter', 'dragover', 'drop']) at('check').dispatchEvent("
        "new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true })); })()"
    )


def _verdict(page: Tab) -> str:
    page.wait(_IS_JUDGED)
    return str(page.run("at('verdict').innerText"))


def test_with_the_key_of_a_link_a_recording_is_asked_about_before_it_is_sent(
    page: Tab, server: Server, tmp_path: Path
) -> None:
    try_page.open_page(page, server)
    page.open("about:blank")
    page.open(f"{server.url}/#key={server.key}")
    page.wait("!at('own-new').hidden")
    page.requests.clear()
    plain = tmp_path / "plain.wav"
    plain.write_bytes(PLAIN)
    page.choose_file("#check-file", plain)
    page.run("at('check-start').click()")
    page.wait("at('other').open")
    page.press("Enter")
    page.wait("!checking")
    assert not [url for url in page.requests if "detect" in url]
    assert page.run("at('check-status').textContent") == ""
    page.run("at('check-start').click()")
    page.wait("at('other').open")
    page.run("at('other-use').click()")
    page.wait(_IS_JUDGED)


def test_a_recording_of_this_server_is_known(
    page: Tab, server: Server, spoken: bytes, tmp_path: Path
) -> None:
    _choose(page, tmp_path, spoken)
    page.run("at('check-start').click()")
    words = _verdict(page)
    assert words.startswith("It carries this server's mark.")
    assert "Only a manifest or a receipt proves who spoke it." in words
    assert "a mark of this server, made on 20" in words
    assert page.run("[at('check-stop').hidden, at('check-progress').hidden]") == [True, True]
    assert not page.complaints
    assert {url for url in page.requests if not url.startswith(f"{server.url}/")} == set()


def test_a_dropped_recording_is_judged_at_once(page: Tab, spoken: bytes) -> None:
    _drop(page, spoken)
    assert _verdict(page).startswith("It carries this server's mark.")
    assert not page.run("at('check').classList.contains('over')")
    _drop(page, PLAIN)
    page.wait("at('verdict').innerText.startsWith('Nothing shows')")
    assert "may have lost it" in _verdict(page)


def test_a_manifest_that_fits_nothing_is_told(page: Tab, tmp_path: Path) -> None:
    _choose(page, tmp_path, PLAIN)
    _choose(page, tmp_path, b"no manifest at all", "check-manifest")
    page.run("at('check-start').click()")
    assert "Its manifest is damaged, or belongs to another recording." in _verdict(page)
    _choose(page, tmp_path, PLAIN + b"other")
    assert page.run(_IS_JUDGED) == 0, "a verdict is on the file that was judged"


_MARK = {
    "found": True,
    "key": "k1",
    "is_ours": True,
    "day": "2026-11-21",
    "score": 9.0,
    "threshold": 6.6,
}
_OURS = {"validation_state": "trusted", "signed_by_us": True, "issuer": "voxgate"}


@pytest.mark.parametrize(
    ("changes", "c2pa", "title"),
    [
        ({}, _OURS, "Yes. It was spoken here."),
        ({"found": False}, _OURS, "Yes. It was spoken here."),
        ({"is_ours": None, "day": None}, None, "It carries this server's mark."),
        ({"is_ours": False}, None, "It carries the mark of another server that shares the key."),
        (
            {"key": None, "is_ours": None},
            None,
            "It carries a mark of machines that speak, which does not say whose.",
        ),
    ],
)
def test_the_verdict_claims_no_more_than_its_signs(
    page: Tab, changes: dict[str, object], c2pa: dict[str, object] | None, title: str
) -> None:
    answer = json.dumps({"marks": [{**_MARK, **changes}], "c2pa": c2pa, "is_cut": False, "seconds": 3})
    words = str(page.run(f"(tellVerdict({answer}), at('verdict').innerText)"))
    assert words.startswith(title)
    assert ("Only a manifest or a receipt" in words) == (c2pa is None)
    assert "null" not in words


def test_what_the_server_refuses_is_told_in_its_words_beside_the_file(page: Tab, tmp_path: Path) -> None:
    _choose(page, tmp_path, b"no recording")
    page.run("at('check-start').click()")
    page.wait("!at('alert').hidden")
    assert "it cannot be read as wav, mp3" in page.run("at('alert').textContent")
    assert page.run("document.activeElement.id") == "check-file"
    assert page.run("at('check-file').parentElement.contains(at('alert'))")
    assert page.run("at('check-file').getAttribute('aria-invalid')") == "true"


def test_what_cannot_be_sent_is_told_before(page: Tab, tmp_path: Path) -> None:
    page.run("at('check-start').click()")
    assert page.run("at('alert').textContent") == "Choose a recording first."
    _choose(page, tmp_path, bytes(10 * 2**20 + 1))
    page.requests.clear()
    page.run("at('check-start').click()")
    assert "more than 10 MiB" in page.run("at('alert').textContent")
    page.run("at('key-change').click()")
    try_page.fill(page, "key", " ")
    page.run("at('check-start').click()")
    assert page.run("[at('alert').textContent, document.activeElement.id]") == ["A key is missing.", "key"]
    assert not page.requests


def test_a_check_can_be_stopped_and_the_focus_stays(page: Tab, tmp_path: Path) -> None:
    _choose(page, tmp_path, PLAIN)
    # An answer that comes as late as one likes.
    page.run(
        "(window.fetch = (_, { signal }) => new Promise((_, reject) =>"
        " signal.addEventListener('abort', () => reject(signal.reason))), 0)"
    )
    page.run("at('check-start').click()")
    page.wait("!at('check-stop').hidden && !at('check-progress').hidden")
    page.run("(at('check-stop').focus(), at('check-stop').click())")
    assert page.run("[document.activeElement.id, at('check-status').textContent]") == [
        "check-start",
        "Stopped.",
    ]
    assert page.run("[at('check-stop').hidden, at('alert').hidden]") == [True, True]


def test_the_keyboard_is_enough(page: Tab, tmp_path: Path) -> None:
    _choose(page, tmp_path, PLAIN)
    page.run("at('check-file').focus()")
    for place in ("check-manifest", "check-start"):
        page.press("Tab")
        assert page.run("document.activeElement.id") == place
    page.press("Enter")
    assert _verdict(page).startswith("Nothing shows")


@pytest.mark.parametrize("looks", [try_page.IN_TURN, *soak((try_page.ALL_LOOKS,))])
def test_everybody_can_read_it(
    page: Tab, server: Server, spoken: bytes, tmp_path: Path, looks: tuple[try_page.Looks, ...]
) -> None:
    turns = cycle(looks)
    try_page.open_page(page, server)
    try_page.load_axe(page)
    try_page.enter_key(page, server.key)
    try_page.assert_readable(page, next(turns), "#check")
    _choose(page, tmp_path, spoken)
    page.run("at('check-start').click()")
    _verdict(page)
    try_page.assert_readable(page, next(turns), "#check")
    _choose(page, tmp_path, b"no recording")
    page.run("at('check-start').click()")
    page.wait("!at('alert').hidden")
    try_page.assert_readable(page, next(turns), "#check")
