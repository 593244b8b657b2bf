"""What a strict check of transcripts costs in time: `python -m bench.realtime`.

The fake of the provider begins after 0.3 s and speaks four times as fast as it is heard. Each way of checking
speaks the same sentences in the same run. A pause is what a listener hears, who plays the sound as it comes.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog

from fakes.realtime.app import Manner, RealtimeFake, served
from plugins.openai.realtime.engine import RealtimeEngine, create
from plugins.openai.realtime.settings import RealtimeSettings
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import Audio, Context
from speech_engine.testing import collect, job

FIRST_S, PACE, RUNS = 0.3, 4.0, 5
_TEXTS = {
    "one short sentence": ("Yes, of course.",),
    "one long sentence": (
        "The quick brown fox that lives behind our house jumps over the lazy dog at night.",
    ),
    "five sentences": (
        "Good morning.",
        "The train to the north leaves from the second platform today.",
        "Mind the gap.",
        "Please have your ticket ready when the guard comes through the carriages.",
        "Thank you.",
    ),
}
_WAYS: dict[str, dict[str, Any]] = {
    "fast": {"check": "fast"},
    "strict": {"check": "strict"},
    "strict, none ahead": {"check": "strict", "ahead": 0},
    "off": {"check": "off"},
}


class Heard(NamedTuple):
    first_s: float
    pause_s: float


async def heard(engine: RealtimeEngine, texts: tuple[str, ...]) -> Heard:
    began = time.monotonic()
    first_s = plays_until = pause_s = seconds = 0.0
    async for event in engine.speak(job(*texts, model="gpt-realtime-2.1-mini", voice="marin")):
        if not isinstance(event, Audio):
            continue
        now = time.monotonic()
        if not seconds:
            first_s, plays_until = now - began, now
        pause_s += max(0.0, now - plays_until)
        length_s = len(event.pcm) / 48_000
        plays_until = max(now, plays_until) + length_s
        seconds += length_s
    return Heard(first_s, pause_s)


@asynccontextmanager
async def engine_of(url: str, **settings: Any) -> AsyncIterator[RealtimeEngine]:
    async with open_http(Upstream()) as http:
        given = RealtimeSettings(base_url=f"{url}/v1", api_key="sk", **settings)
        async with create("bench", given, Context(structlog.get_logger(), http=http, sockets=http)) as engine:
            yield engine


async def main() -> None:
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; medians of {RUNS} runs\n")
    sys.stdout.write(f"{'text':<20}{'check':<20}{'first audio s':>14}{'of fast':>9}{'pauses s':>10}\n")
    async with served(RealtimeFake(Manner(first_s=FIRST_S, pace=PACE))) as url:
        for name, texts in _TEXTS.items():
            fast_s = 0.0
            for way, settings in _WAYS.items():
                async with engine_of(url, **settings) as engine:
                    # The first opens the session.
                    await collect(engine, job("Hm.", model="gpt-realtime-2.1-mini", voice="marin"))
                    found = [await heard(engine, texts) for _ in range(RUNS)]
                first_s = statistics.median(each.first_s for each in found)
                pause_s = statistics.median(each.pause_s for each in found)
                fast_s = fast_s or first_s
                sys.stdout.write(
                    f"{name:<20}{way:<20}{first_s:>14.2f}{first_s / fast_s:>9.2f}{pause_s:>10.2f}\n"
                )


if __name__ == "__main__":
    asyncio.run(main())
