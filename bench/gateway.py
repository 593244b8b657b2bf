"""voxgate as a gateway beside LiteLLM's proxy, in one run: `python -m bench.gateway`. Needs wrk and nginx.

With `--before CHECKOUT`, the voxgate of another commit runs beside them.

The upstream is nginx with a 48 KB clip. LiteLLM is installed once, in an environment of its own under the
cache. Every target runs in each round, so that whatever else the machine does is shared out.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.load import Measured, Target, before, measured, post, show
from bench.shipped import shipped
from bench.upstream import VOXGATE, free_port, nginx, process, until_it_speaks

ROUNDS = 3
LITELLM = "litellm[proxy]==1.106.2"
STREAMS = (1, 20)
_LITELLM = """
model_list:
  - model_name: tts-1
    litellm_params: {{ model: openai/tts-1, api_key: none, api_base: "{base}" }}
general_settings: {{ master_key: sk-bench }}
litellm_settings: {{ telemetry: false }}
"""


Start = Callable[[Path, str], Iterator[Target]]


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(nginx(folder))
        dripping = stack.enter_context(_drip())
        names = (
            ("bare", "voxgate", "litellm") if before() is None else ("bare", "voxgate", "before", "litellm")
        )
        found: dict[str, list[Measured]] = {name: [] for name in names}
        for number in range(ROUNDS):
            for name, rounds in found.items():
                with _target(name, folder / f"{name}{number}", upstream) as target:
                    rounds.append(measured(target, folder))
        show(found, "litellm")
        _show_first_chunks(folder, dripping)


@contextmanager
def _target(name: str, folder: Path, upstream: int) -> Iterator[Target]:
    folder.mkdir()
    base = f"http://127.0.0.1:{upstream}/v1"
    if name == "bare":
        with process([sys.executable, "-m", "bench.rung", "bare", str(folder)]) as bare:
            assert bare.stdout
            yield Target(bare.pid, int(bare.stdout.readline().split()[0]), "none")
    elif name in ("voxgate", "before"):
        config = folder / "config.toml"
        config.write_text(VOXGATE.format(base=base))
        with shipped(folder / "data", config, before() if name == "before" else None) as (pid, port, key):
            yield Target(pid, port, key)
    else:
        config, port = folder / "litellm.yaml", free_port()
        config.write_text(_LITELLM.format(base=base))
        command = [str(_litellm()), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        with process(command) as proxy:
            until_it_speaks(port, "sk-bench")
            yield Target(proxy.pid, port, "sk-bench")


def _show_first_chunks(folder: Path, dripping: int) -> None:
    """How much later than directly the first bytes of a slow upstream come, by streams at once."""
    print("first chunk of an upstream that takes a second, median ms, by streams at once:")
    direct = {streams: _first_chunk_ms(dripping, "none", streams) for streams in STREAMS}
    print(f"  {'direct':10} {direct}")
    for name in ("voxgate", "litellm"):
        with _target(name, folder / f"{name}-drip", dripping) as target:
            _first_chunk_ms(target.port, target.key, 2)
            later = {s: _first_chunk_ms(target.port, target.key, s) - direct[s] for s in STREAMS}
            print(f"  {name:10} later by { ({s: round(ms, 1) for s, ms in later.items()}) }")


def _first_chunk_ms(port: int, key: str, streams: int) -> float:
    """The median over some rounds of so many streams that start together."""
    heard: list[float] = []

    def one() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        began = time.perf_counter()
        post(connection, key).read(1)
        heard.append((time.perf_counter() - began) * 1000)
        connection.close()

    for _ in range(10):
        threads = [threading.Thread(target=one) for _ in range(streams)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return statistics.median(heard)


@contextmanager
def _drip() -> Iterator[int]:
    port = free_port()
    with process([sys.executable, "-m", "bench.drip", str(port)]):
        until_it_speaks(port, "none")
        yield port


def _litellm() -> Path:
    """Its program, installed where later runs find it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voxgate" / "bench"
    folder = cache / hashlib.sha256(LITELLM.encode()).hexdigest()[:12]
    program = folder / "bin" / "litellm"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", LITELLM], check=True)
    return program


if __name__ == "__main__":
    main()
