"""Memory of two servers: `python -m bench.memory`.

One passes on the MP3 of a cloud engine, which a fake provider makes. The other is the server as shipped: it
is measured after one answer, and again after one of every kind.
"""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.request
from pathlib import Path

import psutil

from bench.shipped import shipped
from bench.upstream import VOXGATE, free_port, process, until_it_speaks

_MIB = 1024 * 1024
_KINDS: tuple[dict[str, object], ...] = (
    *(dict[str, object](response_format=name) for name in ("mp3", "opus", "aac", "flac", "wav", "pcm")),
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


def _passing(folder: Path) -> None:
    upstream = free_port()
    config = folder / "config.toml"
    config.write_text(VOXGATE.format(base=f"http://127.0.0.1:{upstream}/v1"))
    with process([sys.executable, "-m", "fakes.openai", "--port", str(upstream)]):
        with shipped(folder / "passing", config) as (pid, port, key):
            until_it_speaks(port, key)
            _print("a cloud engine's MP3 passed on", psutil.Process(pid))


def _speak(port: int, key: str, more: dict[str, object]) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/audio/speech",
        json.dumps({"model": "tts-1", "voice": "alloy", "input": "Hello.", **more}).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.read()


def _print(what: str, supervisor: psutil.Process) -> None:
    print(what)
    print(f"  {'process':24} {'RSS MiB':>8} {'own MiB':>8}")
    for child in (supervisor, *supervisor.children(recursive=True)):
        words = child.cmdline()
        name = next((word for word in words if word.startswith(("proxy.", "speech_engine."))), "supervisor")
        memory = child.memory_full_info()
        print(f"  {name:24} {memory.rss / _MIB:8.0f} {memory.uss / _MIB:8.0f}")


if __name__ == "__main__":
    main()
