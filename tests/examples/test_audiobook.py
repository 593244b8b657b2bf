"""examples/audiobook, from a file to a zip, with the plain OpenAI SDK; a shorter book by the same programs."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.clients.servers import texts
from tests.examples.conftest import ROOT
from tests.server import Server

EXAMPLE = ROOT / "examples" / "audiobook"
CAST = ("--cast", "Narrator=fable", "Ana=nova", "Ben=onyx")
_TURN = re.compile(r"\[\w+\] ")


def _made(server: Server, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "VOXGATE_URL": f"{server.url}/v1", "VOXGATE_KEY": server.key}
    command = [sys.executable, "-W", "error", str(EXAMPLE / "audiobook.py"), "book.txt", "book.zip"]
    return subprocess.run(
        [*command, *CAST, *more], cwd=folder, env=environ, capture_output=True, text=True, timeout=60
    )


def test_a_text_becomes_a_zip_of_chapters_with_subtitles(tones: Server, tmp_path: Path) -> None:
    book = runpy.run_path(str(EXAMPLE / "write_book.py"))["book"](1500)
    (tmp_path / "book.txt").write_text(book)
    first, again = _made(tones, tmp_path), _made(tones, tmp_path)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert first.stdout == again.stdout, "the second run has found the job of the first"
    with zipfile.ZipFile(tmp_path / "book.zip") as made:
        files = {name: made.read(name) for name in made.namelist()}
    chapters = re.split(r"^# (.+)\n", book, flags=re.MULTILINE)[1:]
    titles = [f"{number:02} {title}" for number, title in enumerate(chapters[::2], 1)]
    assert sorted(files) == sorted(f"{title}.{kind}" for title in titles for kind in ("mp3", "srt"))
    for title, text in zip(titles, chapters[1::2], strict=True):
        wanted = _words(_TURN.sub("", text))
        assert _words(" ".join(texts(files[f"{title}.mp3"], "mp3"))) == wanted
        lines = files[f"{title}.srt"].decode().splitlines()
        cues = [line for line in lines if line and not line.isdigit() and "-->" not in line]
        assert _words(" ".join(cues)) == wanted


def test_a_text_without_chapters_is_refused(tones: Server, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("Once upon a time.")
    refused = _made(tones, tmp_path)
    assert refused.returncode == 1
    assert "begin each with a line" in refused.stderr


def test_the_book_to_try_is_as_long_as_it_says() -> None:
    written = runpy.run_path(str(EXAMPLE / "write_book.py"))
    assert 30_000 <= len(written["book"](written["CHARACTERS"])) < 32_000


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)
