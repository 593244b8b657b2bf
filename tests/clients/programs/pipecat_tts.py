"""Pipecat's own OpenAI service: `pipecat_tts.py URL KEY [ROW]` does a row and prints what it saw.

Without a row it takes one from each line of its input. URL is the server's root, without /v1.
"""

import asyncio
import base64
import json
import sys
import time
from typing import Any, NamedTuple

from loguru import logger
from pipecat.frames.frames import EndFrame, ErrorFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner

_TEXT = "The quick brown fox."


class Server(NamedTuple):
    url: str
    key: str


class _Ear(FrameProcessor):  # type: ignore[misc]
    """Stands below the service, and another one above it: errors go up the pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self.pcm = b""
        self.rates: set[int] = set()
        self.errors: list[str] = []
        self.times: list[float] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.pcm += frame.audio
            self.rates.add(frame.sample_rate)
            self.times.append(time.monotonic())
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        await self.push_frame(frame, direction)


async def early_chunks(server: Server) -> Any:
    return {
        "whole": await _spoken(server, _TEXT, model="gpt-4o-mini-tts", voice="alloy"),
        # Bound to a voice that takes as long as its audio lasts.
        "slow": await _spoken(server, f"{_TEXT} " * 3, model="tts-1-hd", voice="verse"),
    }


ROWS = {25: early_chunks}


async def _spoken(server: Server, text: str, **settings: Any) -> dict[str, Any]:
    """A text through a pipeline, as a bot says it."""
    above, below = _Ear(), _Ear()
    service = OpenAITTSService(
        api_key=server.key,
        base_url=f"{server.url}/v1",
        settings=OpenAITTSService.Settings(**settings),
    )
    worker = PipelineWorker(Pipeline([above, service, below]), cancel_on_idle_timeout=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await worker.queue_frames([TTSSpeakFrame(text), EndFrame()])
    await runner.run()
    lasted = below.times[-1] - below.times[0] if below.times else 0.0
    seen = {"rates": sorted(below.rates), "errors": above.errors, "lasted_s": lasted}
    return {**seen, "pcm": base64.b64encode(below.pcm).decode()}


def main() -> None:
    logger.remove()
    url, key, *rows = sys.argv[1:]
    for row in rows or sys.stdin:
        print(json.dumps(asyncio.run(ROWS[int(row)](Server(url, key)))), flush=True)


if __name__ == "__main__":
    main()
