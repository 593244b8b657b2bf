"""Answers from the audio cache beside others: `python -m bench.cache`. Needs wrk and nginx.

Another sentence each time, of the cache the next of those that it keeps: of Starlette with a fixed body; of
the same behind what every request goes through, its settlement included; of voxgate's cache; of voxgate
before a local provider with the same 48 KB clip; of espeak-ng. Every target runs in each round: whatever else
the machine does is shared out. With `--before CHECKOUT`, the cache of another commit runs beside them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.load import ALL_OTHERS, BODY, KEPT_TEXTS, Measured, Target, before, measured, show
from bench.shipped import shipped
from bench.upstream import VOXGATE, nginx, process

ROUNDS = 3
BARE, LEDGER, HIT, BEFORE, GATEWAY, SPOKEN = "bare", "ledger", "hit", "before", "gateway", "espeak"
_AGAIN = json.dumps({**json.loads(BODY), "cache": True})


def main() -> None:
    """All of them, or those that are named after the command."""
    usual = (BARE, LEDGER, HIT, *((BEFORE,) if before() else ()), GATEWAY, SPOKEN)
    named = [name for name in sys.argv[1:] if name in (BARE, LEDGER, HIT, BEFORE, GATEWAY, SPOKEN)]
    found: dict[str, list[Measured]] = {name: [] for name in named or usual}
    with tempfile.TemporaryDirectory() as top, nginx(Path(top)) as upstream:
        for number in range(ROUNDS):
            for name, rounds in found.items():
                folder = Path(top) / f"{name}{number}"
                with _target(name, folder, upstream) as target:
                    asked = (_AGAIN, KEPT_TEXTS) if name in (HIT, BEFORE) else (BODY, ALL_OTHERS)
                    rounds.append(measured(target, folder, *asked))
    show(found, next(iter(found)))


@contextmanager
def _target(name: str, folder: Path, upstream: int) -> Iterator[Target]:
    folder.mkdir()
    if name in (BARE, LEDGER):
        with process([sys.executable, "-m", "bench.rung", name, str(folder)]) as rung:
            assert rung.stdout is not None
            port, key = rung.stdout.readline().split()
            yield Target(rung.pid, int(port), key)
        return
    config = folder / "config.toml"
    config.write_text(VOXGATE.format(base=f"http://127.0.0.1:{upstream}/v1"))
    checkout = before() if name == BEFORE else None
    with shipped(folder / "data", None if name == SPOKEN else config, checkout) as found:
        yield Target(*found)


if __name__ == "__main__":
    main()
