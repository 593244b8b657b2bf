"""First sounds beside another commit: `python -m bench.turns DATA --before CHECKOUT`.

DATA has imported the voices of `voxgate voices natural`. The server of each commit speaks Kokoro's sentences
to one listener, by turns, and this one hibari's as well. The processor's time is that of all processes of a
server until the answer has ended.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx2

from bench.first_sound_worker import SENTENCES, WARM_UP, hear
from bench.load import before, cpu_seconds
from bench.shipped import shipped

CONFIG = '[server]\nfirst_audio_s = 120\n[engines.kokoro]\nmodel = "kokoro-voices"\n'
HIBARI = "[engines.hibari]\n"
_SAMPLE_BYTES, _RATE_HZ = 2, 24_000
_LOADED_S = 120.0


class Side(NamedTuple):
    name: str
    model: str
    voice: str
    pid: int
    client: httpx2.Client

    def speak(self, text: str) -> Iterator[float]:
        asked = {"model": self.model, "voice": self.voice, "input": text, "response_format": "pcm"}
        with self.client.stream("POST", "/v1/audio/speech", json=asked) as answer:
            if answer.status_code != 200:
                raise SystemExit(answer.read().decode())
            for data in answer.iter_raw():
                yield len(data) / _SAMPLE_BYTES / _RATE_HZ


def main() -> None:
    models, old = Path(sys.argv[1]).absolute() / "models", before()
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with ExitStack() as stack:
        sides = [*_sides(stack, "now", models, None, CONFIG + HIBARI)]
        if old is not None:
            sides.append(next(_sides(stack, "before", models, old, CONFIG)))
        for side in sides:
            _wait(side)
        rows: dict[Side, list[tuple[float, float, float]]] = {side: [] for side in sides}
        for text in SENTENCES:
            for side in sides:
                used_s = cpu_seconds(side.pid)
                heard = hear(side.speak, text)
                rows[side].append((heard.first_s, cpu_seconds(side.pid) - used_s, heard.sound_s))
    print("|commit|engine|first sound p50, s|longest, s|CPU for a sentence, s|its sound, s|\n|-|-|-|-|-|-|")
    for side, found in rows.items():
        firsts, used, sounds = zip(*found, strict=True)
        middle = (statistics.median(firsts), max(firsts), statistics.mean(used), statistics.mean(sounds))
        print(f"|{side.name}|{side.model}|{'|'.join(f'{each:.2f}' for each in middle)}|")
    print(f"load {os.getloadavg()[0]:.1f}")


def _sides(stack: ExitStack, name: str, models: Path, checkout: Path | None, text: str) -> Iterator[Side]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turns-")))
    (folder / "data").mkdir()
    (folder / "data" / "models").symlink_to(models)
    (folder / "config.toml").write_text(text)
    pid, port, key = stack.enter_context(shipped(folder / "data", folder / "config.toml", checkout))
    client = httpx2.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {key}"}, timeout=300.0
    )
    stack.enter_context(client)
    yield Side(name, "kokoro/standard", "kokoro/af_heart", pid, client)
    yield Side(name, "hibari/standard", "hibari/heart", pid, client)


def _wait(side: Side) -> None:
    """Wait until its engine has loaded, and let it load what comes late."""
    until = time.monotonic() + _LOADED_S
    while True:
        try:
            hear(side.speak, WARM_UP)
        except SystemExit:
            if time.monotonic() > until:
                raise
            time.sleep(1.0)
        else:
            return


if __name__ == "__main__":
    main()
