"""How near `text_spoken` is to what a listener has heard: `python -m bench.sockets heard URL KEY`, with
MODEL and VOICE behind it for another engine than Kokoro.

The server speaks, and has a `whisper-base` that hears. Each of twenty texts of two sentences is interrupted
three times, by a player that plays from the first sound on. Whisper writes down, once, all sound that was
sent, with the times of its words, of which those count that begin before the interruption; and once the sound
that was played, which ends inside of a word. The words of both are compared with `text_spoken`.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx2

from policies.estimate import expected_s, speech_seconds
from proxy.audio.formats import wav_header
from speech_engine.text.said import words_of
from tests.features.sockets.native import Spoken, Talker, talking
from tests.heard.judge import OTHERS, SENTENCES, edits

EACH = 3
FIRST_S = 0.3
EARS = "whisper/base"
_RATE_HZ, _SAMPLE_BYTES = 24_000, 2
_SHOWN_OFF = 2


class Interruption(NamedTuple):
    """The words of a text until an interruption: those that were told, those that had begun by the times of
    the ears, and those that the ears hear in the sound until then."""

    told: int
    timed: int
    heard: int
    played_ms: int
    shown: str


def measure(url: str, key: str, model: str = "kokoro/standard", voice: str = "kokoro/af_heart") -> None:
    load, found = os.getloadavg()[0], list[Interruption]()
    # It may be ended early: those until then count.
    with suppress(KeyboardInterrupt):
        for each in _interruptions(url, key, model, voice):
            found.append(each)
            if max(abs(each.told - each.timed), abs(each.told - each.heard)) > _SHOWN_OFF:
                counts = f"told {each.told}, timed {each.timed}, heard {each.heard}"
                print(f"{each.played_ms} ms: {counts}: {each.shown}", flush=True)
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores"
    print(f"{now}, load {load:.1f} to {os.getloadavg()[0]:.1f}: {model}, {voice}, {len(found)} interruptions")
    print("|beside|exact|within one word|within two|mean, words|\n|-|-|-|-|-|")
    _row("times of the ears", [each.told - each.timed for each in found])
    _row("the sound until then", [each.told - each.heard for each in found])


def _interruptions(url: str, key: str, model: str, voice: str) -> Iterator[Interruption]:
    chosen, sentences = random.Random(7), (*SENTENCES, *OTHERS)
    texts = [f"{a} {b}" for a, b in zip(sentences, (*sentences[1:], sentences[0]), strict=True)]
    headers = {"authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=120.0) as client:
        with talking(url, key, model=model, voice=voice, language="en") as talker:
            for text in texts * EACH:
                length_s = expected_s(speech_seconds(text, 1.0), 0, None, 1.0)
                yield _interrupt(talker, client, text, chosen.uniform(FIRST_S, length_s))


def _interrupt(talker: Talker, client: httpx2.Client, text: str, played_s: float) -> Interruption:
    talker.texts(text)
    talker.done()
    spoken, played_s = _played(talker, played_s)
    talker.cancel(played_ms=round(played_s * 1000))
    # Its end may come before the answer.
    end = talker.read_until("audio.cancelled").end
    # What came after the interruption was not played, and helps to time the last word.
    sound = spoken.sound
    until = round(played_s * _RATE_HZ) * _SAMPLE_BYTES
    timed = " ".join(
        str(word["word"]) for word in _transcribed(client, sound)["words"] if word["start"] < played_s
    )
    heard = str(_transcribed(client, sound[:until])["text"])
    return Interruption(
        told=len(words_of(end["text_spoken"]).tokens),
        timed=_begun(text, timed),
        heard=_begun(text, heard),
        played_ms=round(played_s * 1000),
        shown=f"{end['text_spoken']!r}, {timed!r}, {heard!r}",
    )


def _played(talker: Talker, played_s: float) -> tuple[Spoken, float]:
    """Return what came until so much was played, and how much that was: a text may be shorter."""
    spoken = Spoken([], b"", 0.0)
    while len(spoken.sound) < _SAMPLE_BYTES * _RATE_HZ * played_s or time.monotonic() < _due(
        spoken, played_s
    ):
        spoken = spoken.joined(talker.read_until("audio.done", "session.done", by=time.monotonic() + 0.02))
        if "error" in spoken.types:
            raise SystemExit(str(spoken.having("error")))
        if "session.done" in spoken.types:
            played_s = min(played_s, _seconds(spoken))
            time.sleep(max(0.0, _due(spoken, played_s) - time.monotonic()))
            break
    return spoken, played_s


def _seconds(spoken: Spoken) -> float:
    return len(spoken.sound) / _SAMPLE_BYTES / _RATE_HZ


def _due(spoken: Spoken, played_s: float) -> float:
    return spoken.first_sound_s + played_s


def _transcribed(client: httpx2.Client, pcm: bytes) -> dict[str, Any]:
    form: dict[str, Any] = {
        "model": EARS,
        "language": "en",
        "response_format": "verbose_json",
        "timestamp_granularities[]": "word",
    }
    file = wav_header(len(pcm) // _SAMPLE_BYTES, _RATE_HZ) + pcm
    answer = client.post("/v1/audio/transcriptions", data=form, files={"file": ("a.wav", file)})
    if not answer.is_success:
        raise SystemExit(answer.text)
    got: dict[str, Any] = answer.json()
    return {**got, "words": got.get("words") or []}


def _begun(text: str, heard: str) -> int:
    """Return how many words of a text a transcript has begun. The last one may be cut, so that it is another
    word."""
    wanted, found = words_of(text).tokens, words_of(heard).tokens
    costs = [edits(wanted[:count], found) for count in range(len(wanted) + 1)]
    return max(count for count, cost in enumerate(costs) if cost == min(costs))


def _row(name: str, off: Sequence[int]) -> None:
    shares = (sum(abs(each) <= most for each in off) / len(off) for most in (0, 1, 2))
    cells = "|".join(f"{share:.0%}" for share in shares)
    print(f"|{name}|{cells}|{sum(off) / len(off):+.2f}|")
