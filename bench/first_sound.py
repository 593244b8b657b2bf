"""How soon natural voices are heard: `python -m bench.first_sound [piper] [kokoro] [alone]`.

A server with the settings that are shipped is put beside piper-tts and kokoro-onnx, called directly with the
same voice and the same sentences of fifteen words. These are installed once, in an environment of their own
under the user's cache. With `alone`, no listeners are counted. It needs idle cores and `voxgate env build`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.first_sound_worker import GAP_S, Measured, Speak, measure
from bench.load import cpu_seconds
from tests.heard.natural import SPEAKERS, speaking
from tests.server import Server

ROOT = Path(__file__).parents[1]
LIBRARIES = ("piper-tts==1.8.0", "kokoro-onnx==0.6.1", "onnxruntime==1.31.1")
COUNTS = {"piper": (1, 2, 4, 8, 12, 16), "kokoro": (1, 2, 3)}
TITLES = {"piper": "piper-tts", "kokoro": "kokoro-onnx"}
_SAMPLE_BYTES = 2


def main() -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        "|what|first sound p50, s|p95, s|real-time factor|CPU for a second, s|pauses of listeners, s|\n"
        "|---|---|---|---|---|---|"
    )
    for engine in sorted(COUNTS.keys() & set(sys.argv[1:])) or COUNTS:
        counts = () if "alone" in sys.argv else COUNTS[engine]
        # Speaker's own settings are of other tests; the server's are those that are shipped.
        model = SPEAKERS[engine].model
        settings = f'model = "{model}"' if engine == "kokoro" else ""
        speaker = SPEAKERS[engine]._replace(settings=settings)
        with (
            tempfile.TemporaryDirectory(prefix="first-sound-") as data,
            speaking(Path(data), speaker) as live,
        ):
            voice = SPEAKERS[engine].voices[0]
            ours = measure(through(live, engine, voice), lambda: cpu_seconds(live.process.pid), counts)
            folder = next((live.data / "models" / model).glob("*/"))
            show("voxgate", ours)
            # The server rests. It stays for its files.
            directly = called_directly(engine, folder, voice.rpartition("/")[2], counts)
        show(TITLES[engine], directly)
        print(f"{engine}: {ours.cpu_s / directly.cpu_s - 1:+.0%} of the processor", flush=True)


def through(live: Server, engine: str, voice: str) -> Speak:
    rate_hz = {"piper": 22_050, "kokoro": 24_000}[engine]

    def speak(text: str) -> Iterator[float]:
        asked = {"model": f"{engine}/standard", "voice": voice, "input": text, "response_format": "pcm"}
        with (
            live.client(timeout=600.0) as client,
            client.stream("POST", "/v1/audio/speech", json=asked) as answer,
        ):
            if answer.status_code != 200:
                raise SystemExit(answer.read().decode())
            rate = int(answer.headers.get("x-voxgate-sample-rate", rate_hz))
            for data in answer.iter_raw():
                yield len(data) / _SAMPLE_BYTES / rate

    return speak


def called_directly(engine: str, folder: Path, voice: str, counts: tuple[int, ...]) -> Measured:
    command = [str(_python()), "-m", "bench.first_sound_worker", engine, str(folder), voice]
    done = subprocess.run([*command, *map(str, counts)], cwd=ROOT, check=True, capture_output=True, text=True)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def show(what: str, found: Measured) -> None:
    pauses = ", ".join(
        f"{count}: {pause_s:.2f}" if pause_s > GAP_S else f"{count}: none"
        for count, pause_s in found.pauses.items()
    )
    figures = (found.p50_s, found.p95_s, found.real_time_factor, found.cpu_s)
    print(f"|{what}|{'|'.join(f'{each:.2f}' for each in figures)}|{pauses}|", flush=True)


def _python() -> Path:
    """The Python that has the libraries, installed where later runs find it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voxgate" / "bench"
    folder = cache / hashlib.sha256(" ".join(LIBRARIES).encode()).hexdigest()[:12]
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *LIBRARIES], check=True)
    return python


if __name__ == "__main__":
    main()
