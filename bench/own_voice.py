"""What an own voice costs behind two engines: `python -m bench.own_voice DATA`.

DATA has imported `kokoro-voices`. The converter has random weights of the true size. Each sentence is spoken
by each engine, in its own voice and in that of a recording, by turns. A host's time of a processor is divided
by the seconds of the sound. Then listeners hear 24 seconds each at once, all in that voice. A busy machine
makes pauses: what both hosts take of a processor then tells whether an idle one would have kept up.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.first_sound_worker import SENTENCES, WARM_UP, Heard, hear
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
LISTENERS = {"hibari": 3, "kokoro": 2}
"""As many at once as should hear no pause on two cores."""
_SAMPLE_BYTES, _RATE_HZ = 2, 24_000
_LOADED_S = 300.0
_SENTENCES, _SENTENCES_OF_A_LISTENER = 4, 5


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
    for text in SENTENCES[:_SENTENCES]:
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
    print("|engine|listeners|pauses, s|CPU of the engine, s a second|of the converter|load|")
    print("|-|-|-|-|-|-|")
    for engine, count in LISTENERS.items():
        pair = hosts[engine], hosts["openvoice"]
        before = [_used_s(each) for each in pair]
        with ThreadPoolExecutor(count) as pool:
            heard = list(pool.map(partial(_listen, _speaker(live, engine, own)), range(count)))
        sound_s = sum(each.sound_s for each in heard)
        cpu = [f"{(_used_s(each) - began) / sound_s:.2f}" for each, began in zip(pair, before, strict=True)]
        pause_s = max(each.pause_s for each in heard)
        print(f"|{engine}|{count}|{pause_s:.2f}|{'|'.join(cpu)}|{os.getloadavg()[0]:.1f}|")
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


def _listen(speak: Callable[[str], Iterator[float]], number: int) -> Heard:
    # No two hear the same, so no clip is there already.
    return hear(speak, " ".join(SENTENCES[number : number + _SENTENCES_OF_A_LISTENER]))


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
