"""Books: a file is chosen, its chapters and its price are shown, it is spoken, and a line is said again."""

from pathlib import Path

import pytest

from tests.features.books.epubs import epub, nav, xhtml
from tests.features.console.console_page import ALL_LOOKS, Reader
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
    """Choose a file, and agree to its upload if that is asked."""
    (folder / name).write_bytes(content)
    reader.file(f"#job-{field}", folder / name)
    reader.wait(f"at('#question').open || at('#job-{field}-name, #job-{field}-alert')")
    if reader.tab.run("at('#question').open"):
        reader.press("Upload", "at('#question')")
    reader.wait(f"at('#job-{field}-name, #job-{field}-alert')")


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
