"""A batched engine beside its project's own one-at-a-time function: `python -m bench.gpu xtts`, or `f5tts`.

Both speak the same texts with the same voices in one process, a cell of so many clients after the other. On
a card the model has its full size and random weights: its cost does not depend on what it has learned.
Without a card the same program runs a tiny model, and says so in its first line. Each number of clients has
a cell for each side, which lasts `--seconds`, or until upstream's text under way is spoken. The aims on a
card, beside upstream's faster function: XTTS six times at 16 clients; at 32 ten times, with a first sound in
300 ms for 95 % and no pause for 99 %. F5-TTS three times at 16 clients, six times at 32, with a first sound
in a second for 95 %. `bench.gpu_worker` does the work, in the environment that `voxgate env build` makes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import msgspec

from bench.gpu_cells import Options
from plugins.f5tts.plugin import HOSTED as F5TTS
from plugins.xtts.plugin import HOSTED as XTTS
from proxy.hosts.environments import environments
from proxy.hosts.environments.environments import EnvironmentRefused

ROOT = Path(__file__).parents[1]
ENGINES = {"f5tts": F5TTS, "xtts": XTTS}


def main() -> None:
    default = Options()
    parser = argparse.ArgumentParser(prog="python -m bench.gpu")
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--seconds", type=float, default=default.seconds, help="of each cell")
    parser.add_argument("--clients", type=int, nargs="+", default=default.clients, help="a cell for each")
    parser.add_argument(
        "--width", type=int, default=default.width, help="of a step of ours, as the engine has it"
    )
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default=default.precision)
    parser.add_argument("--threads", type=int, default=default.threads, help="of the processor, in a step")
    parser.add_argument("--size", choices=("auto", "tiny", "full"), default=default.size)
    parser.add_argument("--python", help="an interpreter with the engine's packages")
    given = vars(parser.parse_args())
    engine, python = given.pop("engine"), given.pop("python")
    try:
        python = python or environments.interpreter(engine, ENGINES[engine])
    except EnvironmentRefused as refused:
        sys.exit(f"{engine}: {refused}")
    options = msgspec.json.encode(msgspec.convert(given, Options)).decode()
    # The networks warn of empty parts, which are meant to be empty.
    command = [python, "-W", "ignore", "-m", "bench.gpu_worker", engine, options]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
