"""Was it made here? A recording is chosen or dropped, and judged."""

import base64
import json
from pathlib import Path

import pytest

from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.proxy.audio.recordings.clips import wav
from tests.server import Server
from tests.sound import tone
from tests.tables import soak

pytestmark = pytest.mark.slow_but("test_the_verdict_claims_no_more_than_its_signs")

_PLAIN = wav(tone(440, 0.6))
_TEXT = "A machine speaks this sentence, and its mark is found again by the machine that made it."


@pytest.fixture(scope="module")
def spoken(server: Server) -> bytes:
    body = {"model": "espeak/standard", "voice": "alloy", "input": _TEXT, "response_format": "mp3"}
    with server.client(timeout=120.0) as client:
        answer = client.post("/v1/audio/speech", json=body)
    assert answer.headers["x-voxgate-mark"]
    return answer.content


@pytest.fixture
def marks(reader: Reader) -> Reader:
    reader.open("marks")
    reader.wait("at('#marks-check')")
    return reader


def _choose(reader: Reader, folder: Path, data: bytes, field: str = "file") -> None:
    file = folder / f"{field}-{len(data)}.bin"
    file.write_bytes(data)
    reader.file(f"#marks-{field}", file)
    reader.reads(file.name, "#marks-form")


def _check(reader: Reader) -> None:
    reader.press("Check it")
    reader.wait("at('#marks-verdict h2') || at('[role=alert]')")


def _drop(reader: Reader, data: bytes) -> None:
    """What the browser does with a file that is dragged there."""
    sent = base64.b64encode(data).decode()
    reader.tab.run(
        "(() => { const files = new DataTransfer();"
        f" const bytes = Uint8Array.from(atob('{sent}'), (letter) => letter.charCodeAt(0));"
        " files.items.add(new File([bytes], 'clip.mp3', { type: 'audio/mpeg' }));"
        " for (const kind of ['dragenter', 'dragover', 'drop']) at('#marks-form').dispatchEvent("
        "new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true })); })()"
    )


def test_a_recording_of_this_server_is_known(marks: Reader, spoken: bytes, tmp_path: Path) -> None:
    _choose(marks, tmp_path, spoken)
    # The key came with a link, but a check keeps nothing: nothing is asked.
    _check(marks)
    marks.reads("It carries this server's mark.", "#marks-verdict h2")
    words = marks.text("#marks-verdict")
    assert "Only a manifest proves who spoke it." in words
    assert "a mark of this server, by the key" in words
    assert marks.tab.run("[Boolean(at('#marks-stop')), Boolean(at('progress'))]") == [False, False]
    # What is dropped is judged at once.
    _drop(marks, _PLAIN)
    marks.reads("Nothing shows that it was spoken here.", "#marks-verdict h2")
    assert "may have lost it" in marks.text("#marks-verdict")
    assert not marks.tab.run("at('#marks-form').classList.contains('over')")


def test_what_cannot_be_judged_is_told_beside_its_field(marks: Reader, tmp_path: Path) -> None:
    marks.press("Check it")
    marks.reads("Make a recording, or choose a file.", "[role=alert]")
    assert marks.tab.run("document.activeElement.id") == "marks-file"
    _choose(marks, tmp_path, bytes(10 * 2**20 + 1))
    marks.press("Check it")
    marks.reads("more than 10 MiB", "[role=alert]")
    assert not [url for url in marks.tab.requests if "detect" in url]
    _choose(marks, tmp_path, b"no recording")
    _check(marks)
    marks.reads("it cannot be read as wav, mp3", "[role=alert]")
    assert marks.tab.run("[document.activeElement.id, document.activeElement.ariaInvalid]") == [
        "marks-file",
        "true",
    ]
    _choose(marks, tmp_path, _PLAIN)
    _choose(marks, tmp_path, b"no manifest at all", "manifest")
    _check(marks)
    marks.reads("Its manifest is damaged, or belongs to another recording.", "#marks-verdict")
    # A verdict is on the file that was judged.
    _choose(marks, tmp_path, _PLAIN + b"other")
    assert marks.tab.run("Boolean(at('#marks-verdict h2'))") is False


_MARK = {"found": True, "key": "k1", "is_ours": True, "day": "2026-11-21", "score": 9.0, "threshold": 6.6}
_OURS = {"validation_state": "trusted", "signed_by_us": True, "issuer": "voxgate"}
_VERDICTS: list[tuple[dict[str, object], dict[str, object] | None, str]] = [
    ({}, _OURS, "Yes. It was spoken here."),
    ({"found": False}, _OURS, "Yes. It was spoken here."),
    ({"is_ours": None, "day": None}, None, "It carries this server's mark."),
    ({"is_ours": False}, None, "It carries the mark of another server that shares the key."),
    (
        {"key": None, "is_ours": None},
        None,
        "It carries a mark of machines that speak, which does not say whose.",
    ),
]


def test_the_verdict_claims_no_more_than_its_signs(marks: Reader, subtests: pytest.Subtests) -> None:
    page = str(marks.tab.run("at('script[src]').src")).replace("head.js", "pages/marks.js")
    for changes, c2pa, title in _VERDICTS:
        with subtests.test(title):
            answer = {"marks": [{**_MARK, **changes}], "c2pa": c2pa, "is_cut": False, "seconds": 3}
            told, *reasons = marks.tab.run(
                f"import({json.dumps(page)}).then(({{ verdictOf, reasonsOf }}) =>"
                f" [verdictOf({json.dumps(answer)}), ...reasonsOf({json.dumps(answer)})])"
            )
            assert told == title
            assert any("Only a manifest proves" in each for each in reasons) == (c2pa is None)
            assert "null" not in " ".join(reasons)


def test_a_check_is_stopped_by_keys_and_the_focus_stays(marks: Reader, tmp_path: Path) -> None:
    _choose(marks, tmp_path, _PLAIN)
    _check(marks)
    marks.reads("Nothing shows", "#marks-verdict")
    # An answer that comes as late as one likes.
    marks.tab.run(
        "(window.fetch = (_, { signal }) => new Promise((_, reject) =>"
        " signal.addEventListener('abort', () => reject(signal.reason))), 0)"
    )
    marks.tab.run("at('#marks-file').focus()")
    marks.tab_to("#marks-check")
    marks.tab.press("Enter")
    marks.wait("at('#marks-stop') && at('progress')")
    marks.tab_to("#marks-stop")
    marks.tab.press("Enter")
    marks.reads("Stopped.")
    assert marks.tab.run("[document.activeElement.id, Boolean(at('[role=alert]'))]") == ["marks-check", False]


@pytest.mark.parametrize("looks", [LOOKS, *soak((ALL_LOOKS,))])
def test_it_can_be_read_in_each_state(
    marks: Reader, spoken: bytes, tmp_path: Path, looks: tuple[tuple[int, str], ...]
) -> None:
    turns = [(each,) for each in looks] if len(looks) == 2 else [looks, looks]
    _choose(marks, tmp_path, spoken)
    _check(marks)
    marks.wait("at('#marks-verdict h2')")
    marks.assert_readable(turns[0])
    _choose(marks, tmp_path, b"no recording")
    _check(marks)
    marks.wait("at('[role=alert]')")
    marks.assert_readable(turns[1])
