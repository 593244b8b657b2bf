"""`python -m fakes.runpod --port N`: jobs at port N, the management API at N + 1, the pods' proxy at N + 2.

Its handler echoes its input; with `--engine tone` it speaks and trains with that engine. With `--port 0` each
has any free port.
"""

from __future__ import annotations

import time

from fakes.runpod.app import FakeRunpod
from fakes.runpod.clock import Clock
from fakes.runpod.engine import EngineHandler
from fakes.serving import parser_of, run_all


def main() -> None:
    parser = parser_of("fakes.runpod")
    parser.add_argument("--engine", default="", help="a local engine, such as tone, that speaks")
    arguments = parser.parse_args()
    handler = EngineHandler()
    fake = FakeRunpod(handler, clock=Clock(time.time(), runs=True))
    servers = (fake.jobs, fake.management, fake.proxy)
    run_all(servers, "fakes.runpod", arguments, handler.opened(arguments.engine))


if __name__ == "__main__":
    main()
