"""What hearing costs, and what others feel of it: `python -m bench.ears_beside URL ADMIN_KEY PID`.

The server (PID) runs, with Kokoro, hibari and a Whisper behind `whisper-1`. Kokoro makes the recordings.
Printed are the processor and the memory of the host that hears; the first sound of speech alone and beside an
account that is heard all the while, by turns; a voice note beside eight long recordings of one account; and
what each of twenty accounts is heard of, who all send one recording after another.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx2
import psutil

from proxy.audio.formats import wav_header
from tests.heard.judge import SENTENCES

ACCOUNTS, FAIR_S, ROUNDS, RATE_HZ = 20, 150.0, 16, 24_000
SPEAKERS = {"kokoro": "kokoro/af_heart", "hibari": "hibari/heart"}


class Ears:
    def __init__(self, url: str, admin_key: str, pid: int) -> None:
        self._url = url
        self._admin = self._client(admin_key)
        self.host = next(
            each
            for each in psutil.Process(pid).children(recursive=True)
            if "whisper" in " ".join(each.cmdline())
        )

    def _client(self, key: str) -> httpx2.Client:
        return httpx2.Client(base_url=self._url, headers={"authorization": f"Bearer {key}"}, timeout=600.0)

    def account(self, name: str) -> httpx2.Client:
        name = f"{name}-{time.time_ns()}"
        self._admin.post("/admin/accounts", json={"name": name, "plan": "unlimited"}).raise_for_status()
        made = self._admin.post("/admin/keys", json={"account": name}).raise_for_status()
        return self._client(made.json()["key"])

    def cpu_s(self) -> float:
        times = self.host.cpu_times()
        return float(times.user + times.system)

    @property
    def memory(self) -> str:
        return f"{self.host.memory_info().rss / 2**20:.0f} MiB"


def main() -> None:
    url, admin_key, pid = sys.argv[1:]
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    ears = Ears(url, admin_key, int(pid))
    print(f"memory at rest {ears.memory}")
    speaker = ears.account("speaker")
    sentences = [spoken(speaker, SPEAKERS["kokoro"], text) for text in SENTENCES]
    costs(ears, sentences)
    minutes = b"".join(sentences) * 8
    for name in SPEAKERS:
        beside(ears, speaker, name, minutes)
    note(ears, sentences[0], minutes)
    fair(ears, b"".join(sentences)[: 10 * 2 * RATE_HZ])


def costs(ears: Ears, sentences: list[bytes]) -> None:
    client = ears.account("alone")
    for what, recordings in (("a long recording", [b"".join(sentences) * 4]), ("sentences alone", sentences)):
        began, seconds = ears.cpu_s(), sum(heard(client, each) for each in recordings)
        cost = (ears.cpu_s() - began) / seconds
        print(f"{what}, {seconds:.0f} s: {cost:.3f} s of processor a second of sound")


def beside(ears: Ears, speaker: httpx2.Client, name: str, minutes: bytes) -> None:
    """Print the first sound of an engine alone and beside hearing, in turn."""
    first_s: dict[bool, list[float]] = {False: [], True: []}
    first_sound_s(speaker, name, 0)
    for number in range(1, 2 * ROUNDS + 1):
        is_beside = number % 2 == 0
        if is_beside:
            with hearing(ears, minutes):
                first_s[True].append(first_sound_s(speaker, name, number))
                if number == 2:
                    print(f"memory at work {ears.memory}")
        else:
            first_s[False].append(first_sound_s(speaker, name, number))
    alone, other = (statistics.median(first_s[each]) for each in (False, True))
    print(
        f"{name}: first sound p50 {alone:.3f} s alone, {other:.3f} s beside hearing, {other / alone - 1:+.0%}"
    )


@contextmanager
def hearing(ears: Ears, minutes: bytes) -> Iterator[None]:
    """Another account is heard inside the block."""
    client, is_over = ears.account("heard"), threading.Event()

    def hear() -> None:
        while not is_over.is_set():
            with client.stream(
                "POST", PATH, data=FIELDS | {"stream": "true"}, files=file_of(minutes)
            ) as answer:
                for _ in answer.iter_bytes():
                    if is_over.is_set():
                        return

    began, thread = ears.cpu_s(), threading.Thread(target=hear)
    thread.start()
    while ears.cpu_s() < began + 1.0:
        time.sleep(0.05)
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def note(ears: Ears, sentence: bytes, minutes: bytes) -> None:
    """Print how long a voice note takes alone, and beside eight long recordings of one account."""
    guest, alone = ears.account("guest"), timed(ears.account("note"), sentence)
    with ThreadPoolExecutor(9) as threads:
        long = [threads.submit(heard, guest, minutes) for _ in range(8)]
        time.sleep(5.0)
        took = [timed(ears.account("note"), sentence) for _ in range(5)]
        print(f"a voice note: {alone:.2f} s alone, at most {max(took):.2f} s beside eight long recordings")
        seconds = [each.result() for each in long]
    print(f"all eight were heard, {sum(seconds):.0f} s")


def fair(ears: Ears, recording: bytes) -> None:
    """Print what each account is heard of."""
    until = time.monotonic() + FAIR_S

    def hear(client: httpx2.Client) -> float:
        seconds = 0.0
        while time.monotonic() < until:
            seconds += heard(client, recording)
        return seconds

    clients = [ears.account("one") for _ in range(ACCOUNTS)]
    with ThreadPoolExecutor(ACCOUNTS) as threads:
        seconds = sorted(threads.map(hear, clients))
    each = f"{seconds[0]:.0f} to {seconds[-1]:.0f} s of sound each"
    print(f"{ACCOUNTS} accounts: {each}, {sum(seconds):.0f} in all")


PATH = "/v1/audio/transcriptions"
FIELDS = {"model": "whisper-1", "language": "en"}


def file_of(pcm: bytes) -> dict[str, tuple[str, bytes]]:
    return {"file": ("a.wav", wav_header(len(pcm) // 2, RATE_HZ) + pcm)}


def heard(client: httpx2.Client, pcm: bytes) -> float:
    """Return the seconds that were heard."""
    answer = client.post(PATH, data=FIELDS, files=file_of(pcm)).raise_for_status().json()
    assert answer["text"]
    return float(answer["usage"]["seconds"])


def timed(client: httpx2.Client, pcm: bytes) -> float:
    began = time.monotonic()
    heard(client, pcm)
    return time.monotonic() - began


def spoken(client: httpx2.Client, voice: str, text: str) -> bytes:
    body = {"model": f"{voice.partition('/')[0]}/standard", "voice": voice, "input": text}
    return client.post("/v1/audio/speech", json=body | {"response_format": "pcm"}).raise_for_status().content


def first_sound_s(client: httpx2.Client, name: str, number: int) -> float:
    text = f"Number {number}: {SENTENCES[number % len(SENTENCES)]}"
    body = {"model": f"{name}/standard", "voice": SPEAKERS[name], "input": text, "response_format": "pcm"}
    began = time.monotonic()
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        answer.raise_for_status()
        pieces = answer.iter_bytes()
        next(pieces)
        took_s = time.monotonic() - began
        for _ in pieces:
            pass
    return took_s


if __name__ == "__main__":
    main()
