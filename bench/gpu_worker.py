"""Part of `bench.gpu` that needs torch. It runs in the engine's environment, on a card if there is one."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from bench.gpu_cells import CODE_S, VOICES, Cell, Options, Side, draw_texts, play
from bench.gpu_sides import Batched, OneAtATime, Upstream, load_side
from speech_engine.host.devices import choose_device
from tests.plugins.xtts.in_environment.rig import recording
from tests.plugins.xtts.tiny import FULL, TINY, write_model

# isort: split
import torch

# Texts of 200 characters have room in it, as in the full one.
SMALL = TINY._replace(most_codes=FULL.most_codes, most_text=FULL.most_text)
MOST_CODES_APART = 2
GB = 1024**3


class CardMeter:
    """The memory of a card that a cell needs beside the other side's weights, and how busy the card is."""

    def __init__(self, device: str, weights: int) -> None:
        self._device = device
        self._weights = weights
        self._program: subprocess.Popen[str] | None = None
        self._before = 0
        self.memory_gb: float | None = None
        self.busy: float | None = None

    def __enter__(self) -> Self:
        if self._device != "cpu":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)
            if program := shutil.which("nvidia-smi"):
                query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=500"]
                index = self._device.rpartition(":")[2]
                command = [program, "-i", index, *query]
                self._program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device != "cpu":
            used = torch.cuda.max_memory_allocated(self._device) - self._before + self._weights
            self.memory_gb = used / GB
        if self._program is not None:
            self._program.terminate()
            readings = [int(line) for line in self._program.communicate()[0].split() if line.isdigit()]
            self.busy = sum(readings) / len(readings) if readings else None


async def compare(options: Options, folder: Path, device: str) -> None:
    """Print a row for each side and each number of clients."""
    settings = (folder, device, options)
    ours, weights = load_side(device, lambda: Batched(*settings))
    voices = [ours.maker.make([recording(number)]) for number in range(VOICES)]
    theirs, their_weights = load_side(device, lambda: Upstream(*settings))
    ours.voices = theirs.voices = voices
    sides: Mapping[Side, int] = {
        OneAtATime(theirs, is_streaming=False): their_weights,
        OneAtATime(theirs, is_streaming=True): their_weights,
        ours: weights,
    }
    await _expect_same_work(list(sides))
    numbers = sum(each.numel() for each in ours.checkpoint.gpt.parameters())
    print(f"the language model has {numbers / 1e6:.1f} million numbers; {VOICES} voices")
    print(
        "side             clients  audio s/s  first audio p50        p95  no pause  rows  step ms"
        "  GPU GB  GPU %  finished/begun"
    )
    for clients in options.clients:
        speeds = []
        for side, own in sides.items():
            with CardMeter(device, own) as meter:
                cell = await play(side, clients, options.seconds)
            speeds.append(cell.speed)
            print(_row(side, clients, cell, meter), flush=True)
        if all(speeds):
            print(f"{clients} clients: ours is {speeds[-1] / max(speeds[:-1]):.2f} × upstream's faster way")


async def _expect_same_work(sides: list[Side]) -> None:
    """Speak one text with each side. It warms them up, and all must make as much sound."""
    text = min(draw_texts(), key=lambda each: each.codes)
    for side in sides:
        async with side.open(1), aclosing(side.speak(text, 0)) as pieces:
            seconds = sum([piece_s async for piece_s in pieces])
        if abs(seconds - text.seconds) > MOST_CODES_APART * CODE_S:
            sys.exit(f"{side.name}: {seconds:.2f} s of sound for a text of {text.seconds:.2f} s")


def _row(side: Side, clients: int, cell: Cell, meter: CardMeter) -> str:
    def known(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    first, late = (
        f"{'>' if is_least else ''}{value * 1000:.0f} ms"
        for value, is_least in (cell.first_audio_p50, cell.first_audio_p95)
    )
    columns = (
        f"{side.name:15}",
        f"{clients:7}",
        f"{cell.speed:9.2f}",
        f"{first:>15}",
        f"{late:>9}",
        f"{known(cell.smooth, '.1%'):>8}",
        f"{known(cell.rows, '.1f'):>4}",
        f"{known(cell.step_s and cell.step_s * 1000, '.1f'):>7}",
        f"{known(meter.memory_gb, '.2f'):>6}",
        f"{known(meter.busy, '.0f'):>5}",
        f"{cell.finished}/{cell.begun}",
    )
    return "  ".join(columns)


def main() -> None:
    options = msgspec.json.decode(sys.argv[1], type=Options)
    device = choose_device("auto", ("cpu", "cuda", "rocm"))
    is_full = options.size == "full" or (options.size == "auto" and device.kind != "cpu")
    size = "the full" if is_full else "a tiny"
    if device.kind == "cpu":
        print(f"NO GPU: {size} model on the processor. This says nothing of a GPU.")
    else:
        print(f"{torch.cuda.get_device_name(device.torch)}: {size} model")
    now, version = datetime.now(UTC), platform.python_version()
    print(f"{now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {platform.system()}, Python {version}")
    print(f"torch {torch.__version__}, random weights, {options}", flush=True)
    with ExitStack() as files:
        folder = Path(files.enter_context(tempfile.TemporaryDirectory(prefix="voxgate-gpu-")))
        write_model(folder, size=FULL if is_full else SMALL)
        asyncio.run(compare(options, folder, device.torch))


if __name__ == "__main__":
    main()
