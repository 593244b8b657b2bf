"""Whether the pieces of a long sentence are as long as in the whole: `python -m bench.pieces DATA [COUNT]`.

DATA has imported `kokoro-voices`. Ten of its voices speak long sentences of six languages in a stream. Beside
each piece that ends inside a sentence is the length of the same sounds when they are spoken alone.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime

import numpy as np

from bench.first_sound_worker import SENTENCES
from bench.sentences import sentences
from proxy.hosts.stored_models import ModelStore
from tests.plugins.piper.environment import run

VOICES = {
    "en-US": ("af_heart", "af_nova", "am_michael", "am_onyx"),
    "en-GB": ("bf_emma",),
    "es": ("ef_dora",),
    "fr-FR": ("ff_siwis",),
    "it": ("if_sara",),
    "pt-BR": ("pf_dora",),
    "hi": ("hf_alpha",),
}
_AND = {"es": " y", "fr-FR": " et", "it": " e", "pt-BR": " e", "hi": " और"}
_KINDS = ("alone", "first", "middle", "rest")


def main() -> None:
    data, *more = sys.argv[1:]
    count = int(more[0]) if more else 10
    stored = ModelStore(data).stored_model("kokoro-voices")
    assert stored is not None
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("|language|pieces|count|mean|rms from 1|least|most|\n|-|-|-|-|-|-|-|")
    rows: list[dict[str, list[float]]] = []
    for tag, voices in VOICES.items():
        asked = [(voice, tag, text) for text in _long(tag)[:count] for voice in voices]
        done = run(
            "bench.pieces_worker",
            stdin=json.dumps({"folder": str(stored.folder), "sentences": asked}),
            name="kokoro",
        )
        assert not done.returncode, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]
        _tell(tag, found)
        rows += found
    _tell("all", rows)
    steps = [step for row in rows for step in row["steps"]]
    print(f"steps at {len(steps)} joins, by the sound's own p99.9: {max(steps):.2f} at most")


def _long(tag: str) -> list[str]:
    if tag.startswith("en"):
        return [*SENTENCES]
    parts = [each.partition(", ") for each in sentences(tag.removesuffix("-FR"))]
    firsts = ["".join(parts[number % 10 * 20 + number]) for number in range(20)]
    seconds = [clause for _, _, clause in parts[7:20]]
    return [f"{one[:-1]}{_AND[tag]} {other}" for one, other in zip(firsts, seconds, strict=False)]


def _tell(tag: str, rows: list[dict[str, list[float]]]) -> None:
    for kind in _KINDS:
        parts = np.array([each for row in rows for each in row[kind]])
        if len(parts):
            rms = np.sqrt(np.mean((parts - 1) ** 2))
            print(
                f"|{tag}|{kind}|{len(parts)}|{parts.mean():.3f}|{rms:.3f}|{parts.min():.2f}|{parts.max():.2f}|",
                flush=True,
            )


if __name__ == "__main__":
    main()
