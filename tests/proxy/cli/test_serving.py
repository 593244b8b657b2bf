"""What `voxgate serve` prints for a person: its commands do as they stand what they promise."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests import server

pytestmark = pytest.mark.slow


def test_the_printed_commands_make_a_key_of_this_server(tmp_path: Path) -> None:
    config, elsewhere = tmp_path / "my files" / "other.toml", tmp_path / "elsewhere"
    config.parent.mkdir()
    elsewhere.mkdir()
    config.write_text(server.TONE)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("VOXGATE_")}
    environ |= {"PATH": f"{server.VOXGATE.parent}:{environ['PATH']}", "VOXGATE_SERVER__METRICS": ""}
    command = [str(server.VOXGATE), "serve", "--port", "0", "--config", str(config)]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().split()[-1]
        hint = process.stdout.readline().decode()
        account, key = re.findall(r"(voxgate \w+ create.*?)(?:, then |$)", hint.strip())
        assert shlex.quote(str(config)) in account
        for each in (account, key):
            done = subprocess.run(
                ["bash", "-c", each.replace("NAME", "ana")],
                cwd=elsewhere,
                env=environ,
                capture_output=True,
                text=True,
                check=True,
            )
        secret = re.search(r"sk-vg-\w+", done.stdout)
        assert secret
        answer = httpx2.get(f"{url}/models", headers={"Authorization": f"Bearer {secret[0]}"})
        assert answer.status_code == 200, answer.text
        assert not list(elsewhere.iterdir())
    finally:
        server.stop(process)
