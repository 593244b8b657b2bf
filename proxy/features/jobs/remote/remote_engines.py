"""The facts of engines that run on workers' machines only, for a server that accepts jobs for them. Workers
write them, and servers read those of engines that were never up there."""

from __future__ import annotations

from policies.tasks import SECOND
from proxy.engines.engine_list import Engines
from proxy.storage import introductions
from proxy.storage.store import Store

EVERY_S = 5.0
_REPEATED_US = 600 * SECOND
_BELIEVED_US = 3600 * SECOND
"""After this time, servers that start ignore an absent worker."""


class RemoteEngines:
    def __init__(self, store: Store, engines: Engines) -> None:
        self._store = store
        self._engines = engines
        self._sent_at: dict[str, tuple[bytes, int]] = {}

    async def tell(self) -> None:
        """Publish the facts of our engines when they are new, and now and then."""
        now = await self._store.now()
        for name, hello in self._engines.introductions().items():
            before, at = self._sent_at.get(name, (b"", 0))
            if hello != before or now - at >= _REPEATED_US:
                await introductions.keep(self._store, name, hello)
                self._sent_at[name] = hello, now

    async def ask(self) -> None:
        """Read the facts of engines that were never up here."""
        unknown = self._engines.unknown()
        if not unknown:
            return
        told = await introductions.of_workers(self._store, await self._store.now() - _BELIEVED_US)
        for name in unknown & told.keys():
            self._engines.introduce(name, told[name])
