"""The Runner protocol: where hosts run. The supervisor's own processes are the one that ships."""

from __future__ import annotations

from typing import Protocol


class Runner(Protocol):
    async def start(self, engine: str, module: str, settings: bytes) -> str:
        """Starts a host for the engine and gives the address it can be reached at."""
        ...

    async def stop(self, engine: str) -> None: ...
