"""How fast Pocket TTS is here: `python -m bench.pocket [SIZE …]`, with random weights of true proportions.

It runs itself in the plugin's environment. All figures of a size come of one run, so they stand side by side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.plugins.neural import environ, interpreter

ROOT = Path(__file__).parents[1]
SIZES = ("100m", "7m")
_HEAD = (
    "model",
    "threads",
    "step of 1 / 2 / 4 rows, ms",
    "rtf a row",
    "decoder rtf, 1 / 8 frames",
    "join, ms",
    "first sound, ms",
    "voice of 5 / 20 s, s",
    "batch to alone",
    "memory, MB",
)


def main() -> None:
    python = interpreter("pocket")
    print(f"| {' | '.join(_HEAD)} |")
    print("| --- " * len(_HEAD) + "|")
    for size in sys.argv[1:] or SIZES:
        with tempfile.TemporaryDirectory(prefix="pocket-") as folder:
            for threads in (1, 2):
                command = [python, "-m", "bench.pocket_worker", folder, size, str(threads)]
                done = subprocess.run(command, cwd=ROOT, env=environ(ROOT), check=True, capture_output=True)
                found = json.loads(done.stdout.splitlines()[-1])
                print(f"| {size} | {threads} | {' | '.join(found)} |", flush=True)
    print(
        f"{os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    )


if __name__ == "__main__":
    main()
