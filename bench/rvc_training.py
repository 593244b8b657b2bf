"""The steps of a training with RVC: `python -m bench.rvc_training --size full --device cuda`.

The networks have random numbers, whose cost does not depend on what they have learned; the
recordings are noise with a pitch. It says what a step takes, the memory, and what a checkpoint and the file
to take home take. On a processor a step takes many seconds. `bench.rvc_training_worker` does the work, in the
environment of the engine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from plugins.rvc.plugin import HOSTED
from proxy.hosts.environments import environments
from proxy.hosts.environments.environments import EnvironmentRefused

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rvc_training")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    parser.add_argument("--size", choices=("tiny", "full"), default="tiny")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=8, help="slices a step")
    parser.add_argument("--minutes", type=float, default=1.0, help="of recordings")
    asked = parser.parse_args()
    try:
        python = environments.interpreter("rvc", HOSTED)
    except EnvironmentRefused as refused:
        sys.exit(f"rvc: {refused}")
    told = [asked.device, asked.threads, asked.size, asked.steps, asked.batch, asked.minutes]
    command = [python, "-W", "ignore", "-m", "bench.rvc_training_worker", *map(str, told)]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
