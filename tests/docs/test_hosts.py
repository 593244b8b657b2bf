"""docs/machines.md from the certificates to speech from another machine, here with the stand-in engine."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.docs import pages
from tests.features.cluster.gateways import answers
from tests.server import ALONE, VOXGATE, free_port, running
from tests.waiting import until

pytestmark = pytest.mark.slow

_PAGE = pages.ROOT / "docs" / "machines.md"
_FIRST_COMMANDS = [
    "voxgate certificates make certificates",
    "voxgate check",
    "voxgate host",
    "voxgate check",
    "voxgate serve",
    "voxgate engines",
]


def test_a_reader_has_speech_from_another_machine(tmp_path: Path) -> None:
    commands = [line[2:] for block in pages.blocks(_PAGE, "console") for line in block.text.splitlines()]
    begins = commands.index(_FIRST_COMMANDS[0])
    assert commands[begins : begins + len(_FIRST_COMMANDS)] == _FIRST_COMMANDS
    host, gateway = (block.text.replace("xtts", "tone") for block in pages.blocks(_PAGE, "toml")[1:3])
    port, metrics = free_port(), free_port()
    host = host.replace("10.0.0.5:7070", f"127.0.0.1:{port}").replace('device = "cuda"\n', "")
    gateway = gateway.replace("10.0.0.5:7070", f"127.0.0.1:{port}")
    environ = {**os.environ, "VOXGATE_SERVER__METRICS": f"127.0.0.1:{metrics}"}

    there, here = tmp_path / "there", tmp_path / "here"
    for folder, text in ((there, host), (here, ALONE.replace("[engines.tone]\n", "") + gateway)):
        folder.mkdir()
        (folder / "config.toml").write_text(text)
    _run(_FIRST_COMMANDS[0], there)
    (here / "certificates").symlink_to(there / "certificates")
    _run(_FIRST_COMMANDS[1], there)
    with subprocess.Popen(
        [VOXGATE, "host"], cwd=there, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until(lambda: answers(f"http://127.0.0.1:{metrics}"))
            with running(here, (here / "config.toml").read_text()) as server:
                until(lambda: "ready" in server.cli("engines").stdout)
                server.cli("check")
                assert server.speech("Hello from another machine.").status_code == 200
        finally:
            process.terminate()


def _run(command: str, folder: Path) -> None:
    done = subprocess.run([VOXGATE, *command.split()[1:]], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
