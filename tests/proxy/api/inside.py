"""A real worker inside the test's process, without a port: its app, its store, and clients with keys."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import httpx2
import msgspec
import pytest
from starlette.types import Message

from policies.plans import UNLIMITED
from proxy.app import Worker, open_worker
from proxy.engines import registry
from proxy.engines.registry import Registry
from proxy.errors import RequestFailed
from proxy.feature_list import load_config
from proxy.features.erasure.erasure import Erasure
from proxy.features.monitoring.loop_watch import LoopHold, watch_loop
from proxy.http.connection import PEER
from proxy.http.replies import encode_json
from proxy.storage import accounts, api_key, key_records, usage
from proxy.storage.accounts import Account
from proxy.storage.key_records import NewKeyRecord, Role
from proxy.storage.usage import UsageRow
from speech_engine import Context, Engine, Plugin
from speech_engine.plugin import Kind
from tests.databases import lay_tables
from tests.proxy.jobs_inside import jobs_inside
from tests.server import MOST_HELD_S, MOST_KEPT_S
from tests.suite.held import note_holds

TONE = """
[server]
default_model = "tone"
[engines.tone]
hosted = false
[models]
tone = ["tone/standard"]
tts-1 = ["tone/standard"]
gpt-4o-mini-tts = ["tone/standard"]
[voices.alloy]
tone = "tone"
"""


_NOT_OURS = ("tests.", "httpx2.", "conftest", "structlog._output")
"""What is no server: tests and their clients share its loop here, and what it prints is kept by pytest."""


class _Holds:
    """The long holds of the loop by the server. The garbage of a process of tests is no work of its own."""

    def __init__(self) -> None:
        self.long: list[LoopHold] = []
        self._collected_s = 0.0
        self._began = 0.0

    def collect(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self._collected_s += time.thread_time() - self._began

    def note(self, hold: LoopHold) -> None:
        held_s, self._collected_s = hold.held_s - self._collected_s, 0.0
        is_ours = not any(name.startswith(_NOT_OURS) for name in hold.step.split(" < "))
        # Pytest and the test's own objects share this process.
        if held_s >= (MOST_KEPT_S if hold.is_by_another else 2 * MOST_HELD_S) and is_ours:
            self.long.append(hold)


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


class LeavingPeer:
    """A client that leaves at an event, and may be slow until then. It got `sent_share` of what was sent."""

    def __init__(self) -> None:
        self.is_gone = False
        self.is_ending = False
        self.is_behind = False
        self.takes_first_body = False
        self.sent_share = 1.0
        self.on_gone: Callable[[], None] | None = None
        self.body_failure: RequestFailed | None = None

    async def drain(self) -> None:
        """It has taken everything by now."""

    def allow_body(self, within_s: float) -> None:
        """Its body is there."""

    def follow_closely(self) -> None:
        """It does so anyway."""

    def cut_off(self) -> None:
        self.leave()

    async def leave_after(self, event: asyncio.Event) -> None:
        await event.wait()
        self.leave()

    def leave(self) -> None:
        self.is_gone = True
        if self.on_gone is not None:
            self.on_gone()


class Inside(NamedTuple):
    """One open worker, and a key of each role. Its clients raise nothing: a 500 is an answer."""

    worker: Worker
    account: Account
    key: str
    admin_key: str

    def client(self, key: str | None = None, **headers: str) -> httpx2.AsyncClient:
        """With the speech key, another one, or none at all (an empty text)."""
        secret = self.key if key is None else key
        sent = {"authorization": f"Bearer {secret}", **headers} if secret else headers
        transport = httpx2.ASGITransport(app=self.worker.public)
        return httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test", headers=sent)

    async def ask(
        self, method: str, path: str, *, key: str | None = None, body: Any = None, **headers: str
    ) -> httpx2.Response:
        async with self.client(key, **headers) as client:
            return await client.request(method, path, json=body)

    async def administer(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        return await self.ask(method, f"/admin/{path}", key=self.admin_key, body=body)

    async def speech(self, text: str = "Hello there.", **more: object) -> httpx2.Response:
        body = {"model": "tts-1", "voice": "alloy", "input": text, **more}
        return await self.ask("POST", "/v1/audio/speech", body=body)

    async def raw_speech(
        self,
        body: object,
        leaves: asyncio.Event | None = None,
        on_sent: Callable[[Message], Awaitable[None]] | None = None,
        headers: Mapping[str, str] | None = None,
        peer: LeavingPeer | None = None,
        path: str = "/v1/audio/speech",
        method: str = "POST",
    ) -> list[Message]:
        """The ASGI messages of an answer, whether it ends well or not; the client leaves at the event."""
        sent: list[Message] = []
        peer = peer or LeavingPeer()
        leaving = asyncio.create_task(peer.leave_after(leaves)) if leaves is not None else None
        raw = body if isinstance(body, bytes) else encode_json(body)
        inbox = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> Message:
            return inbox.pop()

        async def send(message: Message) -> None:
            sent.append(message)
            if on_sent is not None:
                await on_sent(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [
                (b"authorization", f"Bearer {self.key}".encode()),
                *((name.encode(), value.encode()) for name, value in (headers or {}).items()),
            ],
            "extensions": {PEER: peer},
        }
        try:
            await self.worker.public(scope, receive, send)
        finally:
            if leaving is not None:
                leaving.cancel()
        return sent

    async def usage(self) -> list[UsageRow]:
        return await usage.list_newest(self.worker.store)


@asynccontextmanager
async def inside(
    folder: Path,
    text: str = TONE,
    engines: Mapping[str, Engine] | None = None,
    plan: str = UNLIMITED.name,
    more: Mapping[tuple[Kind, str], Plugin[Any]] | None = None,
    has_processes: bool = False,
    name: str = "ada",
) -> AsyncIterator[Inside]:
    """Opens a worker on this config; `engines` are plugins of the test's own, by name, `more` are others.
    With `has_processes`, each upload is decoded in a process of its own, as a server does it. `name` is that
    of the account.

    Steps that held its loop for long are in the run's report.
    """
    file = folder / "config.toml"
    file.write_text(text)
    async with AsyncExitStack() as stack:
        if not has_processes:
            stack.enter_context(jobs_inside())
        plugins = with_engines(engines or {}, more)
        config = load_config(file, {})
        lay_tables(Path(config.data))
        opening = open_worker(config, plugins)
        worker = await stack.enter_async_context(opening)
        for kind in worker.task_kinds:
            # What an erasure leaves is for the test to finish.
            if not isinstance(kind, Erasure):
                stack.push_async_callback(
                    _end, asyncio.create_task(kind.run(worker.metrics, await worker.store.now()))
                )
        account = await accounts.create(worker.store, name=name, plan=plan)
        secrets = [await _key(worker, account, role) for role in ("speech", "admin")]
        holds = _Holds()
        gc.callbacks.append(holds.collect)
        try:
            async with watch_loop(holds.note):
                yield Inside(worker, account, *secrets)
        finally:
            gc.callbacks.remove(holds.collect)
    note_holds(holds.long)


def inside_fixture(text: str = TONE, **options: Any) -> Any:
    """A fixture: a worker on this configuration, for one test."""

    @pytest.fixture
    async def server(tmp_path: Path) -> AsyncIterator[Inside]:
        async with inside(tmp_path, text, **options) as opened:
            yield opened

    return server


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def with_engines(
    engines: Mapping[str, Engine], more: Mapping[tuple[Kind, str], Plugin[Any]] | None = None
) -> Registry:
    """The installed plugins, and one more for each of these engines."""
    installed = _installed()
    plugins = {
        (kind, name): plugin for kind in get_args(Kind) for name, plugin in installed.plugins(kind).items()
    }
    own: dict[tuple[str, str], Plugin[Any]] = {
        ("engine", name): _plugin(name, engine) for name, engine in engines.items()
    }
    return Registry({**plugins, **own, **dict((more or {}).items())}, list(installed.faults))


@cache
def _installed() -> Registry:
    return registry.load()


def envelope(answer: httpx2.Response) -> dict[str, Any]:
    """The error in OpenAI's shape, checked: four keys, an id, a time."""
    assert answer.is_error, answer.status_code
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["openai-processing-ms"].isdecimal()
    assert answer.headers["x-content-type-options"] == "nosniff"
    body = answer.json()
    error: dict[str, Any] = body["error"]
    assert list(body) == ["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert isinstance(error["message"], str)
    assert isinstance(error["code"], str)
    return error


def _plugin(name: str, engine: Engine) -> Plugin[NoSettings]:
    @asynccontextmanager
    async def create(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Engine]:
        yield engine

    return Plugin(kind="engine", name=name, settings=NoSettings, create=create)


async def _key(worker: Worker, account: Account, role: Role) -> str:
    secret = api_key.mint()
    await key_records.create(worker.store, secret, NewKeyRecord(account=account.id, role=role))
    return secret.reveal()
