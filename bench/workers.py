"""One worker and two, over one PostgreSQL and one Redis: `python -m bench.workers`. Needs wrk and nginx.

The load is that of `bench.gateway`. CPU is that of the server; the databases are not counted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.load import Measured, Target, measured, show
from bench.shipped import shipped
from bench.upstream import VOXGATE, nginx
from tests.databases import postgres
from tests.redis_server import redis_server

ROUNDS = 3
_SHARED = """
[storage]
url = "{storage}"
[limits]
url = "{limits}"
"""


def main() -> None:
    found: dict[str, list[Measured]] = {"sqlite": [], "1 worker": [], "2 workers": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = f"http://127.0.0.1:{stack.enter_context(nginx(folder))}/v1"
        for number in range(ROUNDS):
            for name, rounds in found.items():
                with _server(name, folder / f"{name}{number}", base) as target:
                    rounds.append(measured(target, folder))
    show(found, "1 worker")


@contextmanager
def _server(name: str, folder: Path, base: str) -> Iterator[Target]:
    folder.mkdir()
    config = folder / "config.toml"
    text = VOXGATE.format(base=base)
    with ExitStack() as stack:
        if name != "sqlite":
            storage = stack.enter_context(postgres()).url()
            limits = stack.enter_context(redis_server()).url
            text = text.replace("[server]", f"[server]\nworkers = {name[0]}", 1)
            text += _SHARED.format(storage=storage, limits=limits)
        config.write_text(text)
        yield Target(*stack.enter_context(shipped(folder / "data", config)))


if __name__ == "__main__":
    main()
