"""`python -m fakes.runpod --port N`: jobs at port N, the management API at N + 1, the pods' proxy at N + 2.

Its handler says what it was asked. With `--port 0` each has any free port.
"""

from __future__ import annotations

import time

from fakes.runpod.app import FakeRunpod
from fakes.runpod.clock import Clock
from fakes.serving import run_all


def main() -> None:
    fake = FakeRunpod(clock=Clock(time.time(), runs=True))
    run_all((fake.jobs, fake.management, fake.proxy), "fakes.runpod")


if __name__ == "__main__":
    main()
