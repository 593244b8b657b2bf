"""Every example of the documentation runs against one real server, and prints what the page says.

`voxgate …` and Python run in this process, which has imported everything; `curl …` and the rest in a shell.
"""

import gc
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from tests import commands
from tests.docs import pages, serve_environment
from tests.docs.pages import PAGES, Block
from tests.programs import script
from tests.server import Server
from tests.sound import decoded
from tests.tables import each_row

pytestmark = pytest.mark.slow

_SHOWN_HOST = "127.0.0.1:8000"
_SHOWN = f"http://{_SHOWN_HOST}"
_SH = [block for page in PAGES for block in pages.blocks(page, "sh")]
_FILES = "first-change.md"
"""Its blocks are files, which `test_first_change.py` writes."""
_OTHERS = ("from livekit", "from pipecat")
"""How blocks begin that need an environment of their own, which `tests/clients/test_agents.py` has."""
_PYTHON = [page for page in PAGES if pages.blocks(page, "python") and page.name != _FILES]
_IMPORT = re.compile(r"^ *(?:from|import) (\w+)", re.MULTILINE)
_AUDIO = {".mp3": "mp3", ".wav": "wav", ".ogg": "opus"}


@each_row("block", _SH, ids=lambda block: block.where)
def test_a_shell_example_prints_what_the_page_says(block: Block, shipped: Server) -> None:
    if "curl" in block.text and shutil.which("curl") is None:
        pytest.skip("this machine has no curl")
    folder = _cleared(shipped)
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    if "ffmpeg" in block.text:
        script("ffmpeg", programs)
    lines = block.text.replace("\\\n", " ").splitlines()
    if all(line.startswith("voxgate ") for line in lines):
        printed = "".join(_command(line, folder, _environ(shipped)) for line in lines)
    else:
        environ = {**_environ(shipped), **serve_environment.environ(programs)}
        printed = _shell(block.text.replace(_SHOWN, shipped.url), folder, environ)
    _expect_sound(folder)
    if block.answer is not None:
        assert _matches(block.answer, printed), printed


def test_the_python_examples_need_what_a_reader_has_installed() -> None:
    """By `make serve`, or as a page says."""
    lacking = {
        (block.where, name)
        for page in _PYTHON
        for block in pages.blocks(page, "python")
        if not block.text.startswith(_OTHERS)
        for name in _IMPORT.findall(block.text)
        if name in serve_environment.refused_modules()
    }
    assert lacking == set()


@each_row("page", _PYTHON, ids=pages.name)
def test_the_python_examples_of_a_page_run_in_their_order(
    page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped: Server = request.getfixturevalue("hearing" if page.name == "transcribe.md" else "shipped")
    # At their own lines, so that a traceback names the line of the page.
    lines = [""] * len(page.read_text().splitlines())
    for block in pages.blocks(page, "python"):
        if block.text.startswith(_OTHERS):
            continue
        code = block.text.splitlines()
        lines[block.line - 1 : block.line - 1 + len(code)] = code
    text = "\n".join(lines).replace(_SHOWN_HOST, shipped.url.removeprefix("http://"))
    text = text.replace("YOUR_KEY", shipped.key)
    folder = _cleared(shipped)
    for name, value in _environ(shipped).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        names = {"__name__": "__main__"}
        exec(compile(text, str(page), "exec"), names)  # noqa: S102 - our own pages
    with warnings.catch_warnings():
        # ElevenLabs' client has no `close`: its connection ends here, and not in a later test.
        warnings.simplefilter("ignore", ResourceWarning)
        names.clear()
        gc.collect()
    _expect_sound(folder)


def _environ(server: Server) -> dict[str, str]:
    return {
        "HOME": str(server.config.parent),
        "PATH": f"{Path(sys.executable).parent}:{server.config.parent / 'programs'}:{os.environ['PATH']}",
        "KEY": server.key,
        "VOXGATE_CONFIG": str(server.config),
        "COLUMNS": "120",
    }


def _cleared(server: Server) -> Path:
    """The folder of the server, in which all runs as the pages tell. What others left there is gone."""
    folder = server.config.parent
    # Without this curl would take an error for an answer.
    (folder / ".curlrc").write_text("fail\n")
    for old in folder.glob("*.*"):
        if old.suffix in (*_AUDIO, ".tar"):
            old.unlink()
    return folder


def _command(line: str, folder: Path, environ: Mapping[str, str]) -> str:
    line, _, file = line.partition(" > ")
    done = commands.run(*shlex.split(line)[1:], environ=environ, folder=folder)
    assert done.returncode == 0, done.stderr.decode()
    if file:
        (folder / file).write_bytes(done.stdout)
        return ""
    return done.stdout.decode()


def _shell(text: str, folder: Path, environ: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{text}"],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _expect_sound(folder: Path) -> None:
    """What was written must be sound that can be played."""
    for file in folder.iterdir():
        if file.suffix in _AUDIO:
            heard = decoded(file.read_bytes(), _AUDIO[file.suffix])
            assert heard.seconds > 0.3, file
            assert heard.loudness > 0.005, file


def _matches(answer: Block, printed: str) -> bool:
    if answer.language == "json":
        return _same(json.loads(answer.text), json.loads(printed))
    return _same(_lines(answer.text), _lines(printed))


def _lines(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _same(shown: Any, real: Any) -> bool:
    """Equal, where `…` in a shown text stands for anything, and a number for any number of its kind."""
    if isinstance(shown, dict) and isinstance(real, dict):
        return shown.keys() == real.keys() and all(_same(shown[key], real[key]) for key in shown)
    if isinstance(shown, list) and isinstance(real, list):
        return len(shown) == len(real) and all(map(_same, shown, real))
    if isinstance(shown, str) and isinstance(real, str):
        parts = [re.sub(r"\d+", r"\\d+", re.escape(part)) for part in shown.split("…")]
        return re.fullmatch(".*".join(parts), real, re.DOTALL) is not None
    return type(shown) is type(real) and (isinstance(shown, (int, float)) or shown == real)
