"""The models and voices of engines that do not run on this machine: their "introduction".

An engine at a runner is asked once, at the price of one short run, and its answer is stored. The engines of
workers on other machines are written to the database by those workers, and read by the servers that accept
jobs for them.
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

INTRODUCE_EVERY_S = 60.0
LONGEST_RETRY_S = 3600.0

_log = structlog.get_logger()


class Introducing:
    """The introduction of one engine at a runner. Every result has it, too, so that of a new image is known
    after its first run."""

    def __init__(self, store: Store, engine: RemoteEngine, runs: Runs) -> None:
        self._store = store
        self._engine = engine
        self._runs = runs
        self._piece = introduction_of(engine.name, engine.section.plugin, runs.name)
        self._unstored: HelloReply | None = None
        self._known: HelloReply | None = None
        self._retry_s = INTRODUCE_EVERY_S

    def note_hello(self, hello: HelloReply) -> None:
        """Take the introduction that came with a result. The next `introduce_engine` stores it."""
        if hello != self._known and hello.api_version == API_VERSION:
            self._unstored = hello
            self._apply_hello(hello)

    async def introduce_engine(self) -> float:
        """Bring the engine up to date. Return the seconds until the next turn."""
        if self._known is None:
            await self._load_stored()
        if self._known is None:
            try:
                self.note_hello(await self._request())
            except EngineError as error:
                _log.warning("runner.introduction.failed", engine=self._engine.name, reason=error.reason)
                self._engine.trouble = f"does not tell its models yet: {error.reason}"
                # Each try may cost money, and a broken image stays broken.
                after_s, self._retry_s = self._retry_s, min(2 * self._retry_s, LONGEST_RETRY_S)
                return max(after_s, min(error.retry_after_s or 0.0, LONGEST_RETRY_S))
        if self._unstored is not None:
            hello = encode(self._unstored)
            await introductions.store_introduction(self._store, self._engine.name, hello, self._piece.digest)
            self._known, self._unstored = self._unstored, None
        return INTRODUCE_EVERY_S

    async def _load_stored(self) -> None:
        stored = await introductions.find_introduction(self._store, self._engine.name, self._piece.digest)
        try:
            self._known = None if stored is None else decode_hello(stored)
        except ValueError:
            return
        if self._known is not None:
            self._apply_hello(self._known)

    async def _request(self) -> HelloReply:
        frames = await self._runs.frames(self._piece)
        for frame in frames:
            if isinstance(frame, FarIntroduction) and frame.hello.api_version == API_VERSION:
                return frame.hello
            if isinstance(frame, Failed):
                raise frame.to_error()
        raise EngineFailed("The far end is of another version than this server: build its image anew.")

    def _apply_hello(self, hello: HelloReply) -> None:
        self._engine.take_hello(hello, self._runs.runner.limits.over_s)


EXCHANGE_EVERY_S = 5.0
_REPUBLISH_US = 600 * SECOND_US
_VALID_US = 3600 * SECOND_US
"""How long servers that start believe an introduction whose worker is gone."""


class RemoteEngines:
    """The introductions of the engines of workers: each publishes its own, and reads those of the others."""

    def __init__(self, store: Store, engines: Engines) -> None:
        self._store = store
        self._engines = engines
        # The introduction that was published last, and when, by engine.
        self._published: dict[str, tuple[bytes, int]] = {}

    async def publish_introductions(self) -> None:
        """Publish the introductions of this worker's engines when they are new, and every ten minutes."""
        now = await self._store.now()
        for name, hello in self._engines.introductions().items():
            before, sent_at = self._published.get(name, (b"", 0))
            if hello != before or now - sent_at >= _REPUBLISH_US:
                await introductions.store_introduction(self._store, name, hello)
                self._published[name] = hello, now

    async def read_introductions(self) -> None:
        """Read the introductions of engines that were never up here."""
        unknown = self._engines.unknown_engines()
        if not unknown:
            return
        introduced = await introductions.list_of_workers(self._store, await self._store.now() - _VALID_US)
        for name in unknown & introduced.keys():
            self._engines.introduce(name, introduced[name])
