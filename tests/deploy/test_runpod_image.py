"""deploy/runpod: what the image copies and installs, and the handler as it runs there."""

import importlib.util
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import httpx2
import msgspec
import pytest

from speech_engine.host.remote_pieces import FarIntroduction, frames_of
from speech_engine.runner import RemotePiece, RemoteWork
from tests.waiting import until

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "deploy" / "runpod"
ROOT = FOLDER.parents[1]
TOKEN = "far-token"


def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runpod_install", FOLDER / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_image_copies_what_is_there() -> None:
    lines = [
        line.split()[1:-1] for line in (FOLDER / "Dockerfile").read_text().splitlines() if line[:4] == "COPY"
    ]
    assert len(lines) == 3
    assert all((ROOT / source).exists() for sources in lines for source in sources)


def test_what_the_engine_needs_is_installed_as_its_plugin_says() -> None:
    packages, bare = install().commands("xtts")
    assert any(package.startswith("torch") for package in packages)
    assert Path(packages[packages.index("-c") + 1]).is_file()
    assert "--no-deps" in bare
    assert any(package.startswith("coqui-tts==") for package in bare)
    assert install().commands("tone") == []


def test_each_variable_of_the_handler_is_documented() -> None:
    read = set(re.findall(r"VOXGATE_[A-Z_]+", (FOLDER / "handler.py").read_text()))
    assert read == set(re.findall(r"^\|`(VOXGATE_[A-Z_]+)`", (FOLDER / "README.md").read_text(), re.M))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("ends", ["VOXGATE_STOP_S", "VOXGATE_IDLE_S"])
def test_a_pod_works_for_who_has_its_token_and_ends_by_itself(ends: str) -> None:
    port = free_port()
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "VOXGATE_WORKER": "plugins.tone.worker",
        "VOXGATE_DEVICE": "cpu",
        "VOXGATE_TOKEN": TOKEN,
        "VOXGATE_PORT": str(port),
        ends: "3",
    }
    pod = subprocess.Popen([sys.executable, str(FOLDER / "handler.py")], env=environ, cwd=ROOT)
    try:
        asking = httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {TOKEN}"}
        )
        with asking:
            _wait(lambda: asking.get("/health").is_success)
            sent = msgspec.json.encode({"input": RemoteWork(key="k", most_s=5.0)})
            assert asking.post("/run", content=sent).status_code == 200
            _wait(lambda: asking.get("/status/k").json()["status"] == "COMPLETED")
            pieces = msgspec.convert(asking.get("/status/k").json()["output"], list[RemotePiece])
        assert isinstance(next(frames_of(pieces)), FarIntroduction)
        assert pod.wait(30) == 0
    finally:
        pod.kill()
        pod.wait()


def _wait(is_so: Callable[[], object]) -> None:
    def is_there() -> bool:
        with suppress(httpx2.HTTPError):
            return bool(is_so())
        return False

    until(is_there)


RUNPOD = """
import asyncio, json, sys
sent = json.load(sys.stdin)
async def pieces(handler):
    return [piece async for piece in handler({"id": "x", "input": sent})]
class serverless:
    @staticmethod
    def start(config):
        assert config["return_aggregate_stream"] is True
        print(json.dumps(asyncio.run(pieces(config["handler"]))))
"""


def test_a_serverless_worker_gives_pieces_that_runpod_can_write_as_json(tmp_path: Path) -> None:
    (tmp_path / "runpod.py").write_text(RUNPOD)
    environ = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "VOXGATE_WORKER": "plugins.tone.worker",
        "VOXGATE_DEVICE": "cpu",
    }
    done = subprocess.run(
        [sys.executable, str(FOLDER / "handler.py")],
        input=msgspec.json.encode(RemoteWork(key="k", most_s=5.0)),
        stdout=subprocess.PIPE,
        env=environ,
        cwd=tmp_path,
        timeout=60,
        check=True,
    )
    last = done.stdout.splitlines()[-1]
    (only,) = msgspec.json.decode(last, type=list[RemotePiece])
    assert only.is_last
