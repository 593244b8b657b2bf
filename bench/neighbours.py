"""A neighbour beside a heavy account: `python -m bench.neighbours [SECONDS] [KIND …]`.

For speech, uploads, detection, exports and manifests in turn, one account asks for a small thing of that
kind, again and again: alone, then while another account asks for large things of the same kind on several
connections, in rounds by turns, as the machine may be busy with something else. Printed are the neighbour's
times, how many of its answers were lost, and how often a host died. The heavy account speaks texts that
nobody writes, in every language.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

import httpx2
import psutil

from bench.shipped import shipped
from plugins.espeak.languages import languages
from proxy.audio.formats import wav_header

SECONDS = 6.0
ROUNDS = 3
CONNECTIONS = 4
PAUSE_S = 0.05
REFUSED_PAUSE_S = 0.5
NEIGHBOUR, HEAVY = "127.0.0.1", "127.0.0.2"
"""Their addresses: what needs no key is counted by address."""
LEAD_S = 0.5
CONFIG = """
[plans.unlimited]
prices.speech = { credits = 0, per = 'second' }
voices = 1000
"""
SENTENCE = "A sentence of the neighbour, as an assistant says it."
SAID = "The neighbour reads a few sentences aloud, so that a voice is made of them. Each one differs. "
LETTERS = (
    *("abcdefghijklmnopqrstuvwxyz", "áéíóúãõçñüöäßøåæœ", "абвгдежзийклмнопрст", "αβγδεζηθικλμν"),
    *("नमस्तेकखगघचछ", "ابتثجحخ", "กขคงจ่้าะเแ", "你好世界", "あいうカキク", "안녕하세요", "0123456789", "😀👍🎉"),
)
SIGNS: list[str] = [*".,;:!?…-–()[]{}<>/|@#$%^&*_+=~`°§€½²ª“”•→", " ", "\n", ". "]


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Client:
    """An account's key, and its recording: a short one of the neighbour, a long one of the heavy account."""

    def __init__(self, port: int, key: str, address: str, recording: bytes = b"") -> None:
        self.recording = recording
        self._port = port
        self._key = key
        self._address = address

    def speak(self, text: str, language: str = "en", **more: object) -> Answer:
        body = {"model": "tts-1", "voice": "alloy", "input": text, "language": language}
        return self.send("POST", "/v1/audio/speech", {**body, "response_format": "pcm", **more})

    def upload(self, path: str, file: str, fields: dict[str, str]) -> Answer:
        parts = [_part(f'name="{name}"', value.encode()) for name, value in fields.items()]
        form = b"".join([*parts, _part(f'name="{file}"; filename="a.wav"', self.recording), b"--it--\r\n"])
        return self.send("POST", path, form)

    def send(self, method: str, path: str, body: dict[str, object] | bytes | None = None) -> Answer:
        """Return the answer, with the status 0 if it broke off."""
        is_form = isinstance(body, bytes)
        headers = {"Authorization": f"Bearer {self._key}"}
        headers["Content-Type"] = "multipart/form-data; boundary=it" if is_form else "application/json"
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=60, source_address=(self._address, 0)
        )
        try:
            sent = body if isinstance(body, bytes | None) else json.dumps(body)
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except (http.client.HTTPException, OSError):
            return Answer(0, http.client.HTTPMessage(), b"")
        finally:
            connection.close()


class Kind(Protocol):
    """One kind of request. `ask` gives the status, and the milliseconds of what is measured."""

    def __init__(self, client: Client, *, is_heavy: bool) -> None: ...

    def ask(self, random_: random.Random) -> tuple[int, float]: ...


class Speech:
    def __init__(self, client: Client, *, is_heavy: bool) -> None:
        self._client = client
        self._is_heavy = is_heavy

    def ask(self, random_: random.Random) -> tuple[int, float]:
        text, language = SENTENCE, "en"
        if self._is_heavy:
            text, language = wild_text(random_), random_.choice(_tags())
        began = time.perf_counter()
        answer = self._client.speak(text, language)
        return (answer.status if answer.body else 0), _ms_since(began)


class Uploads:
    """A recorded consent, which is deleted after it was measured."""

    def __init__(self, client: Client, *, is_heavy: bool) -> None:
        del is_heavy
        self._client = client

    def ask(self, random_: random.Random) -> tuple[int, float]:
        del random_
        began = time.perf_counter()
        answer = self._client.upload(
            "/v1/audio/voice_consents", "recording", {"name": "Ana", "language": "en"}
        )
        took = _ms_since(began)
        if answer.status == 200:
            self._client.send("DELETE", f"/v1/audio/voice_consents/{json.loads(answer.body)['id']}")
        return answer.status, took


class Detection:
    def __init__(self, client: Client, *, is_heavy: bool) -> None:
        del is_heavy
        self._client = client

    def ask(self, random_: random.Random) -> tuple[int, float]:
        del random_
        began = time.perf_counter()
        return self._client.upload("/v1/audio/marks/detect", "file", {}).status, _ms_since(began)


class Exports:
    def __init__(self, client: Client, *, is_heavy: bool) -> None:
        del is_heavy
        self._client = client
        statement: dict[str, object] = {"name": "Ana", "language": "en", "statement": "On paper."}
        consent = json.loads(client.send("POST", "/v1/audio/voice_consents", statement).body)
        fields = {"name": "Ana", "consent": str(consent["id"]), "ref_text": SAID}
        made = client.upload("/v1/audio/voices", "audio_sample", fields)
        if made.status != 200:
            raise SystemExit(f"no voice was made: {made.body!r}")
        self._path = f"/v1/audio/voices/{json.loads(made.body)['id']}/export"

    def ask(self, random_: random.Random) -> tuple[int, float]:
        del random_
        began = time.perf_counter()
        return self._client.send("GET", self._path).status, _ms_since(began)


class Manifests:
    """The first manifest of an answer, which is signed while it is asked for. The answer is not measured."""

    def __init__(self, client: Client, *, is_heavy: bool) -> None:
        del is_heavy
        self._client = client

    def ask(self, random_: random.Random) -> tuple[int, float]:
        del random_
        spoken = self._client.speak("Yes.", cache=True)
        path = spoken.headers["link"].partition(">")[0].removeprefix("<")
        began = time.perf_counter()
        return self._client.send("GET", path).status, _ms_since(began)


KINDS: dict[str, type[Kind]] = {
    "speech": Speech,
    "uploads": Uploads,
    "detection": Detection,
    "exports": Exports,
    "manifests": Manifests,
}


class Times:
    """What an account saw: milliseconds of its good answers, and all statuses."""

    def __init__(self) -> None:
        self.ms: list[float] = []
        self.statuses: Counter[int] = Counter()

    def note(self, status: int, took_ms: float) -> None:
        self.statuses[status] += 1
        if status == 200:
            self.ms.append(took_ms)

    @property
    def lost(self) -> int:
        return self.statuses.total() - self.statuses[200]

    @property
    def p95_ms(self) -> float:
        return statistics.quantiles(self.ms, n=20, method="inclusive")[-1] if len(self.ms) > 1 else 0.0


class Tenants:
    """Makes accounts. Each round has new ones, since a minute has room for 60 uploads of one account."""

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._numbers = itertools.count()
        address = str(Path(os.readlink(folder / "run")) / "control.sock")
        self._control = httpx2.Client(
            transport=httpx2.HTTPTransport(uds=address), base_url="http://control", timeout=60
        )
        speaker = Client(port, self._new_key(), NEIGHBOUR)
        self._recordings = {each: _wav(speaker, times) for each, times in ((NEIGHBOUR, 1), (HEAVY, 8))}

    def one(self, address: str) -> Client:
        return Client(self._port, self._new_key(), address, self._recordings[address])

    def _new_key(self) -> str:
        account = f"tenant {next(self._numbers)}"
        made = self._control.post("/admin/accounts", json={"name": account, "plan": "unlimited"})
        made.raise_for_status()
        key = self._control.post("/admin/keys", json={"account": account}).raise_for_status().json()["key"]
        return str(key)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    kinds = sys.argv[2:] or list(KINDS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "config.toml"
        config.write_text(CONFIG)
        pid, port, _ = stack.enter_context(shipped(folder / "data", config))
        tenants = Tenants(port, folder / "data")
        hosts = _hosts(pid)
        print(f"{ROUNDS} rounds of {seconds:g} s alone, and as long beside {CONNECTIONS} heavy connections")
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        columns = f"{'quiet p95':>10} {'beside p95':>11} {'ratio':>6}"
        print(f"{'kind':10} {'answers':>9} {'lost':>5} {columns}  heavy")
        for kind in kinds:
            _measure(kind, tenants, seconds)
        died = len(hosts - _hosts(pid))
    print(f"hosts that died: {died}; load at the end: {os.getloadavg()[0]:.1f}")


def _measure(name: str, tenants: Tenants, seconds: float) -> None:
    make, quiet, beside, heavy = KINDS[name], Times(), Times(), Times()
    make(tenants.one(NEIGHBOUR), is_heavy=False).ask(random.Random(0))  # what it needs is started
    for _ in range(ROUNDS):
        _ask_for(make(tenants.one(NEIGHBOUR), is_heavy=False), quiet, seconds)
        ours = make(tenants.one(NEIGHBOUR), is_heavy=False)
        theirs = make(tenants.one(HEAVY), is_heavy=True)
        is_over = threading.Event()
        threads = [
            threading.Thread(target=_load, args=(theirs, heavy, seed, is_over)) for seed in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(LEAD_S)
        _ask_for(ours, beside, seconds)
        is_over.set()
        for thread in threads:
            thread.join()
    answers = f"{len(quiet.ms)}/{len(beside.ms)}"
    ratio = beside.p95_ms / quiet.p95_ms if quiet.ms else 0.0
    p95s = f"{quiet.p95_ms:10.1f} {beside.p95_ms:11.1f} {ratio:6.2f}"
    print(f"{name:10} {answers:>9} {quiet.lost + beside.lost:5} {p95s}  {dict(heavy.statuses)}", flush=True)


def _ask_for(kind: Kind, times: Times, seconds: float) -> None:
    random_ = random.Random(0)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        times.note(*kind.ask(random_))
        time.sleep(PAUSE_S)


def _load(kind: Kind, times: Times, seed: int, is_over: threading.Event) -> None:
    random_ = random.Random(seed)
    while not is_over.is_set():
        status, took_ms = kind.ask(random_)
        times.note(status, took_ms)
        if status != 200:
            time.sleep(REFUSED_PAUSE_S)  # Retry-After is longer


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


def _part(name: str, value: bytes) -> bytes:
    head = f"--it\r\nContent-Disposition: form-data; {name}\r\n\r\n"
    return head.encode() + value + b"\r\n"


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _tags() -> list[str]:
    return sorted(each.tag for each in languages() if each.quality != "poor")


def _wav(client: Client, times: int) -> bytes:
    pcm = client.speak(SAID * times).body
    return wav_header(len(pcm) // 2) + pcm


def _hosts(pid: int) -> set[int]:
    children = psutil.Process(pid).children(recursive=True)
    return {child.pid for child in children if "speech_engine.host" in child.cmdline()}


if __name__ == "__main__":
    main()
