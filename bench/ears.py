"""How well a server hears its own voices: `python -m bench.ears URL KEY [MODEL [LANGUAGE…]]`.

OpenAI's thirteen names speak ten English sentences each, and a woman and a man of each other language five.
The model (`whisper-1`) writes them down, Hindi also after a prompt in its own letters. Words are compared as
they are written, without their marks; a language with fewer than five wrong words in a hundred is heard well.
`bench.ears_books` has books, whose sentences may be lost, and subtitles.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx2

from bench.sentences import sentences
from proxy.config.config_toml import known_names
from speech_engine.text.said import words_of
from tests.heard.judge import SENTENCES, edits

LANGUAGES = {"es": ("nova", "onyx"), "fr": ("nova",), "it": ("nova", "onyx"), "pt-BR": ("nova", "onyx")}
LANGUAGES |= {"hi": ("nova", "onyx")}
PROMPTS = {"hi": "नमस्ते, आज मौसम अच्छा है।"}
PLACES = tuple(range(7, 200, 43))
WELL = 0.05


def main() -> None:
    url, key, *more = sys.argv[1:]
    model, *wanted = more or ["whisper-1"]
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    headers = {"authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=300.0) as client:
        bench = _Bench(client, model)
        print("|voice|language|words wrong|of|in a hundred|seconds heard|seconds it took|\n|-|-|-|-|-|-|-|")
        if not wanted or "en" in wanted:
            _tell("en", [bench.row(name, "en", SENTENCES) for name in known_names()])
        for tag, voices in LANGUAGES.items():
            chosen = [sentences(tag)[place] for place in PLACES]
            for prompt in ("", *filter(None, [PROMPTS.get(tag)])) if not wanted or tag in wanted else ():
                _tell(tag, [bench.row(voice, tag, chosen, prompt) for voice in voices])


class _Bench:
    def __init__(self, client: httpx2.Client, model: str) -> None:
        self._client = client
        self._model = model

    def row(self, voice: str, tag: str, texts: Sequence[str], prompt: str = "") -> tuple[int, int]:
        """Print how many words of these texts a voice has wrong, and return it with how many there are."""
        wrong = count = 0
        seconds = took_s = 0.0
        for text in texts:
            sound = self._spoken(voice, tag, text)
            began = time.monotonic()
            answer = self._client.post(
                "/v1/audio/transcriptions",
                data={"model": self._model, "language": tag, "prompt": prompt},
                files={"file": ("a.wav", sound)},
            )
            took_s += time.monotonic() - began
            found = answer.raise_for_status().json()
            seconds += found["usage"]["seconds"]
            wanted = words_of(text).tokens
            wrong, count = wrong + edits(wanted, words_of(found["text"]).tokens), count + len(wanted)
        hundred = 100 * wrong / count
        print(f"|{voice}|{tag}|{wrong}|{count}|{hundred:.1f}|{seconds:.1f}|{took_s:.1f}|", flush=True)
        return wrong, count

    def _spoken(self, voice: str, tag: str, text: str) -> bytes:
        """Return a clip of the voice itself: who stands in for it is not asked."""
        body = {"model": "kokoro/standard", "voice": voice, "language": tag, "input": text}
        answer = self._client.post("/v1/audio/speech", json={**body, "response_format": "wav"})
        return answer.raise_for_status().content


def _tell(tag: str, rows: Sequence[tuple[int, int]]) -> None:
    wrong, count = (sum(each) for each in zip(*rows, strict=True))
    print(f"{tag}: {100 * wrong / count:.1f} in a hundred, {'' if wrong < WELL * count else 'not '}well")


if __name__ == "__main__":
    main()
