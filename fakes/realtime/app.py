"""The addresses of the fake: the socket in OpenAI's and in Azure's two forms, the models, and the script.

Tests in the same process use the object. Others POST /_fake/script (a list of `Misdeed`), /_fake/manner and
/_fake/reset, and GET /_fake/sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
from aiohttp import WSMessage, web

from fakes.realtime.script import Misdeed, Script
from fakes.realtime.session import Session
from fakes.realtime.speaking import Manner

MODELS = {"gpt-realtime-2.1-mini": None, "gpt-realtime-2.1": None, "gpt-realtime": "2027-01-20"}
_PATHS = ("/v1/realtime", "/openai/v1/realtime", "/openai/realtime")

__all__ = ["Manner", "Misdeed", "RealtimeFake", "served"]


class RealtimeFake:
    """A provider. Any key but "wrong" is good, in either header."""

    def __init__(self, manner: Manner | None = None, models: Sequence[str] = ()) -> None:
        self.manner = manner or Manner()
        self.may_list = True
        # Azure's deployments have names of their own.
        self.models = {**MODELS, **dict.fromkeys(models)}
        self.script = Script()
        self.sessions: list[Session] = []
        self.handshakes: list[tuple[str, dict[str, str]]] = []
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<RealtimeFake {self.open} of {len(self.sessions)} sessions open>"

    @property
    def open(self) -> int:
        return sum(session.is_open for session in self.sessions)

    def frames(self, kind: str) -> list[dict[str, object]]:
        """Return all messages of a kind that came, of all sessions."""
        return [each for session in self.sessions for each in session.frames if each.get("type") == kind]

    def will(self, do: str, text: str = "", **more: object) -> None:
        self.script.left.append(msgspec.convert({"do": do, "text": text, **more}, Misdeed))

    async def until(self, is_so: Callable[[], bool], within_s: float = 30.0) -> None:
        """Wait until a message or an end makes `is_so` true. Raises TimeoutError if none does."""
        async with asyncio.timeout(within_s):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    def app(self) -> web.Application:
        app = web.Application()
        for path in _PATHS:
            app.router.add_get(path, self._socket)
        for prefix in ("/v1", "/openai/v1", "/openai"):
            app.router.add_get(f"{prefix}/models", self._models)
        app.router.add_post("/_fake/script", self._add)
        app.router.add_post("/_fake/manner", self._behave)
        app.router.add_post("/_fake/reset", self._reset)
        app.router.add_get("/_fake/sessions", self._report)
        return app

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append((request.path_qs, dict(request.headers)))
        if (refused := self._refusal(request)) is not None:
            return refused
        socket = _Noting(self._changed)
        await socket.prepare(request)
        session = Session(len(self.sessions) + 1, self._model(request), self.script, self.manner)
        self.sessions.append(session)
        try:
            await session.run(request, socket)
        finally:
            self._changed.set()
        return socket

    def _refusal(self, request: web.Request) -> web.Response | None:
        if _is_wrong(request):
            return _error(401, "invalid_api_key")
        first = self.script.left[0] if self.script.left else None
        if first is not None and first.do == "handshake":
            misdeed = self.script.for_session()
            assert misdeed is not None
            return _error(misdeed.status, misdeed.code or "rate_limit_exceeded", {"retry-after": "3"})
        if self._model(request) not in self.models:
            is_azure = request.path.startswith("/openai")
            return _error(400, "OpperationNotSupported") if is_azure else _error(404, "model_not_found")
        if request.path == "/openai/realtime" and not request.query.get("api-version"):
            return _error(404, "Resource not found")
        return None

    def _model(self, request: web.Request) -> str:
        return request.query.get("deployment" if request.path == "/openai/realtime" else "model", "")

    async def _models(self, request: web.Request) -> web.Response:
        if _is_wrong(request):
            return _error(401, "invalid_api_key")
        if not self.may_list:
            return _error(403, "missing_scope")
        data = [{"id": id_, "object": "model", "shutdown_date": day} for id_, day in self.models.items()]
        return web.json_response({"object": "list", "data": data})

    async def _add(self, request: web.Request) -> web.Response:
        try:
            self.script.left += msgspec.json.decode(await request.read(), type=list[Misdeed])
        except msgspec.DecodeError as error:
            return web.json_response({"error": f"a list of misdeeds is wanted: {error}"}, status=400)
        return web.json_response({})

    async def _behave(self, request: web.Request) -> web.Response:
        manner = msgspec.json.decode(await request.read(), type=Manner)
        for name in manner.__struct_fields__:
            setattr(self.manner, name, getattr(manner, name))
        return web.json_response({})

    async def _reset(self, _request: web.Request) -> web.Response:
        self.script.left.clear()
        self.sessions = [session for session in self.sessions if session.is_open]
        for session in self.sessions:
            session.frames.clear()
        return web.json_response({})

    async def _report(self, _request: web.Request) -> web.Response:
        frames = [session.frames for session in self.sessions]
        return web.json_response({"open": self.open, "frames": frames})


class _Noting(web.WebSocketResponse):
    """A socket that wakes the waiting tasks whenever a message has come or gone."""

    def __init__(self, changed: asyncio.Event) -> None:
        super().__init__(max_msg_size=1024 * 1024)
        self._note = changed

    async def receive(self, timeout: float | None = None) -> WSMessage:
        # All messages before it have been answered.
        self._note.set()
        return await super().receive(timeout)


def _is_wrong(request: web.Request) -> bool:
    key = request.headers.get("authorization", "").removeprefix("Bearer ") or request.headers.get("api-key")
    return key in (None, "", "wrong")


def _error(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    error = {"type": "invalid_request_error", "code": code, "message": "Refused.", "param": None}
    return web.json_response({"error": error}, status=status, headers=headers)


@asynccontextmanager
async def served(fake: RealtimeFake, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve on a free port while the block runs, and give the root's address."""
    runner = web.AppRunner(fake.app(), shutdown_timeout=0.5, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
