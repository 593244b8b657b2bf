"""What an own voice costs behind two engines: `python -m bench.own_voice DATA`.

DATA has imported `kokoro-voices`. The converter has random weights of the true size. Each sentence is spoken
by each engine, in its own voice and in that of a recording, by turns. A host's time of a processor is divided
by the seconds of the sound. Then so many listeners hear about a minute each, all in that voice, until one of
them hears a pause.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.first_sound_worker import GAP_S, SENTENCES, WARM_UP, hear, longest_pause
from tests.commands import command
from tests.faults.processes import host, state
from tests.plugins.openvoice.test_served import add_voice
from tests.plugins.openvoice.tiny import write_published
from tests.server import Server, running
from tests.waiting import until

CONFIG = """
[server]
default_model = "hibari/standard"
converter = "openvoice"
first_audio_s = 120
[engines.hibari]
[engines.kokoro]
model = "kokoro-voices"
[engines.openvoice]
model = "openvoice-v2"
"""
ENGINES = {"hibari": "hibari/heart", "kokoro": "kokoro/af_heart"}
COUNTS = {"hibari": (3, 4), "kokoro": (2, 3)}
"""The listeners at once: as many as should hear no pause, and more."""
_SAMPLE_BYTES, _RATE_HZ = 2, 24_000
_LOADED_S = 300.0


class Spoken(NamedTuple):
    alone_s: float
    own_s: float
    engine: float
    converter: float


def main() -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="own-voice-") as folder:
        _bring_models(Path(folder), Path(sys.argv[1]).absolute() / "models")
        with running(Path(folder), CONFIG) as live:
            for engine in (*ENGINES, "openvoice"):
                until(partial(_is_ready, live, engine), _LOADED_S)
            _measure(live, add_voice(live, "Ana", "f3"))
    print(f"load {os.getloadavg()[0]:.1f}")


def _bring_models(folder: Path, models: Path) -> None:
    (folder / "data" / "models").mkdir(parents=True)
    (folder / "data" / "models" / "kokoro-voices").symlink_to(models / "kokoro-voices")
    config = folder / "config.toml"
    config.write_text("[engines.openvoice]\n")
    published = write_published(folder / "published")
    named = ("--engine", "openvoice", "--name", "openvoice-v2", "--licence", "MIT")
    command(config, "models", "import", str(published), *named)


def _measure(live: Server, own: str) -> None:
    hosts = {engine: psutil.Process(host(live, engine).pid) for engine in (*ENGINES, "openvoice")}
    rows: dict[str, list[Spoken]] = {engine: [] for engine in ENGINES}
    for engine, usual in ENGINES.items():
        for voice in (usual, own):
            hear(_speaker(live, engine, voice), WARM_UP)
    for text in SENTENCES:
        for engine, usual in ENGINES.items():
            alone = hear(_speaker(live, engine, usual), text)
            before = [_used_s(hosts[each]) for each in (engine, "openvoice")]
            spoken = hear(_speaker(live, engine, own), text)
            used = [
                _used_s(hosts[each]) - began
                for each, began in zip((engine, "openvoice"), before, strict=True)
            ]
            rows[engine].append(
                Spoken(alone.first_s, spoken.first_s, *(each / spoken.sound_s for each in used))
            )
    print("|engine|first sound alone, s|in an own voice, s|CPU of the engine, s a second|of the converter|")
    print("|-|-|-|-|-|")
    for engine, found in rows.items():
        middle = (statistics.median(each) for each in zip(*found, strict=True))
        print(f"|{engine}|{'|'.join(f'{each:.2f}' for each in middle)}|")
    for engine, counts in COUNTS.items():
        for count in counts:
            pause_s = longest_pause(_speaker(live, engine, own), count)
            print(
                f"{count} listeners behind {engine}: {pause_s:.2f} s of pauses, load {os.getloadavg()[0]:.1f}"
            )
            if pause_s > GAP_S:
                break
    memory = hosts["openvoice"].memory_info().rss / 2**20
    peak = Path(f"/proc/{hosts['openvoice'].pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    print(f"memory of the converter: {memory:.0f} MB, at most {int(peak) / 1024:.0f} MB")


def _is_ready(live: Server, engine: str) -> bool:
    return bool(state(live, engine)["state"] == "ready")


def _used_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _speaker(live: Server, engine: str, voice: str) -> Callable[[str], Iterator[float]]:
    return partial(_speak, live, engine, voice)


def _speak(live: Server, engine: str, voice: str, text: str) -> Iterator[float]:
    asked = {"model": f"{engine}/standard", "voice": voice, "input": text, "response_format": "pcm"}
    with (
        live.client(timeout=300.0) as client,
        client.stream("POST", "/v1/audio/speech", json=asked) as answer,
    ):
        if answer.status_code != 200:
            raise SystemExit(answer.read().decode())
        for data in answer.iter_raw():
            yield len(data) / _SAMPLE_BYTES / _RATE_HZ


if __name__ == "__main__":
    main()
