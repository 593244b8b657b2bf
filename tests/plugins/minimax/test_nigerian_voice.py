"""The example's way from an empty server to a Nigerian voice, on the fake."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages
from tests.server import free_port, running
from tests.sound import decoded

pytestmark = pytest.mark.slow

EXAMPLE = pages.ROOT / "examples/config.nigerian.toml"


def test_an_empty_server_speaks_with_a_nigerian_voice(tmp_path: Path) -> None:
    config = EXAMPLE.read_text()
    *started, bind, say = re.findall(r"^#   \$ (.+)$", config, re.MULTILINE)
    assert len(started) == 2
    config = config.replace("../data/nigerian", str(tmp_path / "data"))
    port = str(free_port())
    program = [sys.executable, "-m", "fakes.minimax", "--port", port]
    with subprocess.Popen(program, cwd=pages.ROOT, stdout=subprocess.PIPE) as fake:
        assert fake.stdout is not None
        assert port in fake.stdout.readline().decode(), "it listens"
        try:
            with running(tmp_path, config.replace("8198", port)) as server:
                script = f"{bind}\n{say}".replace("examples/config.nigerian.toml", str(server.config))
                environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
                done = subprocess.run(
                    ["bash", "-ec", script], cwd=tmp_path, env=environ, capture_output=True, text=True
                )
        finally:
            fake.terminate()
    assert done.returncode == 0, done.stderr
    assert "minimax" in done.stdout.splitlines()[-1], "by the route of its language"
    assert decoded((tmp_path / "lagos.wav").read_bytes(), "wav").seconds > 0.3
