"""Checked speech while the ears are in trouble: `python -m bench.heard_load URL KEY PID [MODEL [EARS]]`.

PID is that of the server. Four listeners stream what MODEL says, with `check: heard`, while the host of EARS
hears, is stopped, is killed twenty times (not five times in a minute: then it stays away), has every fifth
moment alone, and hears again. A line for each has
the answers, those that failed, the seconds that were heard and those that were not.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import httpx2

from bench.heard_sentences import sentence
from tests.faults.processes import host_of

LISTENERS, KILLS, KILL_EVERY_S, PHASE_S, STOPPED_S, WITHIN_S = 4, 20, 16.0, 30.0, 60.0, 120.0
SLOW_S, FULL_S = 0.4, 0.1


class Answer(NamedTuple):
    at: float
    fault: str
    checked_s: float
    unchecked_s: float
    why: str


class Listeners:
    """They ask again and again until they are stopped."""

    def __init__(self, url: str, key: str, model: str) -> None:
        self._client = httpx2.Client(
            base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=WITHIN_S, trust_env=False
        )
        self._model = model
        self._ends = threading.Event()
        self.answers: list[Answer] = []
        self._threads = [threading.Thread(target=self._listen, args=(each,)) for each in range(LISTENERS)]

    def __enter__(self) -> Listeners:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _listen(self, number: int) -> None:
        chance = random.Random(number)
        while not self._ends.is_set():
            text = " ".join(sentence("en", "plain", chance) for _ in range(2))
            body = {"model": self._model, "voice": "alloy", "language": "en", "input": text}
            options = {"response_format": "pcm", "stream_format": "sse", "check": "heard"}
            self.answers.append(self._ask({**body, **options}))

    def _ask(self, body: dict[str, str]) -> Answer:
        check: dict[str, object] = {}
        try:
            with self._client.stream("POST", "/v1/audio/speech", json=body) as answer:
                if answer.is_error:
                    return Answer(time.monotonic(), answer.read().decode()[:200], 0, 0, "")
                for line in answer.iter_lines():
                    if '"speech.audio.done"' in line:
                        check = json.loads(line.removeprefix("data:"))["check"]
        except httpx2.TransportError as error:
            return Answer(time.monotonic(), repr(error), 0, 0, "")
        fault = "" if check else "no end"
        heard_s, unheard_s = (float(str(check.get(name, 0))) for name in ("checked_s", "unchecked_s"))
        return Answer(time.monotonic(), fault, heard_s, unheard_s, str(check.get("why", "")))


def stop(pid: int, ears: str) -> None:
    host_of(pid, ears).suspend()
    time.sleep(STOPPED_S)


def kill(pid: int, ears: str) -> None:
    for _ in range(KILLS):
        os.kill(host_of(pid, ears).pid, signal.SIGKILL)
        time.sleep(KILL_EVERY_S)


def slow(pid: int, ears: str) -> None:
    victim = host_of(pid, ears)
    ends = time.monotonic() + PHASE_S
    while time.monotonic() < ends and victim.is_running():
        victim.suspend()
        time.sleep(SLOW_S)
        victim.resume()
        time.sleep(FULL_S)


def leave_alone(_pid: int, _ears: str) -> None:
    time.sleep(PHASE_S)


def recover(pid: int, ears: str) -> None:
    host_of(pid, ears)
    time.sleep(2 * PHASE_S)


PHASES: dict[str, Callable[[int, str], None]] = {
    "before": leave_alone,
    "stopped": stop,
    "after it": recover,
    "killed": kill,
    "after them": recover,
    "slow": slow,
    "after that": recover,
}


def main() -> None:
    url, key, pid, *more = sys.argv[1:]
    model, ears = (*more, *("piper/standard", "whisper")[len(more) :])
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("|ears|seconds|answers|failed|heard s|not heard s|why|first one heard after|")
    faults = []
    with Listeners(url, key, model) as listeners:
        for name, trouble in PHASES.items():
            began, first = time.monotonic(), len(listeners.answers)
            trouble(int(pid), ears)
            found = listeners.answers[first:]
            failed = [each for each in found if each.fault]
            faults += failed
            heard = [each.at - began for each in found if not each.unchecked_s and not each.fault]
            why = ", ".join(sorted({each.why for each in found if each.why}))
            checked_s = sum(each.checked_s for each in found)
            unchecked_s = sum(each.unchecked_s for each in found)
            print(
                f"|{name}|{time.monotonic() - began:.0f}|{len(found)}|{len(failed)}|{checked_s:.0f}|"
                f"{unchecked_s:.0f}|{why}|{f'{min(heard):.1f} s' if heard else ''}|",
                flush=True,
            )
    print(*[each.fault for each in faults][:10], sep="\n")


if __name__ == "__main__":
    main()
