"""The memory of a worker under full load: `python -m bench.endurance [MINUTES]`. Needs wrk and nginx.

The load is that of `bench.gateway`. The first minute is for warming up. The slope is a line through the other
samples, for ten minutes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from bench.load import BODY, CONNECTIONS, script
from bench.shipped import shipped
from bench.upstream import VOXGATE, nginx

WARM_S, EVERY_S = 60.0, 5.0
_MIB = 1024 * 1024


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(nginx(folder))
        config = folder / "config.toml"
        config.write_text(VOXGATE.format(base=f"http://127.0.0.1:{upstream}/v1"))
        pid, port, key = stack.enter_context(shipped(folder / "data", config))
        (worker,) = psutil.Process(pid).children()
        lua = folder / "post.lua"
        lua.write_text(script(key, BODY))
        url = f"http://127.0.0.1:{port}/v1/audio/speech"
        seconds = WARM_S + minutes * 60
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(lua), url]
        load = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        began, samples = time.monotonic(), list[tuple[float, float]]()
        while load.poll() is None:
            time.sleep(EVERY_S)
            at = time.monotonic() - began
            if WARM_S <= at <= seconds - EVERY_S:
                samples.append((at, worker.memory_info().rss / _MIB))
        assert load.stdout is not None
        print(load.stdout.read())
    slope, _ = statistics.linear_regression(*zip(*samples, strict=True))
    first, last = samples[0][1], samples[-1][1]
    print(f"worker: {first:.1f} MiB, then {last:.1f} after {minutes:g} minutes; {slope * 600:+.2f} in ten")


if __name__ == "__main__":
    main()
