"""Clients that ask again and again until they are told to stop, and remember what became of each answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import httpx2

_PAUSE_S = 0.1
_BREATH_S = 0.02


class FaultOrder(NamedTuple):
    """What one client saw: `status` 0 where no answer came, `complete` where the body ended as it should."""

    request: str
    status: int
    complete: bool
    code: str = ""


class Load:
    """`told` grows while it runs; safe to look at."""

    def __init__(self, url: str, keys: Sequence[str], text: str) -> None:
        self.told: list[FaultOrder] = []
        self._url = url
        self._text = text
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(key,)) for key in keys]

    def __repr__(self) -> str:
        return f"<Load {len(self.told)} answers>"

    @property
    def complete(self) -> list[str]:
        """The requests of the answers that arrived whole."""
        return [told.request for told in self.told if told.complete and told.status == 200]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self, key: str) -> None:
        headers = {"authorization": f"Bearer {key}"}
        with httpx2.Client(base_url=self._url, headers=headers, timeout=30.0) as client:
            while not self._stopping.is_set():
                told = ask(client, self._text)
                self.told.append(told)
                # Whoever is being restarted is not helped by a hammer.
                time.sleep(_BREATH_S if told.status == 200 and told.complete else _PAUSE_S)


def ask(client: httpx2.Client, text: str, **more: object) -> FaultOrder:
    body = {"model": "tts-1", "voice": "alloy", "input": text, **more}
    request, status = "", 0
    try:
        with client.stream("POST", "/v1/audio/speech", json=body) as answer:
            request, status = answer.headers["x-request-id"], answer.status_code
            content = answer.read()
            code = "" if status == 200 else str(answer.json()["error"]["code"])
            return FaultOrder(request, status, bool(content), code)
    except httpx2.TransportError:
        return FaultOrder(request, status, complete=False)


@contextmanager
def load(url: str, keys: Sequence[str], text: str = "Hi.") -> Iterator[Load]:
    running = Load(url, keys, text)
    running.start()
    try:
        yield running
    finally:
        running.stop()
