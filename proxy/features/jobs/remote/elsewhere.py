"""Engines that run on the machines of workers alone: what they have, for a server that takes jobs for them.

A worker tells it, and a server asks for engines of its own that have never been up.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from policies.wishes import SECOND
from proxy.engines.engine_list import Engines
from proxy.storage.store import Params, Statement, Store

EVERY_S = 5.0
_TOLD_AGAIN_US = 600 * SECOND
_BELIEVED_US = 3600 * SECOND
"""A worker that is gone for so long counts no more, for servers that start then."""

_TELL = """
INSERT INTO introductions (engine, hello, said) VALUES (:engine, :hello, CAST(:said AS BIGINT))
ON CONFLICT (engine) DO UPDATE SET hello = excluded.hello, said = excluded.said
"""
_TOLD = "SELECT engine, hello FROM introductions WHERE said >= :since"


class EnginesElsewhere:
    def __init__(self, store: Store, engines: Engines) -> None:
        self._store = store
        self._engines = engines
        self._told: dict[str, tuple[str, int]] = {}

    async def tell(self) -> None:
        """Tell what our engines have: when it is new, and now and then."""
        now = await self._store.now()
        for name, introduction in self._engines.introductions().items():
            hello = b64encode(introduction).decode()
            before, at = self._told.get(name, ("", 0))
            if hello != before or now - at >= _TOLD_AGAIN_US:
                row: Params = {"engine": name, "hello": hello, "said": now}
                await self._store.write(Statement(_TELL, row))
                self._told[name] = hello, now

    async def ask(self) -> None:
        """Learn what engines have that have never been up here."""
        unknown = self._engines.unknown()
        if not unknown:
            return
        rows = await self._store.read(_TOLD, {"since": await self._store.now() - _BELIEVED_US})
        for row in rows:
            if row["engine"] in unknown:
                self._engines.introduce(row["engine"], b64decode(row["hello"]))
