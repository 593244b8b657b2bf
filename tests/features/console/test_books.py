"""Books: a file is chosen, its chapters and its price are shown, it is spoken, and a line is said again."""

from pathlib import Path

import pytest

from tests.features.books.epubs import epub, nav, xhtml
from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.features.console.test_jobs import _heard, _state

pytestmark = pytest.mark.slow_but("test_a_book_is_previewed_spoken_and_said_again")

_BOOK = epub(
    {
        "cover.xhtml": xhtml("<p>The cover.</p>", 'epub:type="cover"'),
        "one.xhtml": xhtml("<h1>The shed</h1><p>Siobhan came. She was late.</p>"),
        "two.xhtml": xhtml('<h1>The lake</h1><p>It was still<a epub:type="noteref" href="#n">1</a>.</p>'),
        "three.xhtml": xhtml("<h1>The end</h1><p>Siobhan left.</p>"),
        "nav.xhtml": xhtml(nav("one.xhtml|The shed", "two.xhtml|The lake", "three.xhtml|The end")),
    }
)
_CHAPTERS = "[...document.querySelectorAll('#book-chapters tbody .name')].map((each) => each.textContent)"


def choose_file(
    reader: Reader, folder: Path, name: str, content: bytes, field: str = "input_file_id"
) -> None:
    """Choose a file, and wait until it is uploaded or refused."""
    (folder / name).write_bytes(content)
    reader.file(f"#job-{field}", folder / name)
    reader.wait(f"at('#job-{field}-name, #job-{field}-alert')")


@pytest.mark.kit("axe")
def test_a_book_is_previewed_spoken_and_said_again(reader: Reader, tmp_path: Path) -> None:
    priced = reader.of_plan("priced")
    priced.open("jobs/book")
    priced.wait("at('#job-go')?.disabled")
    choose_file(priced, tmp_path, "novel.epub", _BOOK)
    priced.reads("3 chapters", "#book-title")
    assert priced.tab.run(_CHAPTERS) == ["1. The shed", "2. The lake", "3. The end"]
    priced.press("2 things are left out: 11 characters")
    priced.reads("Mark of a footnote", "#book-out")
    priced.assert_readable(ALL_LOOKS[:1])
    whole = priced.text("#job-go")
    assert "." in priced.text("#job-price .small"), "few credits are not rounded"
    priced.tab.run("document.querySelectorAll('#book-chapters input')[1].click()")
    priced.wait(f"at('#job-go').textContent.trim() !== {whole.strip()!r}")
    # What was chosen outlives a reload.
    priced.choose("#job-response_format", "opus")
    priced.reload("document.querySelector('#book-chapters')")
    assert priced.tab.run("[at('#job-response_format').value, at('#book-all').indeterminate]") == [
        "opus",
        True,
    ]
    assert priced.text("#job-go") != whole
    priced.wait("!at('#job-go').disabled")
    priced.tab.run("at('#job-go').focus()")
    priced.tab.press("Enter")
    _state(priced, "Done")
    priced.wait("at('#lines-list')")
    lines = "[...document.querySelectorAll('#lines-list textarea')].map((each) => each.value)"
    assert "Siobhan" in str(priced.tab.run(lines))
    assert priced.tab.run("[...at('#lines-chapter').options].map((each) => each.textContent.trim())") == [
        "1. The shed",
        "3. The end",
    ]
    priced.press("Play from 00:00")
    _heard(priced, tmp_path, "The shed")
    priced.assert_readable(ALL_LOOKS[:1])
    fields = "[...document.querySelectorAll('#lines-list textarea')]"
    field = f"{fields}.find((each) => each.value.includes('Siobhan'))"
    priced.tab.run(f"({field}.focus(), {field}.select())")
    priced.tab.type(str(priced.tab.run(f"{field}.value")).replace("Siobhan", "shi-VAWN"))
    priced.press("Say 1 changed line again")
    priced.reads("Siobhan is said as shi-VAWN", "#question")
    before = priced.tab.run("location.hash")
    priced.press("Say it again", "at('#question')")
    priced.wait(f"location.hash !== {before!r}")
    _state(priced, "Done")
    priced.wait("at('#lines-list') && !at('.changed')")


def test_a_book_that_cannot_be_read_says_why_and_another_takes_its_place(
    reader: Reader, tmp_path: Path
) -> None:
    reader.open("jobs/book")
    choose_file(reader, tmp_path, "broken.epub", b"PK\x03\x04 is no book")
    reader.reads("broken.epub cannot be read as a book.", "#job-fault")
    reader.reads("it is no EPUB, which is a zip.", "#job-fault")
    reader.assert_readable(LOOKS)
    assert reader.tab.run("at('#job-go').disabled")
    choose_file(reader, tmp_path, "long.txt", b"x" * 65 * 1024 * 1024)
    reader.reads("64 MiB", "#job-input_file_id-alert")
    # An upload on a slow line is shown, and can be cancelled.
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000}
    reader.tab.call("Network.emulateNetworkConditions", **slow)
    try:
        (tmp_path / "slow.txt").write_bytes(b"One more line.\n" * 20_000)
        reader.file("#job-input_file_id", tmp_path / "slow.txt")
        reader.press("Cancel")
        reader.wait("!at('progress')")
    finally:
        fast = {**slow, "uploadThroughput": -1}
        reader.tab.call("Network.emulateNetworkConditions", **fast)
    reader.reads("broken.epub")
    choose_file(reader, tmp_path, "short.txt", b"# One\nHi.\n")
    reader.reads("1 chapter", "#book-title")
    assert reader.tab.run("[at('#job-fault'), at('#job-price .small').textContent]") == [None, "free"]
    with reader.server.client(reader.key.secret) as client:
        files = [each["filename"] for each in client.get("/v1/files").json()["data"]]
    assert files == ["short.txt"], "the one before has made room"
    # A key that has ended takes nothing with it, also if the page is loaded anew.
    reader.hold("/v1/jobs/preview", 401)
    reader.choose("#job-notes", "end")
    reader.wait("window.letGo")
    reader.tab.run("letGo()")
    reader.wait("at('#door-card')")
    reader.tab.run("dispatchEvent(new Event('pagehide'))")
    assert "short.txt" in str(reader.tab.run("sessionStorage.getItem('voxgate-form-book')"))


def test_names_get_voices_that_the_next_volume_knows(reader: Reader, tmp_path: Path) -> None:
    text = b"# One\nIt rained.\n\n[Ana] Hello.\n\n# Two\n[Ben] Good night.\n"
    with reader.server.client(reader.key.secret) as client:
        mix = {"name": "First of the list", "mix": [{"id": "tone/tone"}, {"id": "tone/slow"}]}
        client.post("/v1/audio/voices", json=mix).raise_for_status()
        usual = client.get("/v1/audio/voices/alloy").raise_for_status().json()
    # A cast that is said again has no voice of its own: the usual one reads.
    reader.open()
    reader.wait("!at('#speak-go').disabled")
    draft = "performance.getEntriesByType('resource').find(({ name }) => name.endsWith('/draft.js')).name"
    cast = "Object.assign(draft, { voice: '', more: { voice: { cast: { Ana: 'tone/tone' } } } })"
    reader.tab.run(f"import({draft}).then(({{ draft }}) => void {cast})")
    reader.go("jobs/book")
    reader.wait("at('#job-voice')?.disabled === false")
    choose_file(reader, tmp_path, "one.md", text)
    names = "[...document.querySelectorAll('#script-cast li .name')].map((each) => each.textContent)"
    reader.wait("document.querySelectorAll('#script-cast li').length === 3")
    assert reader.tab.run(names) == ["Narrator", "Ana", "Ben"]
    # In lists, the voice that reads has another name.
    assert reader.tab.run("at(`[aria-label='Voice of Narrator']`).value") == usual["shown_as"]
    reader.choose("[aria-label='Voice of Ana']", "tone/tone")
    reader.choose("[aria-label='Voice of Ben']", "tone/tone")
    reader.choose("[aria-label='Voice of Narrator']", "tone/tone")
    reader.fill("#script-name", "The series")
    reader.press("Save as a voice")
    reader.reads("The series is saved.")
    reader.wait("!at('#job-go').disabled")
    reader.assert_readable(LOOKS)
    choose_file(reader, tmp_path, "two.md", text.replace(b"Hello", b"Again"))
    reader.wait("at('#job-input_file_id-name').textContent.startsWith('two.md')")
    reader.wait("document.querySelectorAll('#script-cast li').length === 3")
    chosen = "[...document.querySelectorAll('#script-cast select')].slice(1).map((each) => each.value)"
    assert reader.tab.run(chosen) == ["tone/tone", "tone/tone"]
    reader.wait("!at('#job-go').disabled")
    reader.choose("#job-response_format", "opus")
    reader.choose("#job-notes", "after")
    reader.wait("at('#job-go').disabled")
    reader.wait("!at('#job-go').disabled")
    reader.press("Begin the job")
    _state(reader, "Done")
    reader.press("Say step 1 again")
    reader.reads("Steps that are spoken: 1,", "#question")
    reader.press("Not now", "at('#question')")
    # A line keeps its words.
    reader.fill("#lines-list textarea", "")
    reader.press("Say 1 changed line again")
    reader.reads("The words stay", "#lines-end-alert")
