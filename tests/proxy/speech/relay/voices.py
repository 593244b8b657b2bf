"""Three engines that a test scripts, a voice on each, and dialogues for them."""

import asyncio
from pathlib import Path
from typing import Any

from speech_engine import Event, Finished, SpeechJob, Started
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound

CONFIG = """
[engines.one]
[engines.two]
[engines.three]
[models]
all = ["one/m", "two/m", "three/m"]
[voices.ana]
one = "v"
[voices.ben]
two = "v"
[voices.cid]
three = "v"
[voices.dot]
two = "v"
three = "v"
"""
CAST = {"Ana": "ana", "Ben": "ben", "Cid": "cid", "Dot": "dot"}
PAUSE_S = 0.25
"""The pause between two turns, unless the configuration says another."""


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "all", "voice": {"cast": CAST}, "input": text, "response_format": "pcm", **more}


def stage(folder: Path, *scripts: Scripted, config: str = CONFIG, plan: str = "unlimited") -> Any:
    """A worker with these engines, in the order of their names; what is not given is never asked."""
    names = ("one", "two", "three")
    given = (*scripts, *(Scripted() for _ in range(len(names) - len(scripts))))
    return inside(folder, config, dict(zip(names, given, strict=True)), plan=plan)


def said(job: SpeechJob) -> str:
    return " ".join(segment.spoken for segment in job.segments)


def telling(event: asyncio.Event) -> Step:
    """A step of a script that tells that it was come to."""

    async def tell() -> None:
        event.set()

    return tell


def speech(seconds: float, *before_the_end: Step) -> list[Step]:
    """So much sound, then these steps, then the end."""
    events: list[Event] = [Started(RATE_HZ), *sound(seconds)]
    return [*events, *before_the_end, Finished()]


async def hear(server: Inside, text: str, **more: Any) -> bytes:
    answer = await server.ask("POST", "/v1/audio/speech", body=body(text, **more))
    assert answer.status_code == 200, answer.text
    return answer.content
