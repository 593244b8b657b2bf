"""Pipecat's own OpenAI service: `pipecat_tts.py URL KEY [ROW]` does a row and prints what it saw.

Without a row it takes one from each line of its input, which may name another URL and KEY behind it. URL is
the server's root, without /v1.
"""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from loguru import logger
from openai import DEFAULT_MAX_RETRIES, DefaultAsyncHttpxClient
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.tts import VALID_VOICES, OpenAITTSService
from pipecat.workers.runner import WorkerRunner

_TEXT = "The quick brown fox."
_LONG = "This takes a while to say. " * 20
_SECOND = 48_000


class Server(NamedTuple):
    url: str
    key: str


class Say(NamedTuple):
    model: str
    voice: str
    text: str = _TEXT
    speed: float | None = None


class _Ear(FrameProcessor):  # type: ignore[misc]
    """Below the service: hears its audio, is told of its errors, and says when they were enough."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self.pcm = b""
        self.rates: set[int] = set()
        self.errors: list[str] = []
        self.times: list[float] = []
        self.done = asyncio.Event()
        self._enough = enough

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.pcm += frame.audio
            self.rates.add(frame.sample_rate)
            self.times.append(time.monotonic())
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        if isinstance(frame, (TTSStoppedFrame, ErrorFrame)) or len(self.pcm) >= self._enough > 0:
            self.done.set()
        await self.push_frame(frame, direction)


async def early_chunks(server: Server) -> Any:
    return {
        "whole": await _spoken(server, Say("gpt-4o-mini-tts", "alloy")),
        # Bound to a voice that takes as long as its audio lasts.
        "slow": await _spoken(server, Say("tts-1-hd", "verse", f"{_TEXT} " * 3)),
    }


async def built_in_voices(server: Server) -> Any:
    return {voice: await _spoken(server, Say("gpt-4o-mini-tts", voice)) for voice in VALID_VOICES}


async def errors(server: Server) -> Any:
    good = Say("gpt-4o-mini-tts", "alloy")
    return {
        "400": await _spoken(server, good._replace(speed=9.0)),
        "401": await _spoken(server._replace(key="vg-wrong"), good),
        "404": await _spoken(server, good._replace(model="tts-9")),
    }


async def quota(server: Server) -> Any:
    return await _spoken(server, Say("tts-1", "alloy"), retries=DEFAULT_MAX_RETRIES)


async def failure_before_audio(server: Server) -> Any:
    return [await _spoken(server, Say("tts-1-hd", "shimmer"))]


async def failure_midway(server: Server) -> Any:
    return {"streamed": await _spoken(server, Say("tts-1-hd", "sage"))}


async def failing_again(server: Server) -> Any:
    return await _spoken(server, Say("tts-1", "sage"), retries=DEFAULT_MAX_RETRIES)


async def leaving(server: Server) -> Any:
    seen = await _spoken(server, Say("tts-1-hd", "verse", _LONG), enough=_SECOND)
    return {"received": len(base64.b64decode(seen["pcm"]))}


ROWS: dict[int, Callable[[Server], Coroutine[Any, Any, Any]]] = {
    8: built_in_voices,
    13: errors,
    15: quota,
    17: failure_before_audio,
    18: failure_midway,
    19: failing_again,
    20: leaving,
    25: early_chunks,
}


async def _spoken(server: Server, say: Say, enough: int = 0, retries: int = 0) -> dict[str, Any]:
    """A text through a pipeline, as a bot says it; with `enough` it is interrupted after so many bytes."""
    ear = _Ear(enough)
    exchanges: list[Any] = []
    service = _service(server, say, exchanges)
    service._client.max_retries = retries
    worker = PipelineWorker(Pipeline([_Above(ear), service, ear]), cancel_on_idle_timeout=False)
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")  # type: ignore[untyped-decorator]
    async def _on_started(*_: object) -> None:
        started.set()

    async def talk() -> None:
        await started.wait()
        await worker.queue_frame(TTSSpeakFrame(say.text))
        await ear.done.wait()
        if ear.errors:
            # It would wait some seconds for audio that cannot come any more.
            await worker.cancel()
            return
        if enough:
            await worker.queue_frame(InterruptionFrame())
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), talk())
    lasted = ear.times[-1] - ear.times[0] if ear.times else 0.0
    seen = {"rates": sorted(ear.rates), "errors": ear.errors, "chunks": len(ear.times), "lasted_s": lasted}
    return {**seen, "exchanges": exchanges, "pcm": base64.b64encode(ear.pcm).decode()}


def _service(server: Server, say: Say, exchanges: list[Any]) -> Any:
    async def note(response: Any) -> None:
        exchanges.append({"status": response.status_code, "headers": dict(response.headers)})

    return OpenAITTSService(
        api_key=server.key,
        base_url=f"{server.url}/v1",
        http_client=DefaultAsyncHttpxClient(event_hooks={"response": [note]}),
        settings=OpenAITTSService.Settings(model=say.model, voice=say.voice, speed=say.speed),
    )


class _Above(FrameProcessor):  # type: ignore[misc]
    """Errors go up the pipeline: it hands them to the ear below the service."""

    def __init__(self, ear: _Ear) -> None:
        super().__init__()
        self._ear = ear

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            self._ear.errors.append(frame.error)
            self._ear.done.set()
        await self.push_frame(frame, direction)


def main() -> None:
    logger.remove()
    url, key, *rows = sys.argv[1:]
    for line in rows or sys.stdin:
        row, *other = line.split()
        print(json.dumps(asyncio.run(ROWS[int(row)](Server(*(other or (url, key)))))), flush=True)


if __name__ == "__main__":
    main()
