"""What mutual TLS costs against the Unix socket: `python -m bench.transports`.

The host's own server runs in a process for each, with an engine that paces silence. In each round, both are
measured one after the other: the first audio, the CPU of a piece on both sides, how soon the engine ends
after its call was cancelled, and how far the host writes ahead of a reader that has stopped. The figures are
medians over the rounds.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from bench.transports_host import AHEAD, CANCELLED, Cancelled, Written
from proxy.config.clusters import ClusterSection
from proxy.hosts.cluster.authorities import make
from proxy.hosts.cluster.channels import Channels
from speech_engine import Audio, EngineVoice, Segment, Speak, SpeechJob
from speech_engine.host import messages
from speech_engine.host.messages import Begin, Frame
from tests.server import free_port

ROUNDS = 5
FIRSTS, STREAMS, PIECES, CANCELS = 200, 20, 150, 20
STALL_S = 1.0


class Measured(NamedTuple):
    """Of one transport in one round: milliseconds, microseconds of CPU a piece, and KiB."""

    first_ms: float
    first_p99_ms: float
    reader_us: float
    host_us: float
    cancel_ms: float
    ahead_kib: float


class Host:
    """One transport: how to reach the host, and what its process is."""

    def __init__(self, channel: Any, process: psutil.Process) -> None:
        self._process = process
        self._names = itertools.count()
        self._run = channel.unary_stream(
            messages.method(messages.RUN), messages.encode, messages.decoder(Frame)
        )
        self._cancelled = channel.unary_unary(CANCELLED, messages.encode, messages.decoder(Cancelled))
        self._written = channel.unary_unary(AHEAD, messages.encode, messages.decoder(Written))

    async def measured(self) -> Measured:
        firsts = sorted([await self._first() for _ in range(FIRSTS)])
        reader_us, host_us = await self._paced()
        cancels = [await self._cancel() for _ in range(CANCELS)]
        return Measured(
            1e3 * statistics.median(firsts),
            1e3 * firsts[int(0.99 * len(firsts))],
            reader_us,
            host_us,
            1e3 * statistics.median(cancels),
            await self._stalled() / 1024,
        )

    def _call(self, pieces: int, ms: int, pace: float) -> tuple[str, Any]:
        name = f"call-{next(self._names)}"
        job = SpeechJob(
            id=name,
            tenant="one",
            model="silence",
            voice=EngineVoice("silence"),
            segments=(Segment("Silence.", 0, 8),),
            language="en",
            extra={"pieces": pieces, "ms": ms, "pace": pace},
        )
        return name, self._run(Begin(name, Speak(job)))

    async def _first(self) -> float:
        began, first_s = time.monotonic(), 0.0
        _, call = self._call(pieces=3, ms=20, pace=0.0)
        async for frame in call:
            if isinstance(frame, Audio) and not first_s:
                first_s = time.monotonic() - began
        return first_s

    async def _paced(self) -> tuple[float, float]:
        async def hear() -> int:
            _, call = self._call(PIECES, ms=20, pace=1.0)
            return sum([isinstance(frame, Audio) async for frame in call])

        own, theirs = sum(os.times()[:2]), sum(self._process.cpu_times()[:2])
        pieces = sum(await asyncio.gather(*(hear() for _ in range(STREAMS))))
        assert pieces == STREAMS * PIECES
        own, theirs = sum(os.times()[:2]) - own, sum(self._process.cpu_times()[:2]) - theirs
        return 1e6 * own / pieces, 1e6 * theirs / pieces

    async def _cancel(self) -> float:
        """Return the time from the cancellation until the engine has ended. Both read the machine's clock."""
        name, call = self._call(pieces=1_000, ms=20, pace=1.0)
        for _ in range(4):
            await call.read()
        cancelled_at = time.monotonic()
        call.cancel()
        ended: Cancelled = await self._cancelled(name, timeout=10.0)
        return ended.at - cancelled_at

    async def _stalled(self) -> int:
        """Return the bytes that the host has written beyond those that were read."""
        name, call = self._call(pieces=400, ms=100, pace=0.0)
        read = 0
        while not read:
            frame = await call.read()
            read = len(frame.pcm) if isinstance(frame, Audio) else 0
        await asyncio.sleep(STALL_S)
        written: Written = await self._written(name, timeout=10.0)
        call.cancel()
        return written.bytes - read


@contextmanager
def started(address: str, folder: str) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "bench.transports_host", address, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield psutil.Process(process.pid)
        finally:
            process.kill()


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="transports-") as folder:
        make(Path(folder))
        pair = ClusterSection(
            certificate=f"{folder}/gateway.pem",
            key=f"{folder}/gateway.key",
            authority=f"{folder}/hosts-authority.pem",
        )
        unix, tcp = f"{folder}/socket", f"127.0.0.1:{free_port()}"
        with started(unix, "") as one, started(tcp, folder) as other:
            hosts = {
                "Unix socket": Host(Channels(ClusterSection()).open(messages.target(unix)), one),
                "TCP, mutual TLS": Host(Channels(pair).open(tcp), other),
            }
            found: dict[str, list[Measured]] = {name: [] for name in hosts}
            for number in range(ROUNDS + 1):
                for name, host in hosts.items():
                    measured = await host.measured()
                    # The first round warms up.
                    found[name] += [measured] * (number > 0)
    _show(found)


def _show(found: dict[str, list[Measured]]) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("|transport|first audio p50, p99 ms|CPU a piece, reader, host µs|cancelled p50 ms|ahead KiB|")
    print("|---|---|---|---|---|")
    middle = {
        name: Measured(*(statistics.median(each) for each in zip(*rounds, strict=True)))
        for name, rounds in found.items()
    }
    for name, row in middle.items():
        print(
            f"|{name}|{row.first_ms:.2f}, {row.first_p99_ms:.2f}|{row.reader_us:.0f}, {row.host_us:.0f}"
            f"|{row.cancel_ms:.2f}|{row.ahead_kib:.0f}|"
        )
    unix, tls = middle.values()
    ratio = (tls.reader_us + tls.host_us) / (unix.reader_us + unix.host_us)
    print(f"first audio {tls.first_ms - unix.first_ms:+.2f} ms, CPU a piece {ratio:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
