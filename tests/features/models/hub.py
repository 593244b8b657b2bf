"""A hub of models on 127.0.0.1, a real server over sockets, with every fault that a real one has shown."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

_PIECE = 8 * 1024


class Manner(NamedTuple):
    """How a file is served. `cut_at` and `stall_at` count bytes of an answer, and `times` how often it is so.

    `more` bytes come beyond the end, and `length` is told in place of the true one.
    """

    has_ranges: bool = True
    etag: str = '"one"'
    tells_digest: bool = True
    status: int = 200
    location: str = ""
    cut_at: int | None = None
    stall_at: int | None = None
    times: int = 1
    more: int = 0
    length: int | None = None
    goes_on_at: int | None = None
    packs: bool = False
    token: str = ""


class Asked(NamedTuple):
    path: str
    headers: dict[str, str]


class Hub:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[Asked] = []
        self.ended = threading.Event()
        self._files: dict[str, tuple[bytes, Manner]] = {}
        self._left: dict[str, int] = {}

    def put(self, path: str, data: bytes, manner: Manner | None = None) -> str:
        """Serve a file. Return its address."""
        self._files[path] = data, manner or Manner()
        self._left[path] = self._files[path][1].times
        return f"{self.url}{path}"

    def find(self, path: str) -> tuple[bytes, Manner] | None:
        return self._files.get(path)

    def is_at_fault(self, path: str) -> bool:
        """Tell whether the fault of a file happens once more."""
        self._left[path] -= 1
        return self._left[path] >= 0

    def asked_for(self, path: str) -> list[dict[str, str]]:
        return [asked.headers for asked in self.asked if asked.path == path]


@contextmanager
def running_hub() -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = _hubs[server] = Hub(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hub
    finally:
        hub.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
        del _hubs[server]


_hubs: dict[object, Hub] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Says nothing: a test looks at what was asked."""

    def do_GET(self) -> None:
        hub = _hubs[self.server]
        hub.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}))
        found = hub.find(self.path)
        self.close_connection = True
        if found is None:
            self._head(404, {"Content-Length": "0"})
            return
        data, manner = found
        is_known = self.headers.get("Authorization") == f"Bearer {manner.token}"
        if manner.status != 200 or (manner.token and not is_known):
            status = manner.status if manner.status != 200 else 401
            told = {"Location": manner.location} if manner.location else {"Retry-After": "7"}
            if manner.location and manner.tells_digest:
                told["X-Linked-ETag"] = f'"{hashlib.sha256(data).hexdigest()}"'
            self._head(status, {**told, "Content-Length": "0"})
            return
        self._serve(hub, data, manner)

    def _serve(self, hub: Hub, data: bytes, manner: Manner) -> None:
        begin, headers, status = 0, {"ETag": manner.etag, "Content-Type": "text/html"}, 200
        if manner.tells_digest:
            headers["X-Linked-ETag"] = f'"{hashlib.sha256(data).hexdigest()}"'
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and manner.has_ranges and self.headers.get("If-Range") == manner.etag:
            begin, status = int(wanted[1]), 206
            told = begin if manner.goes_on_at is None else manner.goes_on_at
            headers["Content-Range"] = f"bytes {told}-{len(data) - 1}/{len(data)}"
        if manner.packs:
            headers["Content-Encoding"] = "gzip"
        rest = data[begin:] + bytes(manner.more)
        length = manner.length if manner.length is not None else len(rest)
        if length:
            headers["Content-Length"] = str(length)
        self._head(status, headers)
        is_at_fault = hub.is_at_fault(self.path)
        sent = 0
        try:
            for at in range(0, len(rest), _PIECE):
                if is_at_fault and manner.stall_at is not None and sent >= manner.stall_at:
                    hub.ended.wait(20)
                    return
                if is_at_fault and manner.cut_at is not None and sent >= manner.cut_at:
                    return
                self.wfile.write(rest[at : at + _PIECE])
                sent += len(rest[at : at + _PIECE])
        except (BrokenPipeError, ConnectionResetError):
            return

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
