"""How the far end fetches a recording: only what was announced, from where it was announced."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from msgspec.structs import replace

from speech_engine import EngineError, EngineFailed, EngineUnavailable
from speech_engine.host.remote_calls import MOST_BYTES, fetch_recording
from speech_engine.runner import RemoteSample
from tests.tables import each_row

PCM = bytes(range(256)) * 1000
fetched_from_here = partial(fetch_recording, schemes=("http",), pause_s=0.0)


class Shop(BaseHTTPRequestHandler):
    """Gives PCM at /pcm, and something else elsewhere."""

    seen: list[str]
    failures = 0

    def do_GET(self) -> None:
        self.seen.append(self.path)
        if self.path == "/moved":
            self._answer(302, b"", location="/pcm")
        elif self.path == "/busy" and len(self.seen) < 3:
            self._answer(503, b"busy")
        elif self.path == "/down":
            self._answer(500, b"")
        elif self.path == "/long":
            self._answer(200, PCM * 100)
        elif self.path in ("/pcm", "/busy"):
            self._answer(200, PCM)
        elif self.path == "/cut":
            self._answer(200, PCM[:1000], length=len(PCM))
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes, location: str = "", length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body) if length is None else length))
        if location:
            self.send_header("location", location)
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def shop() -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneShop", (Shop,), {"seen": seen}))
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sample_at(url: str) -> RemoteSample:
    return RemoteSample(digest="abc", url=url, size=len(PCM), sha256=hashlib.sha256(PCM).hexdigest())


async def test_a_recording_is_fetched_also_after_a_bad_moment() -> None:
    with shop() as (url, seen):
        assert await fetched_from_here(sample_at(f"{url}/pcm")) == PCM
        seen.clear()
        assert await fetched_from_here(sample_at(f"{url}/busy")) == PCM
        assert seen == ["/busy"] * 3


@each_row(
    ("path", "error", "times"),
    [
        ("/moved", EngineFailed, 1),
        ("/gone", EngineFailed, 1),
        ("/long", EngineFailed, 1),
        ("/cut", EngineUnavailable, 3),
        ("/down", EngineUnavailable, 3),
    ],
)
async def test_what_is_not_there_is_not_fetched(path: str, error: type[EngineError], times: int) -> None:
    with shop() as (url, seen):
        with pytest.raises(error) as failure:
            await fetched_from_here(sample_at(f"{url}{path}"))
        assert seen == [path] * times
        assert path not in failure.value.reason
        assert "127.0.0.1" not in failure.value.reason


async def test_only_what_was_announced_is_taken() -> None:
    with shop() as (url, _):
        right = sample_at(f"{url}/pcm")
        for wrong in (replace(right, sha256="0" * 64), replace(right, size=len(PCM) - 1)):
            with pytest.raises(EngineFailed, match="not what was announced"):
                await fetched_from_here(wrong)


@each_row("size", [0, -1, MOST_BYTES + 1])
async def test_an_impossible_size_is_not_asked_for(size: int) -> None:
    with shop() as (url, seen):
        with pytest.raises(EngineFailed, match="impossible"):
            await fetched_from_here(replace(sample_at(f"{url}/pcm"), size=size))
        assert seen == []


@each_row("url", ["http://127.0.0.1:1/a", "file:///etc/passwd", "ftp://127.0.0.1/a", "a"])
async def test_only_https_is_asked(url: str) -> None:
    with pytest.raises(EngineFailed, match="over https alone"):
        await fetch_recording(sample_at(url))
