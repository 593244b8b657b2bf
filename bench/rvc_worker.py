"""Part of `bench.rvc` that needs torch. It runs in the engine's environment, on a card if it is asked to."""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench.rvc import Options
from plugins.rvc.checkpoint import RvcVoice, load_voice
from plugins.rvc.conversion import SIZES, ConversionOptions, VoiceConversion
from plugins.rvc.hubert import load_hubert
from plugins.rvc.model import RvcModel, RvcRow
from plugins.rvc.networks import parameter_bytes
from plugins.rvc.plugin import HOSTED, RvcSettings
from plugins.rvc.worker import RvcEngine
from speech_engine import Audio, Context, SpeechJob, Trained
from speech_engine.host.devices import choose_device
from speech_engine.host.log import HostLogger
from speech_engine.host.sample_cache import SampleCache
from speech_engine.host.windows import WindowCutter, WindowSizes
from speech_engine.plugin import worker_plugin
from tests.plugins.rvc.in_environment.rig import in_pieces, put_voice, recording
from tests.plugins.rvc.tiny import FULL_HUBERT, TINY_HUBERT, layout, voice_file, write_model

# isort: split
import torch

TENANT = "acc_1"
_TIMES_AS_MANY = 5
_SHELF_BYTES = 4 * 2**30


class Heard(NamedTuple):
    """What the clients of a side heard: seconds of sound, the time it took, that of processors, and when each
    heard the first."""

    sound_s: float
    took_s: float
    cpu_s: float
    first_s: list[float]

    @property
    def factor(self) -> float:
        return self.took_s / self.sound_s if self.sound_s else float("inf")

    def told(self) -> str:
        first = f"{statistics.median(self.first_s):.2f} s" if self.first_s else "never"
        cpu = self.cpu_s / self.sound_s if self.sound_s else float("inf")
        return (
            f"real-time factor {self.factor:.3f} ({cpu:.3f} of processors), first sound after {first}, "
            f"{self.sound_s:.1f} s of sound"
        )


def job(number: int, voice: Trained, seconds: float) -> SpeechJob:
    return SpeechJob(
        id=f"job_{number}",
        tenant=TENANT,
        model="standard",
        voice=voice,
        segments=(),
        language="*",
        seed=number,
        estimated_s=seconds,
    )


class OneAtATime:
    """Each recording as a whole, after the one before it."""

    def __init__(self, folder: Path, files: list[bytes], device: str, options: Options) -> None:
        hubert = load_hubert(folder, device, options.precision)
        self._model = RvcModel(hubert, None, lambda: None)
        self._files = files
        self._device = device
        self._options = options
        self._kept: dict[int, RvcVoice] = {}

    def play(self, recordings: list[bytes], *, reloads: bool) -> Heard:
        began, cpu_s = time.monotonic(), time.process_time()
        sound_s, first_s = 0.0, []
        for number, pcm in enumerate(recordings):
            sound_s += self._converted(number, pcm, reloads=reloads)
            first_s.append(time.monotonic() - began)
            if first_s[-1] > self._options.limit:
                break
        return Heard(sound_s, time.monotonic() - began, time.process_time() - cpu_s, first_s)

    def _voice(self, number: int, *, reloads: bool) -> RvcVoice:
        which = number % len(self._files)
        if reloads or which not in self._kept:
            self._kept[which] = load_voice(self._files[which], self._device, self._options.precision)
        return self._kept[which]

    def _converted(self, number: int, pcm: bytes, *, reloads: bool) -> float:
        asked = job(number, Trained(""), self._options.seconds)
        conversion = VoiceConversion(asked, self._voice(number, reloads=reloads), ConversionOptions())
        grid = SIZES.grid
        cutter = WindowCutter(WindowSizes((), len(pcm) // 2 // grid * grid + grid, SIZES.context, grid))
        made = 0
        for window in (*cutter.feed(pcm), *cutter.finish()):
            row = RvcRow(conversion.voice, conversion.prepare(window))
            self._model.step([row])
            made += len(conversion.join(window, self._model.sound(row, True)))
        return made / 2 / conversion.rate_hz


class Listeners:
    """Clients of the engine, all at the same time."""

    def __init__(self, engine: RvcEngine, voices: list[Trained], options: Options) -> None:
        self._engine = engine
        self._voices = voices
        self._options = options
        self._sound_s = 0.0
        self._first_s: list[float] = []

    async def play(self, recordings: list[bytes]) -> Heard:
        self._sound_s, self._first_s = 0.0, []
        began, cpu_s = time.monotonic(), time.process_time()
        clients = [
            asyncio.create_task(self._listen(number, pcm, began)) for number, pcm in enumerate(recordings)
        ]
        _, late = await asyncio.wait(clients, timeout=_TIMES_AS_MANY * self._options.limit)
        took_s, cpu_s = time.monotonic() - began, time.process_time() - cpu_s
        for client in late:
            client.cancel()
        if late:
            await asyncio.wait(late)
        for client in clients:
            if not client.cancelled():
                client.result()
        return Heard(self._sound_s, took_s, cpu_s, self._first_s)

    async def _listen(self, number: int, pcm: bytes, began: float) -> None:
        asked = job(number, self._voices[number % len(self._voices)], self._options.seconds)
        is_first = True
        async with aclosing(self._engine.convert(asked, in_pieces(pcm))) as events:
            async for event in events:
                if isinstance(event, Audio):
                    if is_first:
                        self._first_s.append(time.monotonic() - began)
                    is_first = False
                    self._sound_s += len(event.pcm) / 2 / 40_000


def memory_gb(device: str) -> float:
    if device != "cpu":
        return float(torch.cuda.max_memory_allocated(device)) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


async def run(options: Options, folder: Path) -> None:
    is_full = options.size == "full"
    torch.set_num_threads(options.threads)
    device = choose_device(options.device, HOSTED.devices)
    write_model(folder, FULL_HUBERT if is_full else TINY_HUBERT)
    files = [voice_file(layout(is_full=is_full), number) for number in range(options.voices)]
    one_voice = load_voice(files[0], device.torch, options.precision)
    _tell_facts(options, one_voice.nbytes, parameter_bytes(load_hubert(folder, "cpu", "float32")))
    del one_voice
    most = max(options.clients)
    recordings = [recording(options.seconds, number) for number in range(most)]

    alone = OneAtATime(folder, files, device.torch, options)
    sides: dict[str, Heard] = {}
    alone.play(recordings[:1], reloads=True)  # a length is slower when it comes for the first time
    sides["one at a time, each voice loaded anew"] = alone.play(recordings, reloads=True)
    _tell(sides)
    sides["one at a time, voices kept"] = alone.play(recordings, reloads=False)
    _tell(sides)
    del alone

    sample_cache = SampleCache(_SHELF_BYTES)
    voices = []
    for file in files:
        voices.append(Trained(hashlib.sha256(file).hexdigest()))
        put_voice(sample_cache, TENANT, voices[-1].digest, file)
    settings = RvcSettings(
        model_path=str(folder), threads=options.threads, precision=options.precision, slots=most
    )
    _, create = worker_plugin("plugins.rvc.worker")
    context = Context(HostLogger("rvc"), samples=sample_cache, device=device)
    async with create("rvc", settings, context) as engine:
        assert isinstance(engine, RvcEngine)
        listeners = Listeners(engine, voices, options)
        await listeners.play(recordings[:1])
        for clients in options.clients:
            sides[f"ours, {clients} at once"] = await listeners.play(recordings[:clients])
            _tell(sides)
    print(f"the most memory of this process: {memory_gb(device.torch):.1f} GB", flush=True)


def _tell_facts(options: Options, voice_bytes: int, hubert_bytes: int) -> None:
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    print(f"{when}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}")
    print(f"torch {torch.__version__}, random weights; {msgspec.json.encode(options).decode()}")
    print(f"HuBERT has {hubert_bytes / 2**20:.0f} MiB, a voice {voice_bytes / 2**20:.0f}", flush=True)


def _tell(sides: dict[str, Heard]) -> None:
    """Print the side that was the last, beside the first."""
    first, (name, heard) = next(iter(sides.values())), list(sides.items())[-1]
    beside = "" if heard is first else f"; {first.factor / heard.factor:.2f} times as fast as the first"
    print(f"{name}: {heard.told()}{beside}", flush=True)


def main() -> None:
    options: Any = msgspec.json.decode(sys.argv[1], type=Options)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(options, Path(folder)))


if __name__ == "__main__":
    main()
