"""Speech while the text is written: `python -m bench.sockets [first] [interrupt] [growth] [ENGINE…]`.

`first` compares the first sound of an utterance, from the moment its first sentence is closed, with that of a
plain request for the same sentence, by turns on one server. `interrupt` counts from `input.cancel` to
`audio.cancelled`, which comes when the engine has ended and the charge is committed. `growth` speaks 2,000
utterances on ten sockets for half an hour, and prints the memory of the worker. `heard URL KEY` asks a server
that runs how near `text_spoken` is to what was heard: `bench/interrupted_words.py`.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import psutil

from bench import interrupted_words
from tests.features.sockets.native import Talker, at
from tests.heard.natural import ESPEAK, JOE, speaking
from tests.server import ALONE, Server, running

SENTENCE = "The boats came back before the rain began"
NEXT = " And then "
ENGINES = ("tone", "espeak", "piper")
ROUNDS, INTERRUPTIONS, UTTERANCES, SOCKETS = 60, 200, 2000, 10
GROWTH_S = 1800.0
_PARTS = ("first", "interrupt", "growth")
_MIB = 1024 * 1024
LONG = "He counted the boats, and then he counted them again, because one was missing. " * 4


def main() -> None:
    if sys.argv[1:2] == ["heard"]:
        interrupted_words.measure(*sys.argv[2:])
        return
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    wanted = [part for part in _PARTS if part in sys.argv[1:]] or list(_PARTS)
    if "first" in wanted:
        print("|engine|plain request, p50, p95 ms|utterance, p50, p95 ms|difference of p50, ms|\n|-|-|-|-|")
        for engine in [each for each in ENGINES if each in sys.argv[1:]] or ENGINES:
            with _serving(engine) as server:
                _first(engine, server)
    if "interrupt" in wanted or "growth" in wanted:
        with _serving("tone") as server:
            if "interrupt" in wanted:
                _interrupt(server)
            if "growth" in wanted:
                _grow(server)


@contextmanager
def _serving(engine: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="sockets-") as folder:
        if engine == "tone":
            with running(Path(folder), ALONE) as server:
                yield server
        else:
            with speaking(Path(folder), JOE if engine == "piper" else ESPEAK) as server:
                yield server


def _fields(engine: str) -> dict[str, Any]:
    voices = {"tone": "tone/tone", "espeak": ESPEAK.voices[0], "piper": JOE.voices[0]}
    return {"model": f"{engine}/standard", "voice": voices[engine], "language": "en"}


def _first(engine: str, server: Server) -> None:
    plain, spoken = list[float](), list[float]()
    with server.client() as client, at(server, **_fields(engine)) as talker:
        for number in range(ROUNDS + 5):
            sentence = f"{SENTENCE} {number}."
            # Neither is always the one behind the other.
            for is_plain in (number % 2 == 0, number % 2 == 1):
                if is_plain:
                    plain.append(_plain_s(client, engine, sentence))
                else:
                    spoken.append(_utterance_s(talker, sentence))
    del plain[:5], spoken[:5]
    apart_ms = 1000 * (statistics.median(spoken) - statistics.median(plain))
    print(f"|{engine}|{_shown(plain)}|{_shown(spoken)}|{apart_ms:+.1f}|", flush=True)


def _plain_s(client: httpx2.Client, engine: str, sentence: str) -> float:
    body = {**_fields(engine), "input": sentence, "response_format": "pcm"}
    began = time.perf_counter()
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        if answer.status_code != 200:
            raise SystemExit(answer.read().decode())
        pieces = answer.iter_raw()
        next(pieces)
        first_s = time.perf_counter() - began
        for _ in pieces:
            pass
    return first_s


def _utterance_s(talker: Talker, sentence: str) -> float:
    """The text before the last message does not close its sentence."""
    talker.texts(sentence)
    began = time.perf_counter()
    talker.texts(NEXT)
    while not isinstance(talker.next(), bytes):
        pass
    first_s = time.perf_counter() - began
    talker.cancel()
    talker.spoken()
    return first_s


def _interrupt(server: Server) -> None:
    chosen, took = random.Random(7), list[float]()
    with at(server, **_fields("tone")) as talker:
        for _ in range(INTERRUPTIONS):
            talker.texts(LONG)
            talker.read_until("audio.start")
            talker.read_until(by=time.monotonic() + chosen.uniform(0.0, 0.5))
            began = time.perf_counter()
            talker.cancel()
            talker.spoken()
            took.append(time.perf_counter() - began)
    print(f"interruption to the engine's end, {INTERRUPTIONS} times: p50, p95 {_shown(took)} ms", flush=True)


def _grow(server: Server) -> None:
    worker = _worker(server.process.pid)
    each = UTTERANCES // SOCKETS
    pause_s, left = GROWTH_S / each, threading.Semaphore(0)

    def speak() -> None:
        with at(server, **_fields("tone"), response_format="opus") as talker:
            for number in range(each):
                began = time.monotonic()
                spoken = talker.speak("One. ", "Two words. ", f"The last one has number {number}.")
                assert spoken.types[-1] == "session.done", spoken.types
                left.release()
                time.sleep(max(0.0, pause_s - (time.monotonic() - began)))

    threads = [threading.Thread(target=speak) for _ in range(SOCKETS)]
    for thread in threads:
        thread.start()
    for number in range(1, UTTERANCES + 1):
        left.acquire()
        if number % (UTTERANCES // 10) == 0:
            print(f"{number} utterances: {worker.memory_info().rss / _MIB:.1f} MiB", flush=True)
    for thread in threads:
        thread.join()


def _worker(supervisor: int) -> psutil.Process:
    children = psutil.Process(supervisor).children()
    return next(each for each in children if "proxy.processes.worker" in each.cmdline())


def _shown(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{1000 * statistics.median(ordered):.1f}, {1000 * ordered[int(0.95 * len(ordered))]:.1f}"


if __name__ == "__main__":
    main()
