"""`voxgate book` beside a real server: a book is shown, priced, spoken and fetched."""

import io
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.commands import run
from tests.features.books.epubs import epub, nav, xhtml
from tests.server import ALONE, Server, running

pytestmark = pytest.mark.slow

BOOK = epub(
    {
        "cover.xhtml": xhtml("<p>The cover.</p>", 'epub:type="cover"'),
        "one.xhtml": xhtml("<h1>One</h1><p>First.</p>"),
        "two.xhtml": xhtml("<h1>Two</h1><p>Second.</p>"),
        "nav.xhtml": xhtml(nav("one.xhtml|One", "two.xhtml|Two")),
    }
)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server"), ALONE) as started:
        yield started


@pytest.fixture
def book(tmp_path: Path) -> Path:
    file = tmp_path / "novel.epub"
    file.write_bytes(BOOK)
    return file


def told(beside: Server, *arguments: str) -> tuple[int, str, str]:
    environ = {"VOXGATE_CONFIG": str(beside.config), "VOXGATE_KEY": beside.key}
    done = run("book", *arguments, environ=environ)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_book_is_shown_spoken_and_saved_beside_its_file(beside: Server, book: Path) -> None:
    status, out, log = told(beside, str(book), "--model", "tone", "--voice", "alloy", "--yes")
    assert status == 0, log
    assert "not read: cover" in log
    assert "at most" in log
    assert "speaks it. It goes on if you leave: --job job_" in log
    file = book.with_suffix(".m4b")
    assert f"saved as {file}" in out
    with av.open(io.BytesIO(file.read_bytes()), "r") as opened:
        assert [each["metadata"]["title"] for each in opened.chapters()] == ["One", "Two"]


def test_nothing_is_spoken_or_kept_without_a_yes(beside: Server, book: Path) -> None:
    status, _, log = told(beside, str(book), "--model", "tone", "--voice", "alloy")
    assert (status, "add --yes" in log) == (1, True), log
    assert not book.with_suffix(".m4b").exists()
    with beside.client() as client:
        assert client.get("/v1/files").json()["data"] == []


def test_a_job_is_fetched_later_and_options_are_checked(beside: Server, book: Path) -> None:
    with beside.client() as client:
        body = {"model": "tone", "voice": "alloy", "input": "One.", "response_format": "m4b"}
        job = client.post("/v1/jobs", json=body).json()["id"]
    out = book.with_name("later.m4b")
    status, _, log = told(beside, str(book), "--job", job, "--out", str(out))
    assert (status, out.stat().st_size > 1000) == (0, True), log
    status, _, log = told(beside, str(book), "--voice", "alloy", "--voice", "Ana=nova", "--yes")
    assert (status, "NAME=VOICE" in log) == (1, True)
    status, _, log = told(beside, str(book), "--out", str(book), "--yes")
    assert (status, "the book itself" in log) == (1, True)
    status, _, log = told(beside, str(book.with_name("none.epub")), "--yes")
    assert (status, "No such file" in log) == (1, True)
