"""examples/audiobook, from a file to a zip: the same programs, and a shorter book."""

import re
import runpy
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.servers import texts
from tests.examples.conftest import ROOT
from tests.server import Server

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "examples" / "audiobook"
CAST = ("--cast", "Narrator=fable", "Ana=nova", "Ben=onyx")
_TURN = re.compile(r"\[\w+\] ")


@pytest.fixture
def make(tones: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Run the program on a text, as its command line does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXGATE_URL", f"{tones.url}/v1")
    monkeypatch.setenv("VOXGATE_KEY", tones.key)
    monkeypatch.setattr("sys.argv", ["audiobook.py", "book.txt", "book.zip", *CAST])

    def run(text: str) -> None:
        Path("book.txt").write_text(text)
        runpy.run_path(str(EXAMPLE / "audiobook.py"), run_name="__main__")

    return run


def test_a_text_becomes_a_zip_of_chapters_with_subtitles(
    make: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    book = runpy.run_path(str(EXAMPLE / "write_book.py"))["book"](1500)
    book = "\n# ".join(book.split("\n# ")[:3])
    make(book)
    first = capsys.readouterr().out
    make(book)
    assert capsys.readouterr().out == first, "the second run has not found the job of the first"
    with zipfile.ZipFile("book.zip") as made:
        files = {name: made.read(name) for name in made.namelist()}
    chapters = re.split(r"^# (.+)\n", book, flags=re.MULTILINE)[1:]
    titles = [f"{number} {title}" for number, title in enumerate(chapters[::2], 1)]
    assert sorted(files) == sorted(f"{title}.{kind}" for title in titles for kind in ("mp3", "srt"))
    for title, text in zip(titles, chapters[1::2], strict=True):
        wanted = _words(_TURN.sub("", text))
        assert _words(" ".join(texts(files[f"{title}.mp3"], "mp3"))) == wanted
        lines = files[f"{title}.srt"].decode().splitlines()
        cues = [line for line in lines if line and not line.isdigit() and "-->" not in line]
        assert _words(" ".join(cues)) == wanted


def test_a_text_without_chapters_is_refused(make: Callable[[str], None]) -> None:
    with pytest.raises(SystemExit, match="begin each with a line"):
        make("Once upon a time.")


def test_the_book_to_try_is_as_long_as_it_says() -> None:
    written = runpy.run_path(str(EXAMPLE / "write_book.py"))
    assert 30_000 <= len(written["book"](written["CHARACTERS"])) < 32_000


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)
