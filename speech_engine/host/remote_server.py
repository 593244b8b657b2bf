"""The far end on a machine of its own: the calls that a provider's queue has, over HTTP, for one server.

    POST /run {"input": WORK}   GET /status/KEY   GET /stream/KEY?since=N   POST /cancel/KEY   GET /health

Each has `Authorization: Bearer TOKEN`. The work's key is its id. All other calls are refused.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from speech_engine.host.remote_worker import RemoteAnswer, RemoteWorker, as_json
from speech_engine.runner import decode_work

MOST_BODY_BYTES = 64 * 1024 * 1024
_ANSWER_S = 30.0
_SOCKET_S = 60.0
_Reply = tuple[int, Mapping[str, object]]
"""A status, and the values of the body's JSON."""


class RemoteServer:
    """A server for one far end, which lives in the event loop that opens this."""

    def __init__(self, remote_worker: RemoteWorker, token: str, address: tuple[str, int]) -> None:
        if not token:
            raise ValueError("the far end needs a token: whoever finds it could use it")
        self._remote_worker = remote_worker
        self._loop = asyncio.get_running_loop()
        handler = partial(_Handler, self._answer, f"Bearer {token}".encode())
        self._http = ThreadingHTTPServer(address, handler)
        self._http.daemon_threads = True
        self._thread = Thread(target=self._http.serve_forever, name="far-server", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    def close(self) -> None:
        # Its loop looks for the end only each half second, or when the socket wakes it.
        with suppress(OSError):
            self._http.socket.shutdown(socket.SHUT_RDWR)
        self._http.shutdown()
        self._http.server_close()

    def _answer(self, method: str, path: str, body: bytes) -> _Reply:
        """Answer a request in the loop of the far end. A thread of the server calls this."""
        called = asyncio.run_coroutine_threadsafe(self._route(method, path, body), self._loop)
        return called.result(_ANSWER_S)

    async def _route(self, method: str, path: str, body: bytes) -> _Reply:
        parts = urlsplit(path)
        name, _, key = parts.path.strip("/").partition("/")
        key = unquote(key)
        match method, name:
            case "GET", "health":
                return 200, {"jobs": {"inProgress": self._remote_worker.running}}
            case "POST", "run":
                return self._run(body)
            case "GET", "status":
                return self._work_reply(key, 0, "output")
            case "GET", "stream":
                (since,) = parse_qs(parts.query).get("since", ["0"])[:1]
                return self._work_reply(key, int(since) if since.isdecimal() else 0, "stream")
            case "POST", "cancel":
                await self._remote_worker.cancel(key)
                return self._work_reply(key, 0, "output")
        return 404, {"error": "There is no such call."}

    def _run(self, body: bytes) -> _Reply:
        try:
            work = decode_work(json.loads(body)["input"])
        except (ValueError, KeyError, TypeError) as error:
            return 400, {"error": f"This is no work: {type(error).__name__}."}
        return 200, {"id": work.key, "status": _status(self._remote_worker.begin(work))}

    def _work_reply(self, key: str, since: int, field: str) -> _Reply:
        answer = self._remote_worker.find(key)
        if answer is None:
            return 404, {"error": "There is no such work."}
        # Clients poll the status, so it has the pieces only when all are there.
        is_shown = answer.is_over or field == "stream"
        pieces = [as_json(piece) for piece in answer.pieces[since:]] if is_shown else []
        shown: dict[str, object] = {"id": key, "status": _status(answer)}
        if answer.busy_s is not None:
            shown["executionTime"] = round(answer.busy_s * 1000)
        shown[field] = [{"output": piece} for piece in pieces] if field == "stream" else pieces
        return 200, shown


def _status(answer: RemoteAnswer) -> str:
    if not answer.is_over:
        return "IN_PROGRESS"
    return "CANCELLED" if answer.is_forgotten else "COMPLETED"


class _Handler(BaseHTTPRequestHandler):
    """One connection. `answer` is called for a request whose authorization is `expected`."""

    timeout = _SOCKET_S

    def __init__(
        self, answer: Callable[[str, str, bytes], _Reply], expected: bytes, *connection: Any
    ) -> None:
        self._answer = answer
        self._expected = expected
        super().__init__(*connection)

    def do_GET(self) -> None:
        self._reply(*self._authorized_reply(0))

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            self._reply(413, {"error": "A body has a length, of up to 64 MiB."})
        else:
            self._reply(*self._authorized_reply(int(length)))

    def log_message(self, format: str, *args: Any) -> None:
        """Print no log, because the provider stores all printed lines."""

    def _authorized_reply(self, length: int) -> _Reply:
        if not hmac.compare_digest(self.headers.get("authorization", "").encode(), self._expected):
            return 401, {"error": "This is not the token."}
        try:
            return self._answer(self.command, self.path, self.rfile.read(length))
        except TimeoutError:
            return 503, {"error": "The machine is too busy to answer."}

    def _reply(self, status: int, shown: Mapping[str, object]) -> None:
        data = json.dumps(shown).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
