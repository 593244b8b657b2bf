"""A server that cannot begin says so in one line that names what to change, and exits with 1."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import TONE, VOXGATE, Server, free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        yield port


def _refused(folder: Path, config: str = TONE, port: int = 0, **more: str) -> str:
    """What it says on stderr, all of it; it must be one line, and nothing on stdout."""
    file = folder / "second.toml"
    file.write_text(config)
    metrics = f"127.0.0.1:{free_port()}"
    env = {**os.environ, "VOXGATE_CONFIG": str(file), "VOXGATE_SERVER__METRICS": metrics, **more}
    words = [str(VOXGATE), "serve", "--port", str(port)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1, done.stderr
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    return line


def test_a_second_server_on_the_same_data_folder(server: Server, folder: Path) -> None:
    said = _refused(folder, VOXGATE_SERVER__DATA=str(server.data))
    assert f"another voxgate already runs on {server.data}" in said
    assert said.startswith("voxgate could not start: server.data: ")
    assert server.speech("The first one serves on.").status_code == 200
    assert (server.data / "run" / "control.sock").exists()


def test_a_port_that_is_taken(folder: Path, taken: int) -> None:
    said = _refused(folder, port=taken)
    assert f"127.0.0.1:{taken}" in said
    assert "--port" in said
    assert not (folder / "data" / "run").exists()


def test_a_metrics_port_that_is_taken(folder: Path, taken: int) -> None:
    said = _refused(folder, VOXGATE_SERVER__METRICS=f"127.0.0.1:{taken}")
    assert said.startswith("voxgate could not start: server.metrics: ")
    assert 'VOXGATE_SERVER__METRICS=""' in said
    assert f"127.0.0.1:{taken}" in said
    assert not (folder / "data" / "run").exists()


def test_a_database_that_cannot_be_opened_ends_the_start_with_its_reason(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "voxgate.db").write_bytes(b"this is no database " * 64)
    (folder / "config.toml").write_text(TONE)
    env = {**os.environ, "VOXGATE_CONFIG": str(folder / "config.toml")}
    env["VOXGATE_SERVER__METRICS"] = ""
    words = [str(VOXGATE), "serve", "--port", "0"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "not a database" in done.stderr
    assert "Ctrl-C stops it." not in done.stdout
