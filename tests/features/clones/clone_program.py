"""A worker that makes clones, for `tests/forked.py`: `main(DATA, URL, URL)`.

A test kills it in the middle of a step.
"""

from pathlib import Path

from proxy.feature_list import open_store
from tests.features.clones.clone_rig import config, opened


async def main(data: str, minimax: str, elevenlabs: str) -> None:
    urls = {"minimax": minimax, "elevenlabs": elevenlabs}
    async with open_store("sqlite", Path(data)) as store, opened(store, config(urls)) as (_, clone_tasks):
        while True:
            await clone_tasks.turn()
