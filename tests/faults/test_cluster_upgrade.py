"""Hosts of this version of the messages and of the ones before and after, beside one gateway."""

import shutil
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from speech_engine.host.messages import HOST_API
from tests.faults.cluster_hosts import agent, gateway, host_key
from tests.faults.processes import state
from tests.server import Server
from tests.waiting import until

SOURCES = Path(__file__).parents[2]
PACKAGES = ("speech_engine", "proxy", "policies", "plugins")
CLIENTS, REQUESTS = 6, 40
_LINE = f"HOST_API = {HOST_API}\n"


@pytest.mark.soak
def test_hosts_are_upgraded_one_after_the_other_and_nothing_is_refused(tmp_path: Path) -> None:
    before = _program_of(HOST_API - 1, tmp_path / "before")
    with gateway(tmp_path / "gateway") as server:
        joined = server.url, host_key(server)
        with (
            agent(tmp_path / "one", *joined, program=before) as one,
            agent(tmp_path / "two", *joined, program=before) as two,
        ):
            _wait_for(server, 2)
            (process,) = one.hosts()
            assert process.cwd() == str(tmp_path / "before"), "it runs the version before"
            load = _Load(server)
            load.go_on()
            one.process.terminate()
            assert one.process.wait(30) == 0
            with agent(tmp_path / "one", *joined):
                _wait_for(server, 2)
                load.go_on()
                two.process.terminate()
                assert two.process.wait(30) == 0
                with agent(tmp_path / "two", *joined):
                    _wait_for(server, 2)
                    load.go_on()
                    assert load.stop() == {200}
                    assert "cluster.host.lost" not in server.log.read_text()


@pytest.mark.slow
def test_hosts_of_this_version_and_the_one_before_speak_and_a_later_one_is_refused_by_name(
    tmp_path: Path,
) -> None:
    before, after = (_program_of(HOST_API + step, tmp_path / f"step{step}") for step in (-1, 1))
    with gateway(tmp_path / "gateway") as server:
        joined = server.url, host_key(server)
        with (
            agent(tmp_path / "this", *joined),
            agent(tmp_path / "older", *joined, program=before),
            agent(tmp_path / "later", *joined, program=after) as later,
        ):
            _wait_for(server, 2)
            versions = f"its version of the messages is {HOST_API + 1}, ours {HOST_API}"
            refused = f" is refused: {versions}"
            until(lambda: state(server, "tone")["reason"].endswith(refused))
            assert state(server, "tone")["state"] == "ready"
            assert refused in server.cli("doctor", "--json", check=False).stdout
            load = _Load(server)
            load.go_on()
            assert load.stop() == {200}
            assert [line for line in server.log.read_text().splitlines() if versions in line]
            later.process.terminate()
            assert later.process.wait(30) == 0
            with agent(tmp_path / "later", *joined):
                _wait_for(server, 3)
                until(lambda: state(server, "tone")["reason"] == "")


def _program_of(version: int, folder: Path) -> tuple[str, ...]:
    """Return the command of a voxgate whose messages have this version."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(SOURCES / package, folder / package, ignore=ignored)
    messages = folder / "speech_engine/host/messages.py"
    text = messages.read_text()
    assert text.count(_LINE) == 1
    messages.write_text(text.replace(_LINE, f"HOST_API = {version}\n"))
    return ("env", "-C", str(folder), sys.executable, "-m", "proxy")


def _wait_for(server: Server, hosts: int) -> None:
    until(lambda: state(server, "tone")["slots"] == 8 * hosts, 20.0)


class _Load:
    """Clients that speak all the time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._answers: Counter[int] = Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._speak, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def go_on(self) -> None:
        """Wait for more answers."""
        enough = self._answers.total() + REQUESTS
        until(lambda: self._answers.total() >= enough, 30.0)

    def stop(self) -> set[int]:
        """End the clients. Return the statuses of all answers."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return {*self._answers}

    def _speak(self, number: int) -> None:
        with self._server.client(timeout=60.0) as client:
            while not self._over.is_set():
                body = {
                    "model": "tts-1",
                    "voice": "tone/slow",
                    "input": f"{number}.",
                    "response_format": "pcm",
                }
                self._answers[client.post("/v1/audio/speech", json=body).status_code] += 1
