"""Conversions by RVC, many at once, beside one at a time: `python -m bench.rvc --size full --seconds 4`.

One process plays all sides, one after the other, with the same networks of random numbers, whose cost does
not depend on what they have learned. One at a time is what other servers do: a recording is converted as a
whole, and its voice is loaded for it; once more with the voice kept, to tell the two apart. Ours is the
engine as a host runs it, with so many clients at the same time who share the voices. One at a time ends after
`--limit` seconds, as its speed stays the same; ours may have five times as many, as what is under way is not
heard yet. A real-time factor is the time that a second of sound took. `bench.rvc_worker` does the work, in
the environment of the engine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import msgspec

from plugins.rvc.plugin import HOSTED, Precision
from proxy.hosts.environments import environments
from proxy.hosts.environments.environments import EnvironmentRefused

ROOT = Path(__file__).parents[1]


class Options(msgspec.Struct, frozen=True):
    device: str = "cpu"
    threads: int = 1
    size: str = "tiny"
    precision: Precision = "float32"
    clients: tuple[int, ...] = (1, 16)
    voices: int = 4
    seconds: float = 8.0
    limit: float = 30.0


def main() -> None:
    default = Options()
    parser = argparse.ArgumentParser(prog="python -m bench.rvc")
    parser.add_argument("--device", default=default.device, help="cpu, cuda or cuda:1")
    parser.add_argument("--threads", type=int, default=default.threads, help="of the processor, in a step")
    parser.add_argument("--size", choices=("tiny", "full"), default=default.size)
    parser.add_argument("--precision", choices=("float32", "float16"), default=default.precision)
    parser.add_argument("--clients", type=int, nargs="+", default=default.clients, help="a cell of ours each")
    parser.add_argument("--voices", type=int, default=default.voices, help="that the clients share")
    parser.add_argument("--seconds", type=float, default=default.seconds, help="of each recording")
    parser.add_argument(
        "--limit", type=float, default=default.limit, help="seconds that one at a time may take"
    )
    options = msgspec.convert(vars(parser.parse_args()), Options)
    try:
        python = environments.interpreter("rvc", HOSTED)
    except EnvironmentRefused as refused:
        sys.exit(f"rvc: {refused}")
    command = [python, "-W", "ignore", "-m", "bench.rvc_worker", msgspec.json.encode(options).decode()]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
