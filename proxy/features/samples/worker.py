"""Makes the samples that are wanted: one at a time, while the server has nothing else to do."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from proxy.access.callers import Caller
from proxy.catalogue.library import EMPTY_LIBRARY
from proxy.engines.engine_list import Engines
from proxy.errors import RequestFailed
from proxy.features.samples.account import TERMS, open_account
from proxy.features.samples.folder import MeasuredSample, SampleFolder, StoredSample
from proxy.features.samples.wanted import FORMAT, WantedSample, WantedSamples, digest_of
from proxy.http.replies import encode_json
from proxy.speech.activity import Activity
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import Defaults, parse_speech
from proxy.storage.rows import new_id
from proxy.storage.store import Store
from proxy.telemetry.background import repeat
from proxy.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from proxy.features.samples.measuring import Measured

QUIET_S = 10.0
LOOK_EVERY_S = 1.0
_LISTEN_S = 0.25
_BYTES_A_CHARACTER = 1200
"""More than an MP3 needs for a character of a text that is read slowly."""

_log = structlog.get_logger()


class SampleWorker:
    """Makes the wanted samples of a machine. One runs on each machine, in worker 0."""

    def __init__(self, store: Store, folder: SampleFolder, engines: Engines, activity: Activity) -> None:
        self.quiet_s = QUIET_S
        self.most_bytes = 0
        self._store = store
        self.folder = folder
        self._engines = engines
        self._activity = activity
        self._orders: WantedSamples | None = None
        self._speaking: Speaking | None = None
        self._caller: Caller | None = None
        # Digests of samples that could not be made, or had no room, since the last revision.
        self._refused: set[str] = set()
        # The wanted samples of `_planned_revision`, by digest.
        self._planned: dict[str, WantedSample] = {}
        self._planned_revision: object = None

    def use_revision(self, orders: WantedSamples, speaking: Speaking, most_bytes: int) -> None:
        self._orders, self._speaking, self.most_bytes = orders, speaking, most_bytes
        self._refused.clear()
        self._planned, self._planned_revision = {}, None

    async def make_in_quiet(self, metrics: Metrics) -> None:
        await repeat("samples", self.make_wanted, LOOK_EVERY_S, metrics, tidies=True)

    async def make_wanted(self) -> None:
        """Make wanted samples until none is left or the server has other speech to make."""
        if not self.most_bytes and not self.folder.samples:
            return
        while await self._is_quiet():
            wanted = await self._plan_wanted()
            await self._drop_useless(wanted)
            found = self._next_sample(wanted)
            if found is None or not await self._make_sample(*found):
                return

    async def _is_quiet(self) -> bool:
        """Tell whether no speech was made for some seconds, and no engine is busy for another worker."""
        self._activity.began.clear()  # a call that begins after this ends the next sample
        if self._activity.idle_s < self.quiet_s:
            return False
        for _, engine in self._engines.items():
            if engine.state == "ready":
                health = await engine.health()
                if health.running or health.waiting:
                    self._activity.note()
                    return False
        return True

    async def _plan_wanted(self) -> dict[str, WantedSample]:
        """Return the wanted samples by digest. They are planned again if the engines or the front changed."""
        assert self._orders is not None, "it is revised before it works"
        self._caller = self._caller or await open_account(self._store)
        revision = self._orders.revision
        if self._planned_revision != revision:
            found: dict[str, WantedSample] = {}
            for order in self._orders.in_order():
                if (call := await self._plan_call(order)) is not None:
                    found[digest_of(order, call)] = order
                await asyncio.sleep(0)
            self._planned, self._planned_revision = found, revision
        return self._planned

    async def _plan_call(self, order: WantedSample) -> SpeechCall | None:
        """Return the call that makes a sample, or None if another voice or model would speak it."""
        assert self._speaking is not None, "it is revised before it works"
        assert self._caller is not None, "the account is open"
        fields = {"model": order.model, "voice": f"{order.engine}/{order.voice}", "input": order.text}
        body = encode_json({**fields, "language": order.language, "response_format": FORMAT, "cache": False})
        plans, id_ = self._speaking.plans, new_id("req")
        try:
            request = parse_speech(body, Defaults())
            call = await plans.planned_call(id_, self._caller, request, TERMS, EMPTY_LIBRARY)
        except RequestFailed:
            return None
        (part, *others) = call.plan.parts
        if others or any(each.model.name != order.model or each.stands_in for each in part.candidates):
            return None
        call.totals.kind = "sample"
        return replace(call, is_idle=True, goes_whole=True)

    async def _drop_useless(self, wanted: dict[str, WantedSample]) -> None:
        """Remove the samples that are not wanted any more, and those over the limit of bytes."""
        assert self._orders is not None, "it is revised before it works"
        orders = self._orders
        useless = [
            digest
            for digest, sample in self.folder.samples.items()
            if digest not in wanted and orders.has_known_voices(sample.record.engine)
        ]
        if useless:
            await asyncio.to_thread(self.folder.remove_samples, useless)
        await self._make_room(0, self._front_digests(wanted))

    async def _make_room(self, new_bytes: int, spared: set[str]) -> None:
        """Remove the least recently used samples until `new_bytes` more fit. Those in `spared` stay, unless
        they alone are over the limit."""
        over, removed = self.folder.used_bytes + new_bytes - self.most_bytes, list[str]()
        oldest = [
            *self.folder.least_recently_used(spared),
            *(self.folder.least_recently_used(()) if not new_bytes else ()),
        ]
        for digest in dict.fromkeys(oldest):
            if over <= 0:
                break
            over -= self.folder.bytes_of((digest,))
            removed.append(digest)
        if removed:
            self._refused.update(removed)
            await asyncio.to_thread(self.folder.remove_samples, removed)

    def _front_digests(self, wanted: dict[str, WantedSample]) -> set[str]:
        return {digest for digest, order in wanted.items() if order.is_of_front}

    def _next_sample(self, wanted: dict[str, WantedSample]) -> tuple[str, WantedSample] | None:
        """Return the sample to make next. Only a sample of the front may take the room of others."""
        of_front = self._front_digests(wanted)
        used_bytes, front_bytes = self.folder.used_bytes, self.folder.bytes_of(of_front)
        for digest, order in wanted.items():
            taken = front_bytes if order.is_of_front else used_bytes
            has_room = taken + _BYTES_A_CHARACTER * len(order.text) <= self.most_bytes
            if digest not in self.folder.samples and digest not in self._refused and has_room:
                return digest, order
        return None

    async def _make_sample(self, digest: str, order: WantedSample) -> bool:
        """Make a sample. Return False if it was given up because a call for speech came."""
        making = asyncio.ensure_future(self._speak(digest, order))
        listening = asyncio.ensure_future(self._wait_for_listener(order.engine))
        try:
            await asyncio.wait((making, listening), return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                making.result()
            return making.done()
        except RequestFailed as failure:
            self._refused.add(digest)
            _log.info("sample.failed", engine=order.engine, code=failure.code)
            return True
        finally:
            for each in (making, listening):
                each.cancel()
            await asyncio.wait((making, listening))

    async def _wait_for_listener(self, engine: str) -> None:
        """Wait until this worker gets a call for speech, or a call of another worker waits for the engine."""
        while True:
            try:
                async with asyncio.timeout(_LISTEN_S):
                    await self._activity.began.wait()
                return
            except TimeoutError:
                health = await self._engines[engine].health()
                if health.waiting or health.running > 1:
                    self._activity.note()
                    return

    async def _speak(self, digest: str, order: WantedSample) -> None:
        call = await self._plan_call(order)
        if call is None:
            self._refused.add(digest)
            return
        assert self._speaking is not None, "it is revised before it works"
        sound = bytearray()
        await self._speaking.pipeline.answer(call, partial(_collect, sound), lambda: None)
        await self._store_measured(digest, order, bytes(sound))

    async def _store_measured(self, digest: str, order: WantedSample, sound: bytes) -> None:
        measured = await asyncio.to_thread(_measure, sound)
        words = len(order.text.split())
        minutes = measured.spoken_s / 60
        record = MeasuredSample(
            digest=digest,
            engine=order.engine,
            voice=order.voice,
            language=order.language,
            kind=order.kind,
            text=order.text,
            gender=order.gender,
            pitch_hz=None if measured.pitch_hz is None else round(measured.pitch_hz, 1),
            words_a_minute=round(words / minutes, 1) if minutes else None,
        )
        of_front = self._front_digests(self._planned)
        await self._make_room(len(sound), of_front)
        if self.folder.used_bytes + len(sound) > self.most_bytes:
            self._refused.add(digest)
            return
        await asyncio.to_thread(self.folder.store_sample, StoredSample(record, sound))


def _measure(sound: bytes) -> Measured:
    # Imported here: it loads libav and numpy, which a worker does once it needs them.
    from proxy.features.samples.measuring import measure

    return measure(sound)


async def _collect(sound: bytearray, answer: Answer) -> None:
    """Add the whole file of an answer to `sound`, and settle the answer."""
    await answer.collect_file()
    while (data := await answer.next_chunk()) is not None:
        sound += data
    sound += answer.last_bytes()
    await answer.settle()
