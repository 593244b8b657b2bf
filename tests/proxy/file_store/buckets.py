"""Helpers: a bucket, one server for each test process, and a faulty server before it.

In `make test` it is a small one of ours. In `make slow` it is moto's.
"""

import asyncio
import atexit
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from proxy.config.sections import VaultSection
from tests.clients import environments
from tests.proxy.file_store.small_bucket import SmallBuckets
from tests.proxy.file_store.vaults import key_text
from tests.waiting import until

_PROGRAM = Path(__file__).parent / "moto_program.py"
_numbers = iter(range(1_000_000))


BUCKET = """
store = "s3://{bucket}/pre/fix"
endpoint = "{endpoint}"
region = "us-east-1"
access_key = "file:{{folder}}/key"
secret_key = "file:{{folder}}/key"
"""
"""The settings of a vault in a bucket. Moto accepts any keys."""


class S3Server:
    """A server of moto. With a file for a recording, it has its objects again after it was killed."""

    def __init__(self, recording: Path | None = None) -> None:
        self._recording = [] if recording is None else [str(recording)]
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. Raises Absent."""
        command = [str(environments.python("moto")), str(_PROGRAM), str(self._port), *self._recording]
        # It ends with its input: a test process that is killed leaves no server.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers, within_s=60)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def make_bucket(self, name: str) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", method="PUT"), timeout=30).close()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1):
                return True
        except OSError:
            return False


def shared_server() -> S3Server | SmallBuckets:
    """Return this process's S3 server. Raises Absent."""
    return _small() if environments.stands_in() else _moto()


@cache
def _small() -> SmallBuckets:
    return SmallBuckets()


@cache
def _moto() -> S3Server:
    server = S3Server()
    server.start()
    atexit.register(server.kill)
    return server


def s3_address() -> str:
    """Return the address of this process's S3 server. Raises Absent."""
    return shared_server().url


def make_bucket() -> str:
    """Make an empty bucket, and return its name."""
    name = f"vault-{next(_numbers)}"
    shared_server().make_bucket(name)
    return name


def section(bucket: str | None = None, endpoint: str = "", **more: object) -> VaultSection:
    """Return the settings of a vault in a bucket, a new one by default."""
    return VaultSection(
        master_key=key_text(),
        store=f"s3://{bucket or make_bucket()}/pre/fix",
        endpoint=endpoint or s3_address(),
        region="us-east-1",
        access_key="k",
        secret_key="s",
        **more,  # type: ignore[arg-type]  # the fields of a section
    )


class Fault(NamedTuple):
    """How the faulty server treats a request: it waits, answers a status, cuts the body, or repeats its first
    answer. `times` counts down the requests with this method and `part` in the path or query."""

    method: str = ""
    part: str = ""
    wait_s: float = 0.0
    status: int = 0
    cuts: bool = False
    is_late: bool = False
    times: int = 1_000_000


class FaultyStore:
    """A server before moto. `requests` has the first line of each request."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.requests: list[str] = []
        self.url = ""
        self._first = b""
        self.is_over = asyncio.Event()
        self.answering: set[asyncio.Task[None]] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.answering.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()
            self.answering.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        self.requests.append(lines[0])
        method, path, _ = lines[0].split(" ")
        fault = self.fault
        if fault is None or fault.method not in ("", method) or fault.part not in path or fault.times < 1:
            writer.write(await _forward(head, body))
            return
        self.fault = fault._replace(times=fault.times - 1)
        with suppress(TimeoutError):
            async with asyncio.timeout(fault.wait_s):
                await self.is_over.wait()
        if fault.status:
            error = b"<Error><Code>Faulty</Code><Message>by order</Message></Error>"
            writer.write(
                b"HTTP/1.1 %d Faulty\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                % (fault.status, len(error))
                + error
            )
            return
        answer = await _forward(head, body)
        if fault.is_late:
            answer = self._first = self._first or answer
        writer.write(answer[: len(answer) - 10] if fault.cuts else answer)
        await writer.drain()


async def _forward(head: bytes, body: bytes) -> bytes:
    host, _, port = s3_address().removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    first, _, rest = head.partition(b"\r\n")
    writer.write(first + b"\r\nConnection: close\r\n" + rest + body)
    try:
        return await reader.read()
    finally:
        writer.close()


@asynccontextmanager
async def faulty_store() -> AsyncIterator[FaultyStore]:
    store = FaultyStore()
    server = await asyncio.start_server(store.answer, "127.0.0.1", 0)
    store.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield store
    finally:
        store.is_over.set()
        server.close()
        if store.answering:
            await asyncio.wait(store.answering)
