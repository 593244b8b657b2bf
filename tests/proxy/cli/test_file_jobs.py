"""`voxgate book` and `voxgate dub` beside a real server: files are shown, priced, spoken and fetched."""

import io
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.commands import run
from tests.features.books.epubs import epub, nav, xhtml
from tests.features.dubs.rig import SRT, original_of, sound_of
from tests.server import ALONE, VOXGATE, Server, running

pytestmark = pytest.mark.slow

BOOK = epub(
    {
        "cover.xhtml": xhtml("<p>The cover.</p>", 'epub:type="cover"'),
        "one.xhtml": xhtml("<h1>One</h1><p>First.</p>"),
        "two.xhtml": xhtml("<h1>Two</h1><p>Second.</p>"),
        "nav.xhtml": xhtml(nav("one.xhtml|One", "two.xhtml|Two")),
    }
)
_ALLOY = ("--model", "tone", "--voice", "alloy")
_VOICES = ("--model", "tone", "--voice", "Ana=alloy", "--voice", "Ben=alloy")


_PLANS = """
[plans.metered]
prices.speech = { credits = 1, per = "character" }
[plans.poor]
allowance = 1
prices.speech = { credits = 1, per = "character" }
"""


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server"), ALONE + _PLANS) as started:
        yield started._replace(key=started.mint_key("writer", plan="metered").secret)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    file = tmp_path / "novel.epub"
    file.write_bytes(BOOK)
    return file


@pytest.fixture
def video(tmp_path: Path) -> Path:
    file = tmp_path / "video.srt"
    file.write_text(SRT)
    return file


def told(beside: Server, *arguments: str, key: str = "") -> tuple[int, str, str]:
    environ = {"VOXGATE_CONFIG": str(beside.config), "VOXGATE_KEY": key or beside.key}
    done = run(*arguments, environ=environ)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_book_is_shown_spoken_saved_and_said_again(beside: Server, book: Path) -> None:
    status, out, log = told(beside, "book", str(book), "--model", "tone", "--voice", "alloy", "--yes")
    assert status == 0, log
    assert "not read: cover" in log
    assert "at most" in log
    assert "speaks it. It goes on if you leave: --job job_" in log
    file = book.with_suffix(".m4b")
    assert f"saved as {file}" in out
    with av.open(io.BytesIO(file.read_bytes()), "r") as opened:
        assert [each["metadata"]["title"] for each in opened.chapters()] == ["One", "Two"]
    job = log[log.index("--job job_") :].split()[1]
    again = ("book", str(book), "--again", job, "--word", "First=Primo")
    status, out, log = told(beside, *again, "--yes", "--json")
    assert (status, json.loads(out)["credits"]) == (0, 8), log


def test_nothing_is_spoken_or_kept_without_a_yes(beside: Server, book: Path, video: Path) -> None:
    key = beside.mint_key("unsure", plan="poor").secret
    for name, file in (("book", book), ("dub", video)):
        status, _, log = told(beside, name, str(file), *_ALLOY, key=key)
        assert (status, "add --yes" in log) == (1, True), log
        assert [each.name for each in file.parent.iterdir() if each.suffix in {".m4b", ".flac"}] == []
    with beside.client(key) as client:
        assert client.get("/v1/files").json()["data"] == []
        assert client.get("/v1/jobs").json()["data"] == []


def test_a_job_is_fetched_later_and_options_are_checked(beside: Server, book: Path) -> None:
    with beside.client() as client:
        body = {"model": "tone", "voice": "alloy", "input": "One.", "response_format": "m4b"}
        job = client.post("/v1/jobs", json=body).json()["id"]
    out = book.with_name("later.m4b")
    status, _, log = told(beside, "book", str(book), "--job", job, "--out", str(out))
    assert (status, out.stat().st_size > 1000) == (0, True), log
    for arguments, why in (
        ((str(book), "--voice", "alloy", "--voice", "Ana=nova", "--yes"), "NAME=VOICE"),
        ((str(book), "--voice", "alloy", "--again", job), "NAME=VOICE"),
        ((str(book), "--word", "Ana", "--again", job), "WORD=SPOKEN"),
        ((str(book), "--word", "Ana=Anna"), "--word: this is for --again"),
        (
            (str(book), "--notes", "end", "--again", job),
            "--notes: a job that is said again keeps what it had",
        ),
        ((str(book), "--language", "no tag", "--model", "tone", "--voice", "alloy"), "'language'"),
        ((str(book), "--language", "pt-BR", "--again", job), "--language: a job that is said again"),
        ((str(book), "--out", str(book), "--yes"), "a file that is read"),
        ((str(book.with_name("none.epub")), "--yes"), "No such file"),
    ):
        status, _, log = told(beside, "book", *arguments)
        assert (status, why in log) == (1, True), log


def test_a_dub_is_as_long_as_its_original_and_said_again(beside: Server, video: Path) -> None:
    film = video.with_name("sound.flac")
    film.write_bytes(original_of(8.0))
    arguments = ("dub", str(video), "--original", str(film), *_VOICES, "--yes")
    status, out, log = told(beside, *arguments, "--out", str(film))
    assert (status, "a file that is read" in log) == (1, True), log
    status, _, log = told(beside, *arguments, "--length", "0")
    assert (status, "length_s" in log) == (1, True), log
    status, out, log = told(beside, *arguments, "--json")
    assert status == 0, log
    made = json.loads(out)
    assert (made["credits"], made["report"]["late"]) == (14, 0)
    track = video.with_suffix(".flac")
    assert (made["file"], len(sound_of(track.read_bytes())[0])) == (str(track), 8 * 48_000)
    video.write_text(SRT.replace("Two.", "2."))
    before = track.read_bytes()
    again = ("dub", str(video), "--again", made["id"])
    status, _, log = told(beside, *again)
    assert (status, "1 steps, " in log, "add --yes" in log) == (1, True, True), log
    status, out, log = told(beside, *again, "--yes", "--json")
    assert (status, json.loads(out)["credits"]) == (0, 2), log
    assert track.read_bytes() != before
    status, out, log = told(beside, *again, "--cues", "1,3", "--yes", "--json")
    assert json.loads(out)["credits"] == 12, log
    status, _, log = told(beside, *again, "--original", str(video))
    assert (status, "--original: a job that is said again" in log) == (1, True), log
    status, _, log = told(beside, *again, "--cues", "one")
    assert (status, "write 5,12" in log) == (1, True)


def test_lines_that_are_late_are_named(beside: Server, video: Path) -> None:
    texts = ("A line that is much too long for its time.", "Soon.")
    cues = enumerate(texts, 1)
    video.write_text("".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},500\n{text}\n\n" for n, text in cues))
    status, out, log = told(beside, "dub", str(video), *_VOICES, "--format", "m4a", "--yes")
    assert status == 0, log
    assert video.with_suffix(".m4a").read_bytes()[4:12] == b"ftypM4A "
    assert "cue 2, Ana: " in out
    assert " s late\n" in out


def test_a_job_goes_on_after_ctrl_c(beside: Server, video: Path) -> None:
    key = beside.mint_key("broke", plan="poor").secret
    environ = {**os.environ, "VOXGATE_CONFIG": str(beside.config), "VOXGATE_KEY": key}
    command = [str(VOXGATE), "dub", str(video), *_VOICES, "--yes"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as asking:
        assert asking.stderr
        while (line := asking.stderr.readline()) and b"waits for credits" not in line:
            pass
        assert b"waits for credits" in line
        asking.send_signal(signal.SIGINT)
        log = asking.stderr.read().decode()
    assert (asking.returncode, "Traceback" in log) == (130, False), log
    with beside.client(key) as client:
        (job,) = client.get("/v1/jobs").json()["data"]
        assert client.get("/v1/files").json()["data"] == [], "the job has what it needs"
    beside.cli("accounts", "grant", "broke", "100")
    status, out, log = told(beside, "dub", str(video), "--job", job["id"], key=key)
    saved = f"saved as {video.with_suffix('.flac')}, 0.0 MB\n"
    assert (status, out) == (0, f"{saved}Cues without a name behind a named one, spoken by Ana: 1\n"), log
