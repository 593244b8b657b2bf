"""Memory of two servers: `python -m bench.memory`.

One passes on the MP3 of a cloud engine, which a fake provider makes. The other is the server as shipped: it
is measured after one answer, after one of every kind, while it sends whole answers of ten minutes, and while
slow clients read an hour of the cache.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from bench.shipped import shipped
from bench.upstream import VOXGATE, free_port, process, until_it_speaks

_MIB = 1024 * 1024
_FORMS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
_TEN_MINUTES: dict[str, object] = {"input": "word " * 810, "speed": 0.34, "cache": False}
_HOUR: dict[str, object] = {"input": "77 " * 1365, "speed": 0.25, "cache": True, "response_format": "mp3"}
_READERS = 100
_READ_S = 20.0
_READ_BYTES_A_SECOND = 8192
_KINDS: tuple[dict[str, object], ...] = (
    *(dict[str, object](response_format=name) for name in _FORMS),
    {"speed": 1.5},
    {"stream_format": "sse"},
    {"language": "auto", "input": "Good morning. Bom dia a todos. Buenos días."},
    {"voice": {"cast": {"Ana": "nova", "Ben": "onyx"}}, "input": "[Ana] Hello. [Ben] Good morning."},
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _passing(Path(folder))
        with shipped(Path(folder) / "shipped") as (pid, port, key):
            _speak(port, key, {})
            _print("as shipped, after one answer", psutil.Process(pid))
            for kind in _KINDS:
                _speak(port, key, kind)
            _print("as shipped, after one answer of every kind", psutil.Process(pid))
            worker = _worker(psutil.Process(pid))
            for name in _FORMS:
                with _highest(f"ten minutes of {name} in JSON", worker):
                    said = _speak(
                        port, key, {**_TEN_MINUTES, "response_format": "json", "audio_format": name}
                    )
                print(f"    {said}")
            print(f"an hour of mp3 for the cache: {_speak(port, key, _HOUR)}")
            with _highest(f"{_READERS} slow readers of a cached hour", worker):
                _read_slowly(port, key, _HOUR)


def _passing(folder: Path) -> None:
    upstream = free_port()
    config = folder / "config.toml"
    config.write_text(VOXGATE.format(base=f"http://127.0.0.1:{upstream}/v1"))
    with process([sys.executable, "-m", "fakes.openai", "--port", str(upstream)]):
        with shipped(folder / "passing", config) as (pid, port, key):
            until_it_speaks(port, key)
            _print("a cloud engine's MP3 passed on", psutil.Process(pid))


def _speak(port: int, key: str, more: dict[str, object]) -> str:
    """Return the size of the answer, and of one in JSON its length."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/audio/speech",
        _body(more),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        size, end = 0, b""
        while data := answer.read(1 << 16):
            size, end = size + len(data), (end + data)[-100:]
        assert size
        seconds = re.search(rb'"seconds":([\d.]+)}}$', end)
        return f"{size / 1e6:.0f} MB" + (f", {float(seconds[1]):.0f} s" if seconds else "")


def _body(more: dict[str, object]) -> bytes:
    return json.dumps({"model": "tts-1", "voice": "alloy", "input": "Hello.", **more}).encode()


def _read_slowly(port: int, key: str, more: dict[str, object]) -> None:
    """Let all readers take a second of sound each second. They leave long before the end."""
    body = _body(more)
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    with ExitStack() as stack:
        readers = []
        for _ in range(_READERS):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", port))
            reader.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            readers.append(reader)
        ends = time.monotonic() + _READ_S
        while time.monotonic() < ends:
            for reader in readers:
                assert reader.recv(_READ_BYTES_A_SECOND)
            time.sleep(1.0)


def _worker(supervisor: psutil.Process) -> psutil.Process:
    return next(child for child in supervisor.children() if _name(child).startswith("proxy."))


@contextmanager
def _highest(what: str, process: psutil.Process) -> Iterator[None]:
    """Print by how much the process grew at most in the block, and what stays."""
    before = most = process.memory_info().rss
    is_over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not is_over.wait(0.01):
            most = max(most, process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        is_over.set()
        watching.join()
    left = process.memory_info().rss - before
    print(f"{what:40} {(most - before) / _MIB:+8.1f} MiB at most, {left / _MIB:+.1f} stay", flush=True)


def _print(what: str, supervisor: psutil.Process) -> None:
    print(what)
    print(f"  {'process':24} {'RSS MiB':>8} {'own MiB':>8}")
    for child in (supervisor, *supervisor.children(recursive=True)):
        memory = child.memory_full_info()
        print(f"  {_name(child):24} {memory.rss / _MIB:8.0f} {memory.uss / _MIB:8.0f}")


def _name(process: psutil.Process) -> str:
    words = process.cmdline()
    return next((word for word in words if word.startswith(("proxy.", "speech_engine."))), "supervisor")


if __name__ == "__main__":
    main()
