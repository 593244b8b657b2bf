"""A new user's first minute: `make serve` as shipped, and its printed lines pasted as they stand."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.server import START_S, free_port, stop
from tests.sound import decoded
from tests.waiting import until

pytestmark = pytest.mark.slow

_REPOSITORY = Path(__file__).parent.parent.parent
_STAMP = _REPOSITORY / ".venv" / ".serve-stamp"
"""When the environment was installed last."""
_LAST_LINE = "Ctrl-C stops it."
_COMMAND_S = 30.0


class Start(NamedTuple):
    """One `make serve`, by what it printed."""

    banner: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def key(self) -> str:
        found = re.search(r"^key: (\S+)$", self.banner, re.MULTILINE)
        assert found, self.banner
        return found[1]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with _made(_shipped(tmp_path_factory.mktemp("first"))) as start:
        yield start


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_printed_curl_line_leaves_an_mp3(first: Start, tmp_path: Path) -> None:
    lines = [line for line in first.banner.splitlines() if line.startswith("curl ")]
    assert len(lines) == 1
    _run(tmp_path, "bash", "-c", lines[0])
    _assert_speech(tmp_path / "hello.mp3")


def test_the_printed_link_opens_the_page_with_the_key(first: Start) -> None:
    assert re.search(rf"^Open http://127\.0\.0\.1:\d+/#key={first.key}$", first.banner, re.MULTILINE)


def test_the_printed_python_lines_leave_an_mp3(first: Start, tmp_path: Path) -> None:
    _, begin, rest = first.banner.partition("from openai import OpenAI\n")
    program, _, _ = (begin + rest).partition("\n\n")
    assert len(program.splitlines()) == 3
    _run(tmp_path, sys.executable, "-c", program)
    _assert_speech(tmp_path / "hello.mp3")


def test_the_second_start_installs_nothing_and_keeps_the_key(first: Start) -> None:
    """The last test, which ends the first start."""
    stop(first.process)
    kept = first.folder / "data" / "dev-key"
    assert kept.read_text() == f"{first.key}\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    installed = _STAMP.stat().st_mtime_ns
    with _made(first.folder) as again:
        assert again.key == first.key
    assert _STAMP.stat().st_mtime_ns == installed


def _shipped(folder: Path) -> Path:
    """The configuration that comes with the project, beside data of its own: a developer's stays as it is."""
    shutil.copy(_REPOSITORY / "config.toml", folder)
    return folder


@contextmanager
def _made(folder: Path) -> Iterator[Start]:
    environ = {
        **os.environ,
        "VOXGATE_CONFIG": str(folder / "config.toml"),
        "VOXGATE_SERVER__METRICS": f"127.0.0.1:{free_port()}",
    }
    printed, log = folder / "printed.txt", folder / "server.log"
    with printed.open("wb") as out, log.open("ab") as err:
        command = ("make", "--silent", "serve", "PORT=0", "VOICES=plain")
        process = subprocess.Popen(command, cwd=_REPOSITORY, env=environ, stdout=out, stderr=err)
    try:

        def is_printed() -> bool:
            assert process.poll() is None, log.read_text()[-4000:]
            return _LAST_LINE in printed.read_text()

        until(is_printed, START_S)
        yield Start(printed.read_text(), folder, process)
    finally:
        stop(process)


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_COMMAND_S, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _assert_speech(file: Path) -> None:
    heard = decoded(file.read_bytes(), "mp3")
    assert 0.3 < heard.seconds < 5
    assert heard.loudness > 0.01
