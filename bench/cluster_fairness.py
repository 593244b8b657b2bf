"""Ten accounts beside one that brings 200 long texts, on four hosts: `python -m bench.cluster_fairness`.

Four agents and their gateway are real processes, with the stand-in engine, which makes four seconds of sound
a second. The ten speak alone and beside the one, in rounds by turns. Printed is how long their answers took.
The 200 texts differ in length, so that the slots do not all become free at one moment.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.cluster_hosts import agent, certificates, gateway
from tests.faults.processes import state
from tests.server import Server
from tests.waiting import until

HOSTS, SLOTS = 4, 8
ACCOUNTS, REQUESTS, ROUNDS = 10, 3, 3
TEXTS = 200
PACE = 0.25
SHORT = "Somebody else would like to hear an answer of an assistant, as it is usual. " * 4
LONG = "One of many sentences of a text that somebody wants to hear tonight. "
MOST_SENTENCES = 20
SETTLED = 40
"""So many long texts have been heard when the others begin."""
PLAN = """
[plans.many]
rpm = 1000000
streams = 1000
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="fairness-") as folder, _site(Path(folder)) as server:
        heavy = server.mint_key("heavy", plan="many").secret
        others = [server.mint_key(f"other{number}", plan="many").secret for number in range(ACCOUNTS)]
        alone, beside = list[float](), list[float]()
        for _ in range(ROUNDS):
            alone += _heard(server, others)
            with _long_texts(server, heavy):
                beside += _heard(server, others)
            until(lambda: state(server, "tone")["running"] == 0, 60.0)
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    first, second = _p95(alone), _p95(beside)
    print(f"{len(alone)} answers each; p95 alone {first:.2f} s, beside {second:.2f} s")
    print(f"ratio {second / first:.2f}")


@contextmanager
def _site(folder: Path) -> Iterator[Server]:
    made = certificates(folder / "certificates")
    engine = f"[engines.tone]\nslots = {SLOTS}\npace = {PACE}"
    with ExitStack() as stack:
        agents = [stack.enter_context(agent(folder / f"host{n}", made, engine)) for n in range(HOSTS)]
        addresses = [f"127.0.0.1:{each.port}" for each in agents]
        server = stack.enter_context(gateway(folder / "gateway", made, *addresses, more=PLAN))
        until(lambda: state(server, "tone")["slots"] == SLOTS * HOSTS)
        yield server


def _heard(server: Server, keys: list[str]) -> list[float]:
    """Return how long each answer took: all accounts at once, each one answer after the other."""

    def speak(key: str) -> list[float]:
        times = []
        with server.client(key) as client:
            for _ in range(REQUESTS):
                began = time.monotonic()
                answer = client.post("/v1/audio/speech", json=_body(SHORT))
                assert answer.status_code == 200, answer.text
                times.append(time.monotonic() - began)
        return times

    with ThreadPoolExecutor(len(keys)) as pool:
        return [time_s for times in pool.map(speak, keys) for time_s in times]


@contextmanager
def _long_texts(server: Server, key: str) -> Iterator[None]:
    """One account's long texts, all at once. They are broken off at the end."""
    over, heard = threading.Event(), itertools.count()

    def hear(number: int) -> None:
        body = _body(LONG * (1 + number % MOST_SENTENCES))
        with (
            server.client(key, timeout=300.0) as client,
            client.stream("POST", "/v1/audio/speech", json=body) as answer,
        ):
            assert answer.status_code == 200, answer.read()
            for _ in answer.iter_raw():
                if over.is_set():
                    return
        if next(heard) >= SETTLED:
            settled.set()

    settled = threading.Event()
    with ThreadPoolExecutor(TEXTS) as pool:
        asked = [pool.submit(hear, number) for number in range(TEXTS)]
        assert settled.wait(60.0)
        try:
            yield
        finally:
            assert not all(each.done() for each in asked), "the long texts were over before"
            over.set()


def _body(text: str) -> dict[str, str]:
    return {"model": "tts-1", "voice": "tone/tone", "input": text, "response_format": "pcm"}


def _p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * len(times))]


if __name__ == "__main__":
    main()
