"""A checkout and a data folder deeper than a socket's 107 characters: sockets live elsewhere."""

import shutil
from pathlib import Path

import httpx2
import pytest

from tests.faults.plugin_folders import environ, install
from tests.faults.processes import runtime_folder
from tests.server import TONE, running
from tests.sound import decoded

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COPIED = ("proxy", "policies", "speech_engine", "plugins", "pyproject.toml", "config.toml")
TELLTALE = "import proxy\nraise RuntimeError(proxy.__file__)"


def _deep(folder: Path) -> Path:
    while len(str(folder)) <= 160:
        folder /= "a-folder-with-a-name"
    folder.mkdir(parents=True)
    return folder


def test_a_checkout_and_a_data_folder_of_long_paths_serve(folder: Path) -> None:
    checkout, data = _deep(folder / "checkout"), _deep(folder / "data") / "kept"
    for name in COPIED:
        if (ROOT / name).is_dir():
            # With what is compiled of it, as a file has the time of its original.
            shutil.copytree(ROOT / name, checkout / name)
        else:
            shutil.copy(ROOT / name, checkout)
    install(checkout, "telltale", TELLTALE)
    env = {**environ(checkout), "VOXGATE_SERVER__DATA": str(data)}
    with running(folder, TONE, environ=env, cwd=checkout) as server:
        server = server._replace(data=data)
        assert len(str(data)) > 160
        said = server.speech("Far down here.", model="espeak/standard", response_format="wav")
        assert decoded(said.content, "wav").seconds > 0.5
        assert len(str(runtime_folder(server) / "control.sock")) < 108
        # The proof that it was that copy which spoke: the worker's own place, and the host's.
        (degraded,) = httpx2.get(f"{server.url}/readyz").json()["degraded"]
        assert degraded["reason"] == f"RuntimeError: {checkout / 'proxy' / '__init__.py'}"
        assert server.speech("Where?", voice="tone/bug").status_code == 503
    assert str(checkout / "plugins" / "tone" / "voices.py") in server.log.read_text()
    assert (data / "voxgate.db").exists()
