"""Memory at rest of a server as shipped, after it has spoken once: `python -m bench.memory`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import psutil

_MIB = 1024 * 1024


def main() -> None:
    voxgate = str(Path(sys.executable).parent / "voxgate")
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "VOXGATE_SERVER__DATA": folder,
            "VOXGATE_SERVER__DEV_KEY": "true",
            "VOXGATE_SERVER__METRICS": "",
        }
        command = [voxgate, "serve", "--port", "0"]
        with subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            try:
                assert server.stdout is not None
                base = server.stdout.readline().split()[-1]
                _speak(base, (Path(folder) / "dev-key").read_text().strip())
                _print(psutil.Process(server.pid))
            finally:
                server.terminate()


def _speak(base: str, key: str) -> None:
    request = urllib.request.Request(
        f"{base}/audio/speech",
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
