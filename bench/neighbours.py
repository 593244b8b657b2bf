"""A neighbour beside an attacker: `python -m bench.neighbours [TEXTS]`.

One account asks the embedded voice for a sentence, again and again: first alone, then while another account
sends texts that nobody writes, in every language and on several connections. Printed are the neighbour's
times, how many of its answers were lost, and how often a host died.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx2
import psutil

from bench.shipped import shipped
from plugins.espeak.languages import languages

TEXTS = 5000
CONNECTIONS = 4
PAUSE_S = 0.02
QUIET_S = 15.0
PLAN = "[plans.unlimited]\nprices.speech = { credits = 0, per = 'second' }\n"
SENTENCE = "A sentence of the neighbour, as an assistant says it."
LETTERS = (
    *("abcdefghijklmnopqrstuvwxyz", "áéíóúãõçñüöäßøåæœ", "абвгдежзийклмнопрст", "αβγδεζηθικλμν"),
    *("नमस्तेकखगघचछ", "ابتثجحخ", "กขคงจ่้าะเแ", "你好世界", "あいうカキク", "안녕하세요", "0123456789", "😀👍🎉"),
)
SIGNS: list[str] = [*".,;:!?…-–()[]{}<>/|@#$%^&*_+=~`°§€½²ª“”•→", " ", "\n", ". "]


class Account:
    """A key, and the times and statuses of its requests."""

    def __init__(self, port: int, key: str) -> None:
        self.times_ms: list[float] = []
        self.statuses: Counter[int] = Counter()
        self._port = port
        self._key = key

    def ask(self, text: str, language: str) -> None:
        body = {
            "model": "tts-1",
            "voice": "alloy",
            "input": text,
            "language": language,
            "response_format": "pcm",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        began = time.perf_counter()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/audio/speech", json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        try:
            is_audio = bool(answer.read()) and answer.status == 200
        except http.client.HTTPException:
            is_audio = False
        connection.close()
        self.times_ms.append((time.perf_counter() - began) * 1000)
        self.statuses[200 if is_audio else answer.status if answer.status != 200 else -1] += 1

    @property
    def p95_ms(self) -> float:
        return statistics.quantiles(self.times_ms, n=20)[-1]


def main() -> None:
    texts = int(sys.argv[1]) if len(sys.argv) > 1 else TEXTS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "config.toml"
        config.write_text(PLAN)
        pid, port, key = stack.enter_context(shipped(folder / "data", config))
        hosts = _hosts(pid)
        quiet, beside, loud = (Account(port, each) for each in (key, key, _second_key(folder / "data")))
        _ask_for(quiet, lambda began: time.monotonic() - began < QUIET_S)
        attack = threading.Thread(target=_attack, args=(loud, texts))
        attack.start()
        _ask_for(beside, lambda _began: attack.is_alive())
        attack.join()
        died = len(hosts - _hosts(pid))
    print(f"{texts} texts in {len(_tags())} languages: {dict(loud.statuses)}; hosts that died: {died}")
    print(f"{'neighbour':10} {'answers':>8} {'lost':>6} {'p50 ms':>8} {'p95 ms':>8}")
    for name, account in (("quiet", quiet), ("beside", beside)):
        lost = account.statuses.total() - account.statuses[200]
        p50 = statistics.median(account.times_ms)
        print(f"{name:10} {account.statuses.total():8} {lost:6} {p50:8.1f} {account.p95_ms:8.1f}")
    print(f"p95 beside an attacker: {beside.p95_ms / quiet.p95_ms:.2f} times that of a quiet server")


def _ask_for(account: Account, goes_on: Callable[[float], bool]) -> None:
    began = time.monotonic()
    while goes_on(began):
        account.ask(SENTENCE, "en")
        time.sleep(PAUSE_S)


def _attack(account: Account, texts: int) -> None:
    turns = iter(range(texts))
    taking = threading.Lock()

    def send(seed: int) -> None:
        random_ = random.Random(seed)
        while True:
            with taking:
                if next(turns, None) is None:
                    return
            account.ask(wild_text(random_), random_.choice(_tags()))

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wild_text(random_: random.Random) -> str:
    letters = random_.choice(LETTERS)

    def word(most: int) -> str:
        return "".join(random_.choices(letters, k=random_.randint(1, most)))

    match random_.randrange(4):
        case 0:
            unit = word(2) + random_.choice(SIGNS)
            most: int = random_.choice((60, 200, 400))
            return (unit * most)[:most]
        case 1:
            return "".join(word(7) + random_.choice(SIGNS) for _ in range(random_.randint(1, 30)))
        case 2:
            return " ".join(word(100) for _ in range(2))
        case _:
            return "".join(chr(random_.randint(32, 0x2FFF)) for _ in range(random_.choice((20, 100))))


def _tags() -> list[str]:
    return sorted(each.tag for each in languages() if each.quality != "poor")


def _second_key(folder: Path) -> str:
    address = str(Path(os.readlink(folder / "run")) / "control.sock")
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=address), base_url="http://control") as control:
        control.post("/admin/accounts", json={"name": "loud", "plan": "unlimited"}).raise_for_status()
        made = control.post("/admin/keys", json={"account": "loud"})
    key: str = made.raise_for_status().json()["key"]
    return key


def _hosts(pid: int) -> set[int]:
    children = psutil.Process(pid).children(recursive=True)
    return {child.pid for child in children if "speech_engine.host" in child.cmdline()}


if __name__ == "__main__":
    main()
