"""docs/machines.md from a gateway to speech from another machine, here with the stand-in engine."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.docs import pages
from tests.server import ALONE, VOXGATE, running
from tests.waiting import until

pytestmark = pytest.mark.slow

_PAGE = pages.ROOT / "docs" / "machines.md"
_FIRST_COMMANDS = [
    "voxgate check",
    "voxgate serve",
    "voxgate accounts create gpus",
    "voxgate keys create --account gpus --role host --cluster gpu",
    "export VOXGATE_HOST_KEY=KEY",
    "voxgate host --join https://speech.example.org",
]


def test_a_reader_has_speech_from_another_machine(tmp_path: Path) -> None:
    text = _PAGE.read_text()
    part = tmp_path / "part.md"
    part.write_text(text[text.index("## Engines on other machines") :])
    commands = [line[2:] for block in pages.blocks(part, "console") for line in block.text.splitlines()]
    assert commands[: len(_FIRST_COMMANDS)] == _FIRST_COMMANDS
    gateway, host, service = (block.text.replace("xtts", "tone") for block in pages.blocks(part, "toml"))
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
    host = host.replace('device = "cuda"\n', "")
    with running(here, ALONE.replace("[engines.tone]\n", "") + gateway) as server:
        server.cli("check")
        server.cli(*_FIRST_COMMANDS[2].split()[1:])
        key = server.cli(*_FIRST_COMMANDS[3].split()[1:], "--json")
        service = service.replace("https://speech.example.org", server.url)
        (there / "config.toml").write_text(f'[server]\nmetrics = ""\n{service}{host}')
        environ = {**os.environ, "VOXGATE_HOST_KEY": json.loads(key.stdout)["key"]}
        checked = subprocess.run([VOXGATE, "check"], cwd=there, env=environ, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen([VOXGATE, "host"], cwd=there, env=environ, **quiet) as process:  # type: ignore[call-overload]
            try:
                until(lambda: "ready" in server.cli("engines").stdout)
                assert server.speech("Hello from another machine.").status_code == 200
            finally:
                process.terminate()
