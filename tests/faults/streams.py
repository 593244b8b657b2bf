"""Long answers under way, as a streaming client holds them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.server import Server

MINUTES = "word " * 300
"""More than a minute in tones: long enough for whatever is to happen to it."""


class Stream:
    """An answer whose headers are here; `pcm` is what was taken of it so far."""

    def __init__(self, response: httpx2.Response) -> None:
        self.pcm = b""
        self.headers = response.headers
        self.status = response.status_code
        self._parts = response.iter_raw()

    @property
    def id(self) -> str:
        found: str = self.headers["x-request-id"]
        return found

    @property
    def heard(self) -> int:
        return len(self.pcm)

    def read(self, count: int) -> None:
        """At least so many bytes; raises httpx2.TransportError where the answer breaks off."""
        wanted = self.heard + count
        while self.heard < wanted:
            self.pcm += next(self._parts)

    def read_all(self) -> None:
        """The rest; raises httpx2.TransportError where the answer breaks off."""
        for part in self._parts:
            self.pcm += part


@contextmanager
def stream(server: Server, voice: str, text: str = MINUTES, **more: Any) -> Iterator[Stream]:
    body = {"model": "tts-1", "voice": voice, "input": text, "response_format": "pcm", **more}
    with server.client() as client, client.stream("POST", "/v1/audio/speech", json=body) as response:
        assert response.status_code == 200, response.read()
        yield Stream(response)
