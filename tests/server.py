"""A real `voxgate serve` for tests: its own port, data folder and config, stopped by pid."""

import json
import os
import re
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests import forked
from tests.commands import command as command
from tests.suite.held import note_holds

VOXGATE = forked.VOXGATE
START_S = 60.0
FIRST_AUDIO_S = 25.0
"""What a test's server waits for first audio, where its config does not say: a busy machine may need long."""
STOP_S = 40.0
MOST_HELD_S = 0.15
"""What a step may hold a worker's loop, by CPU time. Beside other processes, the same work takes more."""
MOST_KEPT_S = 0.6
"""By another thread: what a busy machine keeps from both is not told apart from that."""

TONE = """
[server]
default_model = "tone"
[engines.tone]
[engines.espeak]
processes = 1
[models]
"tone" = ["tone/standard"]
"tts-1" = ["tone/standard"]
[voices.alloy]
tone = "tone"
espeak = "f3"
"""
"""A config whose default engine says in tones what it was asked to say; see plugins/tone/README.md."""
ALONE = TONE.replace("[engines.espeak]\nprocesses = 1\n", "").replace('espeak = "f3"\n', "")
"""That engine alone: each host is a process."""

Process = subprocess.Popen[bytes] | forked.Forked


class MintedKey(NamedTuple):
    id: str
    secret: str


class Server(NamedTuple):
    """One that runs. `url` is the root, without /v1; `key` a speech key; `log` its stderr so far."""

    process: Process
    url: str
    key: str
    config: Path
    data: Path
    metrics: str
    log: Path

    def client(self, key: str | None = None, timeout: float = 30.0) -> httpx2.Client:
        headers = {"authorization": f"Bearer {key or self.key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=timeout)

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`voxgate …` beside the running server, inside this process."""
        return command(self.config, *arguments, check=check)

    def control(self) -> httpx2.Client:
        """The operator's way in, by the server's control socket: `/admin/…` without a key."""
        socket = Path(os.readlink(self.data / "run")) / "control.sock"
        transport = httpx2.HTTPTransport(uds=str(socket))
        return httpx2.Client(transport=transport, base_url="http://control", timeout=30.0)

    def mint_key(self, account: str = "dev", *, plan: str = "", role: str = "speech") -> MintedKey:
        """A new key; with a plan, of a new account. Quicker than two commands, each with its own imports."""
        with self.control() as control:
            if plan:
                made = control.post("/admin/accounts", json={"name": account, "plan": plan})
                assert made.is_success, made.text
            made = control.post("/admin/keys", json={"account": account, "role": role})
        assert made.is_success, made.text
        return MintedKey(made.json()["id"], made.json()["key"])

    def speech(self, text: str, **more: object) -> httpx2.Response:
        body = {"model": "tts-1", "voice": "alloy", "input": text, **more}
        with self.client() as client:
            return client.post("/v1/audio/speech", json=body)


@contextmanager
def running(
    folder: Path,
    config: str | None = ALONE,
    *,
    environ: Mapping[str, str] | None = None,
    command: tuple[str, ...] = (),
    cwd: Path | None = None,
    start_s: float = START_S,
) -> Iterator[Server]:
    """Starts one on a free port, waits until it says that it serves, and ends it with SIGTERM.

    Steps that held the loop of a worker for long are in the run's report. Without `config` there is no file,
    and `cwd` must be the folder.
    """
    file, log = folder / "config.toml", folder / "server.log"
    metrics = f"127.0.0.1:{free_port()}"
    env = {**os.environ, "VOXGATE_SERVER__METRICS": metrics}
    if config is not None:
        file.write_text(config)
        env |= {"VOXGATE_CONFIG": str(file), "VOXGATE_SERVER__DEV_KEY": "true"}
    if "first_audio_s" not in (config or ""):
        env["VOXGATE_SERVER__FIRST_AUDIO_S"] = str(FIRST_AUDIO_S)
    if "[samples]" not in (config or ""):
        # A server that has nothing to do would begin to speak.
        env["VOXGATE_SAMPLES__MB"] = "0"
    env.update(environ or {})
    with log.open("ab") as stderr:
        words = command or (str(VOXGATE), "serve", "--port", "0")
        process = forked.start(words, env, cwd, stderr.fileno())
    try:
        url, key = _wait(process, log, start_s)
        yield Server(process, url, key, file, folder / "data", f"http://{metrics}/metrics", log)
    finally:
        stop(process)
    note_holds(loop_holds(log))
    # Other commands, such as make, have lines for a person there.
    plain = [] if command else plain_lines(log)
    assert not plain, f"{len(plain)} lines of the log are no JSON: {plain[:40]}"


def live_server(config: str = ALONE, **options: Any) -> Any:
    """A fixture: a server of this configuration, for all tests of a module."""

    @pytest.fixture(scope="module")
    def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        with running(tmp_path_factory.mktemp("server"), config, **options) as started:
            yield started

    return server


PLAIN = (
    TONE
    + """
[engines.inside]
plugin = "tone"
hosted = false
hears = true
[plans.poor]
allowance = 100
prices.conversion = { credits = 1, per = "second" }
[plans.metered]
allowance = 100000
prices.speech = { credits = 1, per = "second" }
[plans.small]
rpm = 5
[plans.large]
"""
)


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests of a process that leave it as it was. Its hosts may be killed now and then."""
    with running(tmp_path_factory.mktemp("plain"), PLAIN) as started:
        yield started


@contextmanager
def reconfigured(server: Server, config: str = PLAIN) -> Iterator[Server]:
    """A server with another configuration. At the end it has its own, whatever failed."""
    own = server.config.read_text()
    try:
        server.config.write_text(config)
        server.cli("reload")
        yield server
    finally:
        server.config.write_text(own)
        server.cli("reload")


_MOST_HELD_MS = {"loop": MOST_HELD_S * 1000, "another": MOST_KEPT_S * 1000}


def loop_holds(log: Path) -> list[str]:
    """The lines about steps that held the loop of a worker for too long."""
    lines = [json.loads(line) for line in log.read_bytes().splitlines() if b'"loop.held"' in line]
    return [str(line) for line in lines if line["held_ms"] >= _MOST_HELD_MS[line["thread"]]]


_NATIVE = re.compile(r"[IWEF]\d{4} \S+ +\d+ \S+\.cc:\d+\] |terminate called ")


def plain_lines(log: Path) -> list[str]:
    """The lines of a server's log that are no JSON, such as a library's traceback, or a warning of Python.
    Not those that native code writes by itself: gRPC's of a connection that ends, and the last of a host."""
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if line and not _NATIVE.match(line) and not _is_json(line)]


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def stop(process: Process, number: int = signal.SIGTERM) -> int:
    """The exit status; kills what does not end in time, and says so by the status."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(STOP_S)
    finally:
        if process.stdout:
            process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: Process, log: Path, start_s: float) -> tuple[str, str]:
    assert process.stdout is not None
    printed, deadline = b"", time.monotonic() + start_s
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while b"Ctrl-C stops it." not in printed:
            part = b""
            if selector.select(max(0.0, deadline - time.monotonic())):
                part = os.read(process.stdout.fileno(), 65536)
            printed += part
            if not part:
                raise AssertionError(f"the server did not start: {printed!r}\n{log.read_text()[-4000:]}")
    url = re.search(rb"serves on (\S+)/v1", printed)
    key = re.search(rb"key: (\S+)", printed)
    assert url, printed
    assert key, printed
    return url[1].decode(), key[1].decode()
