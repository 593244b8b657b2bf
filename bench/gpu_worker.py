"""Part of `bench.gpu` that needs torch. It runs in the engine's environment, on a card if there is one."""

from __future__ import annotations

import asyncio
import importlib
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from bench.gpu_cells import SENTENCE, VOICES, Cell, Contest, Options, Side, draw_text, play
from speech_engine.host.devices import choose_device

# isort: split
import torch

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


async def compare(contest: Contest, options: Options, device: str) -> None:
    """Print a row for each side and each number of clients."""
    sides = contest.sides
    print(f"{contest.facts}; {VOICES} voices", flush=True)
    for side in sides:
        print(
            f"{side.name}: a sentence of fifteen words takes {await _sentence_s(side, contest):.1f} s",
            flush=True,
        )
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


async def _sentence_s(side: Side, contest: Contest) -> float:
    """Speak one text with a side. It warms it up, and each must make as much sound."""
    text = draw_text(random.Random(SENTENCE), SENTENCE)
    async with side.open(1):
        began = time.monotonic()
        async with aclosing(side.speak(text, 0)) as pieces:
            seconds = sum([piece_s async for piece_s in pieces])
        took_s = time.monotonic() - began
    if abs(seconds - text.seconds) > contest.apart_s:
        sys.exit(f"{side.name}: {seconds:.2f} s of sound for a text of {text.seconds:.2f} s")
    return took_s


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
    engine, options = sys.argv[1], msgspec.json.decode(sys.argv[2], type=Options)
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
        # Each engine's environment has its own packages alone.
        module = importlib.import_module(f"bench.gpu_{engine}")
        contest: Contest = module.open_contest(folder, device.torch, options, is_full=is_full)
        asyncio.run(compare(contest, options, device.torch))


if __name__ == "__main__":
    main()
