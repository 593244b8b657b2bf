"""A link beside a local socket: `python -m bench.links`, or with a way of 20 and 75 ms `bench.links 20 75`.

The links process, the dialling process and the host's server are the real ones, with nginx and TLS between.
In place of a worker, this program reads the handshake and gives the connection away. The local socket and the
link are measured in turns. The processor is that of all that a link adds, in milliseconds a second of sound.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import quantiles
from types import SimpleNamespace
from typing import Any, NamedTuple

import psutil
import uvloop

from bench.links_worker import RATE_HZ
from proxy.helpers.child import Child
from proxy.hosts.host_process import open_channel
from proxy.hosts.links.handshake import send_joining
from proxy.hosts.links.link_messages import (
    INBOX,
    BeginDialling,
    BeginLinks,
    HostJoined,
    HostTargets,
    Joining,
    OfLinks,
    unpack_of_links,
)
from speech_engine import Audio, Speak, SpeechJob
from speech_engine.host import messages
from speech_engine.host.messages import Begin, Frame, PutSample
from speech_engine.values import EngineVoice
from tests.features.cluster.gateways import nginx
from tests.server import free_port
from tests.waiting import soon

GATEWAY, MACHINE, TARGET = "mch_" + "9" * 24, "mch_" + "1" * 24, "silence.0.1"
STREAMS, PIECE_MS, FIRSTS = 64, 100, 50
_DECODE = messages.decoder(Frame)
_NGINX = """
map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {folder}/own.crt;
    ssl_certificate_key {folder}/own.key;
    location = /readyz {{ return 200; }}
    location / {{
        proxy_pass http://127.0.0.1:{front};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_buffering off;
    }}
}}
"""


class Way(NamedTuple):
    """A way to the host's server, and the processes that a link has on it."""

    name: str
    path: str
    pids: tuple[int, ...] = ()

    def cpu_s(self) -> float:
        return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in self.pids)


class Calls:
    def __init__(self, way: Way) -> None:
        self._channel = open_channel(SimpleNamespace(address=way.path), is_local=not way.pids)  # type: ignore[arg-type]
        put, decode = messages.method(messages.PUT), messages.decoder(messages.PutReply)
        self._put = self._channel.unary_unary(put, messages.encode, decode)
        self._run = self._channel.unary_stream(messages.method(messages.RUN), messages.encode, _DECODE)
        self._numbers = itertools.count()

    async def first_ms(self) -> float:
        """Return when the first piece of a short job has come. The job is read to its end."""
        began = time.monotonic()
        times = [time.monotonic() async for each in self._speak(2, 0.0) if isinstance(each, Audio)]
        return (times[0] - began) * 1000

    async def late_ms(self, count: int, pace: float) -> float:
        """Read a job, and return how late its latest piece was."""
        began, late, heard = time.monotonic(), 0.0, 0
        async for each in self._speak(count, pace):
            if isinstance(each, Audio):
                late = max(late, time.monotonic() - began - heard * PIECE_MS / 1000 * pace)
                heard += 1
        assert heard == count
        return late * 1000

    async def put_ms(self) -> float:
        """Send a recording of 29 seconds."""
        began = time.monotonic()
        await self._put(PutSample("t1", "m", "0" * 64, RATE_HZ, bytes(1_400_000)))
        return (time.monotonic() - began) * 1000

    async def close(self) -> None:
        await self._channel.close()

    async def _speak(self, count: int, pace: float) -> AsyncIterator[Any]:
        number = next(self._numbers)
        extra = {"count": count, "piece_ms": PIECE_MS, "pace": pace}
        job = SpeechJob(
            id=f"job{number}",
            tenant=f"t{number % 7}",
            model="m",
            voice=EngineVoice("v"),
            segments=(),
            language="en",
            deadline_s=60.0,
            extra=extra,
        )
        async for frame in self._run(Begin(f"call{number}", Speak(job))):
            yield frame


async def main() -> None:
    for delay_ms in [float(each) for each in sys.argv[1:]] or [0.0]:
        with tempfile.TemporaryDirectory() as name:
            async with _ways(Path(name), delay_ms / 1000) as ways:
                await _measure(ways, delay_ms)


async def _measure(ways: tuple[Way, Way], delay_ms: float) -> None:
    print(f"\n{delay_ms:g} ms each way, load {os.getloadavg()[0]:.0f}")
    calls = [Calls(way) for way in ways]
    firsts: list[list[float]] = [[], []]
    for number in range(FIRSTS + 20):
        for each, found in zip(calls, firsts, strict=True):
            first_ms = await each.first_ms()
            found += [first_ms] if number >= 20 else []  # the first ones are slow
    for way, found, each in zip(ways, firsts, calls, strict=True):
        cuts = quantiles(found, n=10)
        found_ms = f"p10 {cuts[0]:.1f}, p50 {cuts[4]:.1f}, p90 {cuts[8]:.1f} ms"
        print(f"{way.name}: first piece {found_ms}; a recording of 1.4 MB {await each.put_ms():.0f} ms")
        for count, pace in ((50, 1.0), (200, 0.0)):
            before, began = way.cpu_s(), time.monotonic()
            lates = await asyncio.gather(*(each.late_ms(count, pace) for _ in range(STREAMS)))
            took_s, sound_s = time.monotonic() - began, STREAMS * count * PIECE_MS / 1000
            used = (way.cpu_s() - before) / sound_s * 1000
            speed = f"latest {max(lates):.0f} ms" if pace else f"{sound_s / took_s:.0f} x real time"
            print(f"  {STREAMS} streams, {'paced' if pace else 'flat out'}: {speed}, {used:.2f} ms a second")
        await each.close()


@asynccontextmanager
async def _ways(folder: Path, delay_s: float) -> AsyncIterator[tuple[Way, Way]]:
    """Run all that is between a gateway and a host, and give the local way and that by a link."""
    loop, front, plain, tls, far = asyncio.get_running_loop(), *(free_port() for _ in range(4))
    _make_certificate(folder)
    local, linked = f"{folder}/{TARGET}.sock", f"{folder}/l1.sock"
    text = _NGINX.format(port=plain, tls=tls, front=front, folder=folder)
    links, dialling = await Child.start("proxy.hosts.links"), await Child.start("proxy.processes.dialling")
    with _host(local), nginx(folder, plain, text):
        servers = [
            await loop.create_server(lambda: _Front(str(folder / INBOX)), "127.0.0.1", front),
            await asyncio.start_server(_relay(tls, delay_s), "localhost", far),
        ]
        links.send(BeginLinks(str(folder), GATEWAY, 0.0))
        news = links.messages_of(unpack_of_links)
        await anext(news)
        url = f"https://localhost:{far if delay_s else tls}"
        own_file = f"{folder}/own.crt"
        dialling.send(BeginDialling((url,), "vg-key", MACHINE, "1", (), str(folder), own_file))
        await _until_joined(news)
        reading = asyncio.create_task(_read_all(news))
        links.send(HostTargets(MACHINE, {linked: TARGET}))
        await soon(Path(linked).exists)
        programs = [each for each in psutil.Process().children(recursive=True) if each.name() == "nginx"]
        pids = (links.process.pid, dialling.process.pid, *(each.pid for each in programs))
        yield Way("local socket", local), Way("link", linked, pids)
        reading.cancel()
        for child in (dialling, links):
            await child.stop(1.0)
        for server in servers:
            server.close()


async def _until_joined(news: AsyncIterator[OfLinks]) -> None:
    async for each in news:
        if isinstance(each, HostJoined):
            return


async def _read_all(news: AsyncIterator[OfLinks]) -> None:
    async for _ in news:
        pass


def _make_certificate(folder: Path) -> None:
    own = ("-keyout", f"{folder}/own.key", "-out", f"{folder}/own.crt", "-subj", "/CN=localhost")
    kind = ("-x509", "-newkey", "rsa:2048", "-nodes", "-addext", "subjectAltName=DNS:localhost")
    subprocess.run(("openssl", "req", *kind, *own), check=True, capture_output=True)


@contextmanager
def _host(path: str) -> Any:
    process = subprocess.Popen((sys.executable, "-m", "bench.links_worker", path), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        process.wait()


class _Front(asyncio.Protocol):
    """What a worker does: it reads a handshake and gives its connection away."""

    def __init__(self, inbox: str) -> None:
        self._inbox, self._head = inbox, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            found = re.search(rb"(?i)sec-websocket-key: *(\S+)", self._head)
            assert found is not None
            joining = Joining("key_1", "acct_1", "", 16, MACHINE, "1", (), "", found[1].decode())
            send_joining(self._inbox, joining, self._transport.get_extra_info("socket").fileno())
            self._transport.abort()


def _relay(port: int, delay_s: float) -> Callable[..., Any]:
    """Return a server that passes all bytes on after a delay, in their order."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, last = asyncio.get_running_loop(), 0.0
        while data := await reader.read(65536):
            last = max(last, loop.time() + delay_s)
            loop.call_at(last, writer.write, data)
        loop.call_later(delay_s, writer.close)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer), return_exceptions=True)

    return serve


if __name__ == "__main__":
    uvloop.run(main())
