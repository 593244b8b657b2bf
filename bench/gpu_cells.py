"""The clients of `bench.gpu`, and what they heard. Nothing here needs torch.

A client asks for its next text as soon as it has the last one. When the time of a cell is over, all that is
on its way is cut off: what was heard until then counts, and a first sound that had not come counts with the
wait so far, which is too little and never too much.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from itertools import count
from typing import Literal, NamedTuple, Protocol

import msgspec

from bench.listeners import GAP_S, SEED, Heard, Visit
from bench.timed_model import CHARACTER_S

TEXTS, VOICES = 64, 8
SHORTEST, LONGEST = 20, 200
SENTENCE = 90
"""The characters of fifteen words."""


class Options(msgspec.Struct, frozen=True):
    """What the person at the terminal chose. The `size` "auto" is full on a card, and else tiny.

    `precision` is that of our network; upstream has float32 alone. A `width` of 0 is the engine's own.
    """

    seconds: float = 20.0
    clients: tuple[int, ...] = (1, 4, 16, 32)
    width: int = 0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    threads: int = 1
    size: Literal["auto", "tiny", "full"] = "auto"


class Text(NamedTuple):
    """What is spoken, and for how long, whatever the model says."""

    spoken: str
    seconds: float


class Side(Protocol):
    """One of the two that are compared."""

    @property
    def name(self) -> str: ...

    def open(self, clients: int) -> AbstractAsyncContextManager[None]:
        """Be ready for so many clients. At the end, nothing of them goes on."""
        ...

    def speak(self, text: Text, voice: int) -> AsyncGenerator[float, None]:
        """Speak, and yield the seconds of each piece of sound when it is there."""
        ...

    def figures(self) -> Mapping[str, float]:
        """Return those of `step_width` and `step_seconds` that it knows."""
        ...


class Contest(NamedTuple):
    """An engine's sides, each with the bytes of its weights on a card. Ours is the last one.

    `facts` says how large the network is and how long a voice takes. Both sides make as much sound, but for
    `apart_s`.
    """

    sides: Mapping[Side, int]
    facts: str
    apart_s: float


class Cell(NamedTuple):
    """What so many clients had of one side. A time with True is the least that it can be."""

    finished: int
    begun: int
    speed: float
    first_audio_p50: tuple[float, bool]
    first_audio_p95: tuple[float, bool]
    smooth: float | None
    rows: float | None
    step_s: float | None


def draw_texts() -> list[Text]:
    """Draw the same texts for all: words of letters that every vocabulary has."""
    rng = random.Random(SEED)
    return [draw_text(rng, rng.randint(SHORTEST, LONGEST)) for _ in range(TEXTS)]


def draw_text(rng: random.Random, length: int) -> Text:
    words = " ".join("".join(rng.choices("abdegiklmnoprstu", k=rng.randint(2, 9))) for _ in range(LONGEST))
    return Text(words[: length - 1].rstrip().ljust(length, "a"), length * CHARACTER_S)


async def play(side: Side, clients: int, seconds: float) -> Cell:
    """Let so many clients listen to a side for so long."""
    loop, texts = asyncio.get_running_loop(), draw_texts()
    heard: list[Heard] = []
    last_sound_at = began = loop.time()

    async def listen(client: int) -> None:
        nonlocal last_sound_at
        for number in count():
            text = texts[(client * 7 + number) % TEXTS]
            one = Heard(Visit(loop.time(), client, 1, text.seconds, 1.0, False), loop.time())
            heard.append(one)
            async with aclosing(side.speak(text, (client + number) % VOICES)) as pieces:
                async for piece_s in pieces:
                    last_sound_at = loop.time()
                    one.hears(piece_s, last_sound_at)
            one.is_whole_answer = True

    async with side.open(clients):
        began = last_sound_at = loop.time()
        tasks = [asyncio.create_task(listen(client)) for client in range(clients)]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        over, figures = loop.time(), side.figures()
        spoken_s = sum(one.seconds for one in heard)
        took_s = last_sound_at - began
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    return _cell(heard, over, spoken_s / took_s if took_s else 0.0, figures)


def _cell(heard: Sequence[Heard], over: float, speed: float, figures: Mapping[str, float]) -> Cell:
    for one in heard:
        if one.first_audio_s is not None and not one.is_whole_answer:
            one.hears(0.0, over)  # a pause that had not ended is one
    firsts = sorted(
        (over - one.visit.at_s, True) if one.first_audio_s is None else (one.first_audio_s, False)
        for one in heard
    )
    listeners = [one for one in heard if one.first_audio_s is not None]
    return Cell(
        finished=sum(one.is_whole_answer for one in heard),
        begun=len(heard),
        speed=speed,
        first_audio_p50=_quantile(firsts, 0.5),
        first_audio_p95=_quantile(firsts, 0.95),
        smooth=sum(one.gap_s <= GAP_S for one in listeners) / len(listeners) if listeners else None,
        rows=figures.get("step_width"),
        step_s=figures.get("step_seconds"),
    )


def _quantile(firsts: Sequence[tuple[float, bool]], part: float) -> tuple[float, bool]:
    place = int(len(firsts) * part)
    return firsts[place][0], any(is_least for _, is_least in firsts[: place + 1])
