"""beep installed as a stranger's plugin would be: by pip, into a folder beside the server's environment."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import plugin_folders
from tests.server import ALONE, Server, running

ROOT = Path(__file__).parents[2]
BEEP = ROOT / "examples" / "beep"

_NAMES = "".join(f'[voices.{name}]\ntone = "tone"\n' for name in ("echo", "fable", "nova", "onyx", "shimmer"))


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose voices say in tones what they were asked to say."""
    hearing = ALONE.replace("[engines.tone]", "[engines.tone]\nhears = true")
    hearing = hearing.replace("[models]", '[models]\n"whisper-1" = ["tone/ears"]')
    with running(tmp_path_factory.mktemp("tones"), hearing + _NAMES) as server:
        yield server


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="session")
def anyascii(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package that the worker imports. Skips where pip reaches no index."""
    folder = tmp_path_factory.mktemp("anyascii")
    pins = str(BEEP / "voxgate_beep" / "constraints.txt")
    done = pip("install", "--quiet", "--no-deps", "--target", str(folder), "--requirement", pins)
    if done.returncode:
        pytest.skip(f"pip reaches no package index: {done.stderr}")
    return folder


@pytest.fixture(scope="session")
def installed(anyascii: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The process environment in which beep is installed, and environments are built from nothing."""
    place = tmp_path_factory.mktemp("beep")
    # Building leaves files beside the sources.
    source = shutil.copytree(BEEP, place / "source", ignore=shutil.ignore_patterns("__pycache__"))
    done = pip("install", "--quiet", "--no-deps", "--target", str(place / "packages"), str(source))
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    downloads = pip("cache", "dir").stdout.strip()
    return {
        **plugin_folders.environ(place / "packages"),
        "XDG_CACHE_HOME": str(place / "cache"),
        **({"PIP_CACHE_DIR": downloads} if downloads else {}),
    }
