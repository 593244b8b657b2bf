"""Memory at rest of a server as shipped, after it has spoken once: `python -m bench.memory`."""

from __future__ import annotations

import tempfile
import urllib.request
from pathlib import Path

import psutil

from bench.shipped import shipped

_MIB = 1024 * 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, shipped(Path(folder)) as (pid, port, key):
        _speak(port, key)
        _print(psutil.Process(pid))


def _speak(port: int, key: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/audio/speech",
        b'{"model": "tts-1", "voice": "alloy", "input": "Hello."}',
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.read()


def _print(supervisor: psutil.Process) -> None:
    print(f"{'process':24} {'RSS MiB':>8} {'own MiB':>8}")
    for process in (supervisor, *supervisor.children(recursive=True)):
        words = process.cmdline()
        name = next((word for word in words if word.startswith(("proxy.", "speech_engine."))), "supervisor")
        memory = process.memory_full_info()
        print(f"{name:24} {memory.rss / _MIB:8.0f} {memory.uss / _MIB:8.0f}")


if __name__ == "__main__":
    main()
