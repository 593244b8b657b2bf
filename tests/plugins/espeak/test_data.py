"""Finding the library and its data: long paths, missing files, and what is said then."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.espeak.data import LONGEST_PATH_BYTES, build_of, short_path
from plugins.espeak.plugin import EspeakSettings
from speech_engine import EngineUnavailable
from tests.plugins.espeak.heard import espeak
from tests.tables import each_row

pytestmark = pytest.mark.slow

DATA = Path(build_of(EspeakSettings()).data)

SPEAK_FROM = """
import asyncio, sys
from plugins.espeak.plugin import EspeakSettings
from tests.plugins.espeak.heard import espeak, hear, said

async def main() -> None:
    async with espeak(EspeakSettings(data=sys.argv[1])) as engine:
        print("heard", (await hear(engine, said("Hello."))).loudness > 500)

asyncio.run(main())
"""

FAIL_THEN_SPEAK = """
import asyncio, sys
from plugins.espeak.plugin import EspeakSettings
from speech_engine import EngineUnavailable
from tests.plugins.espeak.heard import espeak, hear, said

async def main() -> None:
    try:
        async with espeak(EspeakSettings(data=sys.argv[1])):
            print("started")
    except EngineUnavailable as error:
        print("refused", "reinstall" in str(error))
    async with espeak() as engine:
        print("heard", (await hear(engine, said("Hello."))).loudness > 500)

asyncio.run(main())
"""


def folder_of_length(tmp_path: Path, length: int) -> Path:
    """A copy of the data (of links) whose path has exactly this many bytes."""
    parent = tmp_path
    while (missing := length - len(os.fsencode(parent)) - 1) > 100:
        parent = parent / ("d" * min(90, missing - 10))
    data = parent / ("e" * missing)
    shutil.copytree(DATA, data, copy_function=os.symlink)
    assert len(os.fsencode(data)) == length
    return data


@each_row("length", [LONGEST_PATH_BYTES, LONGEST_PATH_BYTES + 1, 400])
def test_data_on_a_long_path_speaks_and_leaves_nothing_behind(tmp_path: Path, length: int) -> None:
    data = folder_of_length(tmp_path, length)
    temporary = tmp_path / "t"
    temporary.mkdir()
    done = run(SPEAK_FROM, data, temporary)
    assert done.returncode == 0, done.stderr
    assert "heard True" in done.stdout
    assert list(temporary.iterdir()) == []


def run(program: str, data: Path, temporary: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the library does not read its data again where another test has used it."""
    return subprocess.run(
        [sys.executable, "-c", program, str(data)],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_after_a_failed_start_the_same_process_can_start(tmp_path: Path) -> None:
    (tmp_path / "data" / "lang").mkdir(parents=True)
    done = run(FAIL_THEN_SPEAK, tmp_path / "data", tmp_path)
    told = [line for line in done.stdout.splitlines() if line.startswith(("started", "refused", "heard"))]
    assert told == ["refused True", "heard True"], done.stderr


async def test_a_data_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no-such-folder"):
        async with espeak(EspeakSettings(data=str(tmp_path / "no-such-folder"))):
            pass


async def test_a_library_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"cannot be loaded from .*no-such\.so"):
        async with espeak(EspeakSettings(library=str(tmp_path / "no-such.so"))):
            pass


async def test_another_library_is_not_taken_for_espeak() -> None:
    with pytest.raises(EngineUnavailable, match=r"not an espeak-ng of 1\.52"):
        async with espeak(EspeakSettings(library="libc.so.6")):
            pass


def test_a_short_path_is_used_as_it_is() -> None:
    with short_path("/usr") as path:
        assert path == "/usr"


def test_where_even_temporary_files_lie_deep_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder_of_length(tmp_path, 300)
    monkeypatch.setattr("tempfile.tempdir", str(data.parent))
    with pytest.raises(EngineUnavailable, match="TMPDIR"), short_path(str(data)):
        pass
