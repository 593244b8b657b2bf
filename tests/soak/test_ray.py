"""deploy/ray on two nodes of Ray: hosts by load, and a replica, a host or GCS that is killed."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import yaml

from tests.clients import environments
from tests.databases import Postgres
from tests.faults.cluster_hosts import GATEWAY, host_key
from tests.faults.processes import is_over, state
from tests.faults.streams import stream
from tests.features.cluster.gateways import gateways
from tests.redis_server import redis_server
from tests.server import VOXGATE, Server, free_port
from tests.waiting import until

RAY = Path(__file__).parents[2] / "deploy" / "ray"
PROGRAM = Path(__file__).parent / "ray_program.py"
SLOTS = 8
START_S = 300.0
"""What Ray may take for a start: on a busy machine, its processes alone need two minutes."""
BYTES_OF_LETTER = 2 * 24 * 24 * 2
"""Two symbols of 24 ms, at 24 samples a millisecond."""

_HOST = """
[server]
data = "data"
[host]
gateways = ["{url}"]
api_key = "env:VOXGATE_HOST_KEY"
[engines.tone]
slots = {slots}
"""
_ARGS = {"engine": "tone", "drain_s": 150, "max_replicas": 2}
_SCALING = {"upscale_delay_s": 1, "downscale_delay_s": 2, "look_back_period_s": 3}
"""Both in place of the arguments of serve.yaml."""


class Site(NamedTuple):
    """A gateway, and the program that has the nodes."""

    server: Server
    ray: subprocess.Popen[str]

    def hosts(self) -> list[psutil.Process]:
        """The hosts whose replicas live."""
        below = psutil.Process(self.ray.pid).children(recursive=True)
        return [each for each in below if "--ends-with-stdin" in _words(each)]

    def gcs(self, order: str) -> None:
        assert self.ray.stdin is not None
        assert self.ray.stdout is not None
        self.ray.stdin.write(f"{order}\n")
        self.ray.stdin.flush()
        assert self.ray.stdout.readline().strip() == order

    def wait_for(self, hosts: int) -> None:
        until(lambda: state(self.server, "tone")["slots"] == hosts * SLOTS, START_S)


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


@pytest.fixture(scope="module")
def site(shared_postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    try:
        python = environments.python("ray", RAY / "requirements.txt")
    except environments.Absent as absent:
        pytest.skip(str(absent))
    folder = tmp_path_factory.mktemp("ray")
    port = free_port()
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server("--port", str(port)))
        (folder / "gateway").mkdir()
        started = gateways(folder / "gateway", url, redis.url, count=1, config=GATEWAY)
        (server,) = stack.enter_context(started).servers
        file = folder / "host.toml"
        file.write_text(_HOST.format(url=server.url, slots=SLOTS))
        environ = {
            **os.environ,
            "PATH": f"{VOXGATE.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(RAY),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_REDIS_ADDRESS": f"127.0.0.1:{port}",
            "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "VOXGATE_CONFIG": str(file),
            "VOXGATE_HOST_KEY": host_key(server),
        }
        ray = stack.enter_context(_nodes(python, folder, environ))
        yield Site(server, ray)


@contextmanager
def _nodes(python: Path, folder: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Two nodes with the application, which need not have a host yet."""
    # Not in pytest's own folder: the path of a socket may have 107 characters.
    short, log = Path(tempfile.mkdtemp(prefix="ray")), folder / "ray.log"
    with log.open("a") as errors:
        ray = subprocess.Popen(
            [python, PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environ | {"RAY_TMPDIR": str(short)},
            text=True,
        )
    try:
        assert ray.stdout is not None
        address = ray.stdout.readline().strip()
        assert address, log.read_text()
        file = folder / "serve.yaml"
        config = yaml.safe_load((RAY / "serve.yaml").read_text())
        config["applications"][0]["args"] |= _ARGS | _SCALING
        file.write_text(json.dumps(config))
        # Not the script `serve`: the environment was built in a folder of another name, which scripts have.
        serve = (python, "-m", "ray.serve.scripts", "run", "--non-blocking", "--address", address, file)
        with log.open("a") as errors:
            subprocess.run(serve, env=environ, stdout=errors, stderr=errors, check=True, timeout=START_S)
        yield ray
    finally:
        with suppress(subprocess.TimeoutExpired):
            ray.communicate(timeout=START_S)
        ray.kill()
        shutil.rmtree(short, ignore_errors=True)


def _speak(server: Server, words: int) -> bool:
    """Speak in real time. Tell whether all of the sound came."""
    text = "word " * words
    with stream(server, "tone/slow", text) as speech:
        speech.read_all()
    return speech.heard >= len(text.strip()) * BYTES_OF_LETTER


@contextmanager
def _load(server: Server) -> Iterator[None]:
    """Six short streams at once, again and again. All of them must be whole."""
    has_ended = threading.Event()

    def speak() -> bool:
        found = [_speak(server, 10)]
        while not has_ended.is_set():
            found.append(_speak(server, 10))
        return all(found)

    with ThreadPoolExecutor(6) as pool:
        speaking = [pool.submit(speak) for _ in range(6)]
        try:
            yield
        finally:
            has_ended.set()
        assert all(each.result() for each in speaking)


def _running(server: Server) -> int:
    return int(state(server, "tone")["running"])


def test_hosts_come_and_go_with_the_load_and_no_stream_breaks_off(site: Site) -> None:
    site.wait_for(1)
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        with _load(site.server):
            long = [pool.submit(_speak, site.server, 300) for _ in range(2)]
            site.wait_for(2)
            print(f"two hosts after {time.monotonic() - began:.1f} s of load")
            # The new host has the least to do, so it gets these.
            long += [pool.submit(_speak, site.server, 300) for _ in range(2)]
            until(lambda: _running(site.server) >= 6)
        began = time.monotonic()
        site.wait_for(1)
        print(f"one host after {time.monotonic() - began:.1f} s without it")
        assert _speak(site.server, 20)
        assert len(site.hosts()) == 2, "the one that leaves has no work"
        assert all(each.result() for each in long)
    until(lambda: len(site.hosts()) == 1)


def test_a_killed_replica_comes_back_and_its_host_ends_with_its_work(site: Site) -> None:
    site.wait_for(1)
    (old,) = site.hosts()
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(_speak, site.server, 60)
        until(lambda: _running(site.server) == 1)
        old.parent().kill()
        new_s = _new_host(site, old)
        assert long.result()
    until(lambda: is_over(old))
    print(f"after a killed replica there was a new host after {new_s:.1f} s")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_host_that_is_killed_or_stopped_is_replaced(site: Site, number: int) -> None:
    site.wait_for(1)
    (old,) = site.hosts()
    os.kill(old.pid, number)
    new_s = _new_host(site, old)
    until(lambda: is_over(old))
    print(f"after signal {number} to a host there was a new one after {new_s:.1f} s")


def _new_host(site: Site, old: psutil.Process) -> float:
    """Wait until another host speaks in place of this one, which ends. Return how long that took."""
    began = time.monotonic()
    until(lambda: [each for each in site.hosts() if each.pid != old.pid], START_S)
    site.wait_for(1)
    assert _speak(site.server, 1)
    return time.monotonic() - began


def test_sound_plays_on_without_gcs_and_with_redis_it_recovers(site: Site) -> None:
    site.wait_for(1)
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(_speak, site.server, 60)
        until(lambda: _running(site.server) == 1)
        site.gcs("kill")
        while not long.done():
            assert _speak(site.server, 1)
        assert long.result()
    site.gcs("start")
    (old,) = site.hosts()
    old.parent().kill()
    print(f"after GCS was back, a killed replica had a new host after {_new_host(site, old):.1f} s")
