"""How fast Piper speaks on this processor: `python -m bench.piper`, after `voxgate env build piper`.

The voice has the proportions of a real one and random weights, so figures are of time and memory alone.
"""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.piper_voice import write_voice
from tests.plugins.piper.environment import run

THREADS = (1, 2)
SLOTS = 2


def main() -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="piper-") as folder:
        parameters = write_voice(Path(folder))
        size = (Path(folder) / "voice.onnx").stat().st_size
        print(f"a voice of {parameters / 1e6:.1f} million parameters, {size / 1e6:.0f} MB, 22,050 Hz")
        print("|threads|texts at once|text|sound s|first sound ms|time a second of sound|processor|")
        print("|---|---|---|---|---|---|---|")
        for threads in THREADS:
            done = run("bench.piper_worker", folder, str(threads), str(SLOTS))
            print(done.stdout if done.returncode == 0 else done.stderr, end="")


if __name__ == "__main__":
    main()
