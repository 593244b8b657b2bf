"""WebSockets against floods: what an honest listener waits beside them, and what a socket costs.

    .venv/bin/python -m bench.socket_floods              # all floods, from 1, 20 and 100 sockets
    .venv/bin/python -m bench.socket_floods pings idle   # some

Three processes: a worker with sockets that echo, the flooding clients, and the listener, which asks /healthz
each 20 ms. Each line has the p95 of its answers beside that of a quiet server, the growth of the worker's
memory, its CPU, and the steps that held its loop for 50 ms.

Beside sockets that speak, the listener has a socket, too, and waits for the first sound of one utterance
after the other. Quiet and flooded rounds take turns; a line has the medians of the rounds.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import uvloop
from websockets.asyncio.client import connect

from proxy.features.monitoring.loop_watch import LoopHold, watch_loop
from proxy.helpers.file_limit import raise_file_limit
from proxy.http.open_connections import OpenConnections
from proxy.http.server_protocol import server_protocol
from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from tests.features.sockets.http.socket_rig import ECHO, ECHOING, frame, with_sockets
from tests.proxy.api.inside import TONE, inside
from tests.proxy.http.sockets import serving

FLOOD_S, EACH_S, HELD_S = 8.0, 0.02, 0.05
ACCOUNTS = 5
_SLOW_ENGINE = "hosted = false\nslots = 32\npace = 0.1"
"""It makes sound at ten times the pace of speech, for 32 texts at once, and needs no core for that."""
_CONFIG = TONE.replace(
    "[server]", '[server]\ntrusted_proxies = ["127.0.0.1"]\nconnections_per_client = 2000'
).replace("hosted = false", _SLOW_ENGINE)
_BLOCK = 64 * 1024


def _filled(data: bytes) -> bytes:
    return data * max(1, _BLOCK // len(data))


FRAMES = {
    "pings": _filled(frame(0x89)),
    "fragments": frame(0x01, b"a") + _filled(frame(0x00, b"a")),
    "letters": _filled(frame(0x81, b"a")),
    "empty": _filled(frame(0x81)),
    "large": frame(0x82, bytes(128 * 1024)),
    "unread": frame(0x82, bytes(32 * 1024)),
}
"""What a flooding socket sends again and again. The clients of `unread` read no echo."""
HANDSHAKES = ("wrong_keys", "half", "behind")
_CONTEXTS = [
    json.dumps({"context_id": f"c{number}", **more}).encode()
    for number in range(10_000)
    for more in ({"text": "Hello "}, {"close_context": True})
]
_LONG = "It is a long way, and nobody listens. " * 25
_CONFIGURED: dict[str, Any] = {"type": "session.config", "model": "tts-1", "voice": "alloy"}
_DONE = {"type": "input.done"}
_UNHEARD: list[dict[str, Any]] = [_CONFIGURED, *[{"type": "input.text", "text": _LONG}] * 15, _DONE]
_SPELLED = [_CONFIGURED, *[{"type": "input.text", "text": letter} for letter in _LONG * 15], _DONE]


def _as_frames(messages: Sequence[object]) -> bytes:
    return b"".join(frame(0x81, json.dumps(message).encode()) for message in messages)


NATIVE = "/v1/audio/speech/stream"
SPOKEN: dict[str, tuple[str, bytes]] = {
    "contexts": (
        "/elevenlabs/v1/text-to-speech/alloy/multi-stream-input",
        b"".join(frame(0x81, message) for message in _CONTEXTS),
    ),
    "spelled": (NATIVE, _as_frames(_SPELLED)),
    "slow": (NATIVE, _as_frames(_UNHEARD)),
    "heard": (NATIVE, _as_frames(_UNHEARD)),
}
"""Floods of sockets that speak: where they go, and what each sends. The clients of `slow` do not read; those
of `heard` say the same, and read."""
ROUNDS, REST_S = 5, 0.2
SPEAKERS = ((20, 1), (20, ACCOUNTS), (60, ACCOUNTS))
"""How many sockets flood, and of how many accounts. One of these is the listener's."""
COUNTS = (1, 20, 100)


class Site(NamedTuple):
    port: int
    keys: tuple[str, ...]
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def _serve() -> None:
    """Run the worker until stdin ends. Print its port and keys, and a line for each long step."""
    raise_file_limit()
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # where the log goes

    def note(hold: LoopHold) -> None:
        if hold.held_s >= HELD_S:
            print(f"held {hold.held_s:.3f} {hold.step}", file=told, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        async with inside(Path(folder), _CONFIG) as opened:
            with_sockets(opened.worker, ECHOING)
            keys = [opened.key]
            for number in range(1, ACCOUNTS):
                account = await accounts.create(opened.worker.store, name=f"flood{number}", plan="unlimited")
                secret = api_key.mint()
                await key_records.create(opened.worker.store, secret, NewKeyRecord(account=account.id))
                keys.append(secret.reveal())
            server = opened.worker.kernel.config.server
            places = OpenConnections(server, opened.worker.metrics.connections)
            async with serving(opened.worker.public, server_protocol(server, places)) as address:
                print(json.dumps({"port": address[1], "keys": keys}), file=told, flush=True)
                # As a worker does it.
                gc.collect()
                gc.freeze()
                gc.set_threshold(5000)
                async with watch_loop(note):
                    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def site() -> Iterator[Site]:
    command = [sys.executable, "-m", "bench.socket_floods", "--serve"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            known = json.loads(process.stdout.readline())
            os.set_blocking(process.stdout.fileno(), False)
            yield Site(known["port"], tuple(known["keys"]), process)
        finally:
            process.stdin.close()
            process.wait()


def handshake(key: str, address: str = "203.0.113.1", end: str = "\r\n\r\n", *, path: str = ECHO) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: x",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"xi-api-key: {key}" if path.startswith("/elevenlabs") else f"Authorization: Bearer {key}",
        f"X-Forwarded-For: {address}",
    ]
    return ("\r\n".join(lines) + end).encode()


async def _open(port: int, key: str, path: str = ECHO) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(handshake(key, path=path))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    return reader, writer


async def _flood_socket(port: int, key: str, name: str) -> None:
    reader, writer = await _open(port, key)
    reading = None if name == "unread" else asyncio.create_task(_swallow(reader))
    try:
        while True:
            writer.write(FRAMES[name])
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        if reading is not None:
            reading.cancel()
        writer.transport.abort()


async def _flood_speech(port: int, key: str, name: str) -> None:
    """Open sockets one after the other, as each is closed after its twentieth error."""
    path, data = SPOKEN[name]
    await asyncio.sleep(FLOOD_S / 4 * random.random())
    while True:
        reader, writer = await _open(port, key, path)
        reading = None if name == "slow" else asyncio.create_task(_swallow(reader))
        try:
            while True:
                writer.write(data)
                await writer.drain()
                if name in ("slow", "heard"):
                    await asyncio.sleep(2 * FLOOD_S)
        except ConnectionError:
            pass
        finally:
            if reading is not None:
                reading.cancel()
            writer.transport.abort()


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def _flood_handshakes(port: int, name: str, numbers: Iterator[int]) -> None:
    while True:
        number = next(numbers) % 1000
        address = f"198.{18 + number // 250}.{number % 250}.7"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            if name == "half":
                writer.write(handshake("sk-wrong", address)[:60])
                await asyncio.sleep(0.2)
            else:
                behind = FRAMES["pings"] if name == "behind" else b""
                writer.write(handshake("sk-wrong", address) + behind)
                await reader.readuntil(b"\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


async def _attack(name: str, count: int, port: int, keys: Sequence[str]) -> None:
    """Flood until stdin ends. Of 100 sockets, each account has a fifth."""
    raise_file_limit()
    numbers = itertools.count()
    tasks = []
    for number in range(count):
        if name in HANDSHAKES:
            each = _flood_handshakes(port, name, numbers)
        elif name in SPOKEN:
            each = _flood_speech(port, keys[number % len(keys)], name)
        elif name == "idle":
            await _open(port, keys[number % len(keys)])
            continue
        else:
            each = _flood_socket(port, keys[number % len(keys)], name)
        tasks.append(asyncio.create_task(each))
    print("floods", flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def flooding(place: Site, name: str, count: int, keys: Sequence[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.socket_floods", "--attack", name, str(count), str(place.port)]
    process = subprocess.Popen([*command, *keys], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"floods\n"
        yield
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def _asking(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def listen(port: int, seconds: float) -> float:
    """Ask /healthz for so long, and return the p95 in milliseconds."""
    waits = []
    async with _asking(port) as (reader, writer):
        end = time.monotonic() + seconds
        while (began := time.monotonic()) < end:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"}")
            waits.append(1000 * (time.monotonic() - began))
            await asyncio.sleep(EACH_S)
    return sorted(waits)[int(0.95 * len(waits))]


async def first_sounds(port: int, key: str, seconds: float) -> list[float]:
    """Speak for so long, and return the seconds until each first sound."""
    waits, end = [], time.monotonic() + seconds
    headers = {"Authorization": f"Bearer {key}"}
    async with connect(f"ws://127.0.0.1:{port}{NATIVE}", additional_headers=headers, proxy=None) as socket:
        await socket.send(json.dumps(_CONFIGURED))
        while time.monotonic() < end:
            began = time.monotonic()
            for word in ("Good ", "morning."):
                await socket.send(json.dumps({"type": "input.text", "text": word}))
            await socket.send(json.dumps(_DONE))
            while isinstance(said := await socket.recv(), str):
                assert json.loads(said)["type"] == "audio.start", said
            waits.append(time.monotonic() - began)
            await socket.send(json.dumps({"type": "input.cancel"}))
            while isinstance(said, bytes) or json.loads(said)["type"] != "audio.cancelled":
                said = await socket.recv()
            await asyncio.sleep(REST_S)
    return waits


def measure_speech(place: Site, name: str, count: int, keys: Sequence[str]) -> str:
    """Measure the first sounds of a listener beside sockets that speak, some of them of its own account."""
    uvloop.run(first_sounds(place.port, place.keys[-1], 1.0))  # it loads libraries
    before, load, grown = place.memory_mib(), [], []
    waits: dict[str, list[list[float]]] = {"quiet": [], "flooded": []}
    for _ in range(ROUNDS):
        waits["quiet"].append(uvloop.run(first_sounds(place.port, place.keys[-1], FLOOD_S / 2)))
        with flooding(place, name, count, keys):
            began, began_s = place.cpu_s(), time.monotonic()
            waits["flooded"].append(uvloop.run(first_sounds(place.port, place.keys[-1], FLOOD_S)))
            load.append((place.cpu_s() - began) / (time.monotonic() - began_s))
            grown.append(place.memory_mib() - before)
        time.sleep(1.0)
    said = f"{name:11} {count:4} sockets of {len(keys)}:"
    for state, rounds in waits.items():
        p50, p95 = (median(sorted(each)[int(share * len(each))] for each in rounds) for share in (0.5, 0.95))
        said += f" {state} p50 {1000 * p50:.0f} p95 {1000 * p95:.0f} ms,"
    assert place.process.stdout is not None
    held = (place.process.stdout.read() or b"").splitlines()
    said += f" CPU {median(load):.0%}, memory {grown[0]:+.1f}, at most {max(grown):+.1f} MiB"
    return f"{said}, {len(held)} long steps {max(map(bytes.decode, held), default='')[:90]}"


def measure(place: Site, name: str, count: int, keys: Sequence[str]) -> str:
    before, quiet_ms = place.memory_mib(), uvloop.run(listen(place.port, FLOOD_S / 2))
    with flooding(place, name, count, keys):
        began = place.cpu_s()
        p95 = uvloop.run(listen(place.port, FLOOD_S))
        load = (place.cpu_s() - began) / FLOOD_S
        grown = place.memory_mib() - before
    # The machine may have other work: half of the quiet time is before the flood, half after it.
    quiet_ms = (quiet_ms + uvloop.run(listen(place.port, FLOOD_S / 2))) / 2
    assert place.process.stdout is not None
    held = (place.process.stdout.read() or b"").splitlines()
    said = f"{name:11} {count:4} sockets of {len(keys)}: p95 {p95:6.1f} ms (quiet {quiet_ms:.1f}), "
    steps = max(map(bytes.decode, held), default="")
    return said + f"CPU {load:4.0%}, memory {grown:+6.1f} MiB, {len(held)} long steps {steps[:90]}"


def main(names: Sequence[str]) -> None:
    chosen = names or (*FRAMES, *SPOKEN, *HANDSHAKES, "idle")
    with site() as place:
        uvloop.run(listen(place.port, 2.0))
        for name in chosen:
            if name == "idle":
                for count in (200, 500):
                    print(measure(place, name, count, place.keys), flush=True)
                continue
            if name in SPOKEN and name != "contexts":
                for count, owners in SPEAKERS:
                    print(measure_speech(place, name, count, place.keys[-owners:]), flush=True)
                continue
            for count in COUNTS:
                print(measure(place, name, count, place.keys[:1]), flush=True)
            print(measure(place, name, COUNTS[-1], place.keys), flush=True)
            time.sleep(1.0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        uvloop.run(_serve())
    elif sys.argv[1:2] == ["--attack"]:
        uvloop.run(_attack(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]))
    else:
        main(sys.argv[1:])
