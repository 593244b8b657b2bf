"""Pipecat's own ElevenLabs service: `pipecat_elevenlabs.py URL KEY` does a scene for each line of its input,
which may name another URL and KEY behind it, and prints what it saw. URL is the server's root.
"""

import asyncio
import base64
import json
import runpy
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.tts_service import TextAggregationMode
from pipecat.workers.runner import WorkerRunner

_SENTENCES = ("The quick brown fox is here.", "It jumps over the lazy dog.", "Then it rests in the sun.")
_WORDS = [f"{word} " for sentence in _SENTENCES for word in sentence.split()]
_LONG = [f"{word} " for number in range(20) for word in f"This is sentence number {number}.".split()]
_SHORT = ("Hi. ",)
_STALLING = "stalling/gpt-4o-mini-tts"
_SHORT_S = 2.0
"""A little more than the first of them takes."""
_ONE = len(_SENTENCES[0].split()) + 1
"""So many words until it knows that the first sentence has ended."""
_PAUSE_S = 6.0
_IDLE_S = 60.0
_END_S = 8.0
"""It gives a turn up after 3 s without sound."""


class Server(NamedTuple):
    url: str
    key: str


class _Ear(FrameProcessor):  # type: ignore[misc]
    """Hears what passes it. One stands above the service, where its errors come by, and tells the other."""

    def __init__(self, below: "_Ear | None" = None) -> None:
        super().__init__()
        self.errors: list[str] = below.errors if below else []
        self.changed: asyncio.Event = below.changed if below else asyncio.Event()
        self.begin()

    def begin(self) -> None:
        self.pcm, self.rates, self.words, self.stops = b"", set[int](), list[str](), 0
        self.is_interrupted = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.pcm += frame.audio
            self.rates.add(frame.sample_rate)
        if isinstance(frame, TTSTextFrame):
            self.words.append(frame.text)
        if isinstance(frame, TTSStoppedFrame):
            self.stops += 1
        self.is_interrupted |= isinstance(frame, InterruptionFrame)
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        self.changed.set()
        await self.push_frame(frame, direction)

    async def reach(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self.changed.clear()
            await self.changed.wait()


class Bot:
    def __init__(self, service: Any, worker: Any, ear: _Ear) -> None:
        self.service = service
        self.dials = 0
        self._worker = worker
        self._ear = ear

    async def turn(
        self, words: Iterable[str] = _WORDS, *, enough_s: float = 0.0, ends: bool = True, pause_after: int = 0
    ) -> dict[str, Any]:
        """Says the words. With `enough_s` it is interrupted after so much sound; without `ends`, while its
        text may still go on."""
        self._ear.begin()
        await self._worker.queue_frame(LLMFullResponseStartFrame())
        for number, word in enumerate(words, 1):
            await self._worker.queue_frame(LLMTextFrame(word))
            if number == pause_after:
                await asyncio.sleep(_PAUSE_S)
        if ends:
            await self._worker.queue_frame(LLMFullResponseEndFrame())
        if enough_s:
            await self._ear.reach(lambda: self.heard_s() >= enough_s)
            await self._worker.queue_frame(InterruptionFrame())
            await self._ear.reach(lambda: self._ear.is_interrupted)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_S):
                    await self._ear.reach(lambda: self._ear.stops > 0)
        pcm, rate = base64.b64encode(self._ear.pcm).decode(), max(self._ear.rates, default=0)
        return {"pcm": pcm, "rate": rate, "words": self._ear.words, "stops": self._ear.stops}

    async def until_it_gives_up(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await self._ear.reach(lambda: not self.service.is_usable)

    def ends(self) -> dict[str, Any]:
        return {"errors": self._ear.errors, "is_usable": self.service.is_usable, "dials": self.dials}

    async def note_dial(self, *_: object) -> None:
        self.dials += 1

    async def note_usable(self, *_: object) -> None:
        self._ear.changed.set()

    def heard_s(self) -> float:
        return len(self._ear.pcm) / 2 / max(self._ear.rates, default=1)


@asynccontextmanager
async def _bot(
    server: Server, *, rate: int = 24_000, mode: str = "sentence", **settings: Any
) -> AsyncIterator[Bot]:
    given = {"model": "tts-1", "voice": "alloy", **settings}
    service = ElevenLabsTTSService(
        api_key=server.key,
        url=f"{server.url.replace('http://', 'ws://')}/elevenlabs",
        text_aggregation_mode=TextAggregationMode(mode),
        settings=ElevenLabsTTSService.Settings(**given),
    )
    async with _running(service, rate) as bot:
        yield bot


@asynccontextmanager
async def _running(service: Any, rate: int = 24_000) -> AsyncIterator[Bot]:
    ear = _Ear()
    params = PipelineParams(audio_out_sample_rate=rate)
    pipeline = Pipeline([_Ear(ear), service, ear])
    worker = PipelineWorker(pipeline, params=params, cancel_on_idle_timeout=False)
    bot, started = Bot(service, worker, ear), asyncio.Event()
    service.add_event_handler("on_connected", bot.note_dial)
    service.add_event_handler("on_usable_changed", bot.note_usable)

    @worker.event_handler("on_pipeline_started")  # type: ignore[untyped-decorator]
    async def _on_started(*_: object) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await started.wait()
    try:
        yield bot
    finally:
        await worker.queue_frame(EndFrame())
        await running


async def speaks(server: Server) -> Any:
    async with _bot(server) as bot, _bot(server, mode="token") as tokens, _bot(server, rate=8_000) as narrow:
        turns = await asyncio.gather(bot.turn(), tokens.turn(), narrow.turn())
        seen = dict(zip(("sentence", "token", "8 kHz"), turns, strict=True))
        return {**seen, **bot.ends()}


async def speaks_once(server: Server) -> Any:
    async with _bot(server) as bot:
        return await bot.turn()


async def is_interrupted(server: Server) -> Any:
    async with _bot(server) as early, _bot(server) as late:
        cut = (early.turn(_LONG, enough_s=_SHORT_S, ends=False), late.turn(_LONG, enough_s=_SHORT_S))
        seen = await asyncio.gather(*cut)
        then = await asyncio.gather(early.turn(), late.turn())
        names = ("early", "late")
        turns = {name: {"cut": a, "next": b} for name, a, b in zip(names, seen, then, strict=True)}
        return {**turns, **early.ends()}


async def is_idle(server: Server) -> Any:
    async with _bot(server) as bot:
        first = await bot.turn()
        await asyncio.sleep(_IDLE_S)
        return {"first": first, "next": await bot.turn(), **bot.ends()}


async def speaks_twice(server: Server) -> Any:
    """In the pause, or before, something happens to its socket."""
    async with _bot(server) as bot:
        first = await bot.turn()
        await asyncio.sleep(_PAUSE_S)
        return {"first": first, "next": await bot.turn(), **bot.ends()}


async def fails(server: Server) -> Any:
    async with _bot(server, model="tone/standard", voice="tone/fail") as bot:
        turns = [await bot.turn() for _ in range(3)]
        await bot.until_it_gives_up()
        return {"turns": turns, **bot.ends()}


async def breaks_off(server: Server) -> Any:
    """Its key is revoked in the pause."""
    async with _bot(server) as bot:
        return {"turn": await bot.turn(pause_after=_ONE), "next": await bot.turn(), **bot.ends()}


async def waits(server: Server) -> Any:
    """Two seconds for the first sound, then more; and for more text."""
    at_tardy: dict[str, Any] = {"model": "tardy/standard", "voice": "tardy/tone"}
    at_late: dict[str, Any] = {"model": "tone/standard", "voice": "tone/late"}
    async with _bot(server, **at_late) as late, _bot(server, **at_tardy) as tardy, _bot(server) as paused:
        turns = await asyncio.gather(late.turn(), tardy.turn(), paused.turn(pause_after=_ONE))
        return dict(zip(("late", "tardy", "text"), turns, strict=True))


async def stalls(server: Server) -> Any:
    """Its sound stops in the middle for seconds, again and again."""
    async with _bot(server, model=_STALLING, voice="ada") as bot:
        turn = await bot.turn(_SHORT)
        await asyncio.sleep(_PAUSE_S)
        return {"turn": turn, "later_s": bot.heard_s(), **bot.ends()}


async def speaks_as_printed(server: Server) -> Any:
    """In place of a key it is given a file that makes a service."""
    async with _running(runpy.run_path(server.key)["tts"]) as bot:
        return await bot.turn()


_SCENES: tuple[Callable[[Server], Coroutine[Any, Any, Any]], ...] = (
    *(speaks, speaks_once, is_interrupted, is_idle, speaks_twice, fails, breaks_off, waits, stalls),
    speaks_as_printed,
)


def main() -> None:
    logger.remove()
    url, key, *scenes = sys.argv[1:]
    named = {scene.__name__: scene for scene in _SCENES}
    for line in scenes or sys.stdin:
        scene, *other = line.split()
        print(json.dumps(asyncio.run(named[scene](Server(*(other or (url, key)))))), flush=True)


if __name__ == "__main__":
    main()
