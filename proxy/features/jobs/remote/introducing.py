"""The facts of engines elsewhere.

Those of an engine at a runner are requested once, at the price of one short run, and stored with its row.
Those of engines that run on workers' machines only are written by the workers. Servers that accept jobs for
them read the facts of engines that were never up there.
"""

from __future__ import annotations

import structlog

from policies.tasks import SECOND_US
from proxy.engines.engine_list import Engines
from proxy.engines.remote_engine import RemoteEngine
from proxy.features.jobs.remote.runs import Runs
from proxy.features.jobs.remote.work import introduction_of
from proxy.storage import introductions
from proxy.storage.store import Store
from speech_engine import API_VERSION, EngineError, EngineFailed
from speech_engine.host.messages import Failed, HelloReply, decode_hello, encode
from speech_engine.host.remote_pieces import FarIntroduction

AGAIN_S = 60.0
LONGEST_S = 3600.0

_log = structlog.get_logger()


class Introducing:
    """The facts of one engine. Every later result has them, too, so a new image is known after its first
    run."""

    def __init__(self, store: Store, engine: RemoteEngine, runs: Runs) -> None:
        self._store = store
        self._engine = engine
        self._runs = runs
        self._piece = introduction_of(engine.name, engine.section.plugin, runs.name)
        self._news: HelloReply | None = None
        self._known: HelloReply | None = None
        self._pause_s = AGAIN_S

    def note(self, hello: HelloReply) -> None:
        """Take the facts beside a result. The next `introduce_engine` stores them."""
        if hello != self._known and hello.api_version == API_VERSION:
            self._news = hello
            self._introduce(hello)

    async def introduce_engine(self) -> float:
        """Bring the engine up to date. Return the seconds until the next turn."""
        if self._known is None:
            await self._recall()
        if self._known is None:
            try:
                self.note(await self._request())
            except EngineError as error:
                _log.warning("runner.introduction.failed", engine=self._engine.name, reason=error.reason)
                self._engine.trouble = f"does not tell its models yet: {error.reason}"
                # Each try may cost money, and a broken image stays broken.
                after_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_S)
                return max(after_s, min(error.retry_after_s or 0.0, LONGEST_S))
        if self._news is not None:
            hello = encode(self._news)
            await introductions.store_introduction(self._store, self._engine.name, hello, self._piece.digest)
            self._known, self._news = self._news, None
        return AGAIN_S

    async def _recall(self) -> None:
        stored = await introductions.find_introduction(self._store, self._engine.name, self._piece.digest)
        try:
            self._known = None if stored is None else decode_hello(stored)
        except ValueError:
            return
        if self._known is not None:
            self._introduce(self._known)

    async def _request(self) -> HelloReply:
        frames = await self._runs.frames(self._piece)
        for frame in frames:
            if isinstance(frame, FarIntroduction) and frame.hello.api_version == API_VERSION:
                return frame.hello
            if isinstance(frame, Failed):
                raise frame.to_error()
        raise EngineFailed("The far end is of another version than this server: build its image anew.")

    def _introduce(self, hello: HelloReply) -> None:
        self._engine.take_hello(hello, self._runs.runner.limits.over_s)


EVERY_S = 5.0
_REPEATED_US = 600 * SECOND_US
_BELIEVED_US = 3600 * SECOND_US
"""After this time, servers that start ignore an absent worker."""


class RemoteEngines:
    def __init__(self, store: Store, engines: Engines) -> None:
        self._store = store
        self._engines = engines
        self._sent_at: dict[str, tuple[bytes, int]] = {}

    async def tell(self) -> None:
        """Publish the facts of our engines when they are new, and every ten minutes."""
        now = await self._store.now()
        for name, hello in self._engines.introductions().items():
            before, at = self._sent_at.get(name, (b"", 0))
            if hello != before or now - at >= _REPEATED_US:
                await introductions.store_introduction(self._store, name, hello)
                self._sent_at[name] = hello, now

    async def ask(self) -> None:
        """Read the facts of engines that were never up here."""
        unknown = self._engines.unknown()
        if not unknown:
            return
        introduced = await introductions.list_of_workers(self._store, await self._store.now() - _BELIEVED_US)
        for name in unknown & introduced.keys():
            self._engines.introduce(name, introduced[name])
