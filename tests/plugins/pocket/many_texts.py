"""Speaks many texts with a tiny model, where torch is: `python -m tests.plugins.pocket.many_texts COUNT`.

It fails if its memory has grown.
"""

import asyncio
import resource
import sys
from pathlib import Path

from tests.plugins.pocket.in_environment.listeners import LISTENERS, together

MOST_GROWTH_MB = 40


def used_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def growth_mb(count: int) -> float:
    asyncio.run(together(range(LISTENERS)))
    before = used_mb()
    for _ in range(count // LISTENERS):
        asyncio.run(together(range(LISTENERS)))
    return used_mb() - before


def main() -> None:
    grown = growth_mb(int(sys.argv[1]))
    print(f"{sys.argv[1]} texts: {grown:.0f} MB more")
    if grown > MOST_GROWTH_MB:
        sys.exit(1)


if __name__ == "__main__":
    main()
