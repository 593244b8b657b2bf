"""What it costs a sentence that Kokoro cuts it for its listener: `python -m bench.pieces URL KEY [TAG…]`.

Twenty short and twenty long sentences of each language are asked for twice: as a stream, whose sentences are
cut, and as a file, whose are whole, each by another of OpenAI's names. Their lengths are compared, and the
words that `whisper-1` has wrong.
"""

from __future__ import annotations

import io
import sys
import wave
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle
from os import cpu_count, getloadavg

import httpx2

from bench.sentences import sentences
from proxy.config.config_toml import known_names
from speech_engine.text.said import words_of
from tests.heard.judge import OTHERS, SENTENCES, edits

AND = {"en": ", and", "es": " y", "fr": " et", "it": " e", "pt-BR": " e"}
FORMATS = ("wav", "pcm")
"""A file, which is made whole, and a stream."""
RATE_HZ = 24_000


def main() -> None:
    url, key, *tags = sys.argv[1:]
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {cpu_count()} cores, load {getloadavg()[0]:.1f}")
    print("|language|sentences|whole, s|cut, s|longer by|words wrong whole|cut|of|\n|-|-|-|-|-|-|-|-|")
    with httpx2.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=300.0) as client:
        for tag in tags or AND:
            for kind, texts in zip(("short", "long"), _texts(tag), strict=True):
                whole, cut = (_said(client, tag, texts, each) for each in FORMATS)
                figures = f"{whole[0]:.1f}|{cut[0]:.1f}|{cut[0] / whole[0] - 1:+.1%}|{whole[1]}|{cut[1]}"
                print(f"|{tag}|{kind}|{figures}|{cut[2]}|", flush=True)


def _texts(tag: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return twenty short sentences, and twenty that are two of them."""
    if tag == "en":
        short = [*SENTENCES, *OTHERS]
        firsts, seconds = short, [each[0].lower() + each[1:] for each in short]
    else:
        parts = [each.partition(", ") for each in sentences(tag)]
        seconds = [clause for _, _, clause in parts[:20]]
        short = [clause[0].upper() + clause[1:] for clause in seconds]
        firsts = ["".join(parts[number % 10 * 20 + number]) for number in range(20)]
    pairs = zip(firsts, seconds[7:] + seconds[:7], strict=True)
    return short, [f"{one[:-1]}{AND[tag]} {other}" for one, other in pairs]


def _said(client: httpx2.Client, tag: str, texts: Sequence[str], form: str) -> tuple[float, int, int]:
    """Return the seconds of the sound, the words that are heard wrongly, and how many words there are."""
    seconds, wrong, count = 0.0, 0, 0
    for text, voice in zip(texts, cycle(known_names())):
        body = {"model": "kokoro/standard", "voice": voice, "language": tag, "input": text}
        answer = client.post("/v1/audio/speech", json={**body, "response_format": form}).raise_for_status()
        sound = answer.content if form == "wav" else _as_wav(answer.content)
        with wave.open(io.BytesIO(sound)) as file:
            seconds += file.getnframes() / file.getframerate()
        heard = client.post(
            "/v1/audio/transcriptions",
            data={"model": "whisper-1", "language": tag},
            files={"file": ("a.wav", sound)},
        )
        wanted = words_of(text).tokens
        wrong += edits(wanted, words_of(heard.raise_for_status().json()["text"]).tokens)
        count += len(wanted)
    return seconds, wrong, count


def _as_wav(pcm: bytes) -> bytes:
    with io.BytesIO() as sound:
        with wave.open(sound, "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(pcm)
        return sound.getvalue()


if __name__ == "__main__":
    main()
