"""How near heard times of words are to the true ones: `python -m bench.word_times [LANGUAGE…]`.

espeak speaks twenty sentences of a language in two of its voices, and tells itself when each word begins.
`whisper-base` finds the words, a sentence a window, as the server has it. Beside it are the times that the
server computes from the letters of a sentence, both with their constant lateness and without. It needs the
environment of whisper.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate, chain, pairwise, product
from typing import NamedTuple

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from bench.sentences import LANGUAGES, sentences
from plugins.whisper.model_format import MODEL_FORMAT
from proxy.config.sections import EngineSection
from proxy.hosts.stored_models import with_models
from proxy.speech_steps.word_times import WordPositions, find_words, interpolate
from speech_engine import HEARING_HZ, Audio, Engine, HearJob, Segment, Words
from speech_engine.pcm import PcmInMemory
from speech_engine.testing import collect
from speech_engine.testing.hearing_contract import segments
from tests.heard.judge import OTHERS, SENTENCES
from tests.heard.natural import put
from tests.plugins.espeak.heard import SAMPLE_RATE_HZ, espeak, said
from tests.plugins.piper.environment import interpreter
from tests.plugins.whisper.test_hosted import LOADED_S, HostedEars, kept_host
from tests.speech_engine.host.fakes import short_folder
from tests.waiting import soon

VOICES = ("m3", "f2")
PLACES = tuple(range(7, 200, 10))
TOGETHER = 10
"""Sentences of a text."""
BETTER = 0.7
"""The part of the computed times' error that heard ones may have."""

Floats = NDArray[np.float64]


class Spoken(NamedTuple):
    """A text of espeak's: where its sentences begin and the last one ends, and when its words are said."""

    pcm: bytes
    starts_s: Sequence[float]
    words_s: dict[tuple[int, int], float]


async def main() -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("|language|words|times|late, ms|p50|p90|without that, p50|p90|\n|-|-|-|-|-|-|-|-|")
    interpreter("whisper")
    with short_folder() as folder:
        put("whisper-base", folder / "data")
        section = EngineSection("whisper", model="whisper-base")
        stored, _ = with_models(section, MODEL_FORMAT, str(folder / "data"))
        async with espeak() as speaker, kept_host(folder, dict(stored.settings)) as (engine, _):
            await soon(lambda: engine.state == "ready", within_s=LOADED_S)
            for tag in sys.argv[1:] or ("en", *LANGUAGES):
                await _tell(HostedEars(engine), speaker, tag)


async def _tell(ears: HostedEars, speaker: Engine, tag: str) -> None:
    texts = (*SENTENCES, *OTHERS) if tag == "en" else [sentences(tag)[place] for place in PLACES]
    late_s: dict[str, list[float]] = {"heard": [], "computed": []}
    for voice, first in product(VOICES, range(0, len(texts), TOGETHER)):
        own = texts[first : first + TOGETHER]
        places, spoken = _places(own), await _spoken(speaker, own, tag, voice)
        computed = chain.from_iterable(
            interpolate(places, number, *borders) for number, borders in enumerate(pairwise(spoken.starts_s))
        )
        told = {
            "heard": await _heard(ears, spoken, own, tag),
            "computed": [word.start_seconds for word in computed],
        }
        words = [found for segment in places.segments for found in find_words(places.text, segment)]
        for name, starts_s in told.items():
            each = zip(words, starts_s, strict=True)
            late_s[name] += [at_s - spoken.words_s[word] for word, at_s in each if word in spoken.words_s]
    p90 = {name: _row(tag, name, 1000 * np.array(each)) for name, each in late_s.items()}
    print(f"{tag}: {'' if p90['heard'] <= BETTER * p90['computed'] else 'not '}used")


def _row(tag: str, name: str, late_ms: Floats) -> float:
    """Print a row, and return its 90th percentile without the constant lateness."""
    late = np.median(late_ms)
    errors = [*np.percentile(np.abs(late_ms), (50, 90)), *np.percentile(np.abs(late_ms - late), (50, 90))]
    cells = "|".join(f"{cell:.0f}" for cell in (late, *errors))
    print(f"|{tag}|{len(late_ms)}|{name}|{cells}|", flush=True)
    return float(errors[-1])


def _places(texts: Sequence[str]) -> WordPositions:
    starts = list(accumulate((len(text) + 1 for text in texts), initial=0))
    own = [Segment(text, start, start + len(text)) for text, start in zip(texts, starts, strict=False)]
    return WordPositions(" ".join(texts), tuple(own))


async def _spoken(speaker: Engine, texts: Sequence[str], tag: str, voice: str) -> Spoken:
    places = _places(texts)
    pcm, starts, words_s = bytearray(), dict[int, float](), dict[tuple[int, int], float]()
    for event in await collect(speaker, said(*texts, language=tag, voice=voice, seed=1)):
        if isinstance(event, Audio):
            starts.setdefault(event.segment, len(pcm) / 2 / SAMPLE_RATE_HZ)
            pcm += event.pcm
        elif isinstance(event, Words):
            for word in event.words:
                found = places.locate(event.segment, word, word.sample_offset / SAMPLE_RATE_HZ)
                words_s[found.place] = found.start_seconds
    sound = soxr.resample(np.frombuffer(bytes(pcm), "<i2").astype(float), SAMPLE_RATE_HZ, HEARING_HZ)
    starts_s = [*starts.values(), len(pcm) / 2 / SAMPLE_RATE_HZ]
    return Spoken(sound.astype("<i2").tobytes(), starts_s, words_s)


async def _heard(ears: HostedEars, spoken: Spoken, texts: Sequence[str], tag: str) -> list[float]:
    job = HearJob(
        id="1",
        tenant="",
        model="base",
        estimated_s=len(spoken.pcm) / 2 / HEARING_HZ,
        language=tag,
        texts=tuple(texts),
        starts_s=tuple(spoken.starts_s[:-1]),
    )
    events = [event async for event in ears.transcribe(job, aiter(PcmInMemory(spoken.pcm, HEARING_HZ)))]
    return [word.start_s for each in segments(events) for word in each.words]


if __name__ == "__main__":
    asyncio.run(main())
