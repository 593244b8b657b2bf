"""The CLI's client of the admin handlers: over control.sock to a live server, else on the store itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from proxy.config.config_toml import Config
from proxy.errors import CommandRefused, DataHeld
from proxy.file_store import data_folder
from proxy.processes import runtime

USUAL_SILENCE_S = 20.0
_START_WAIT_S = 5.0
_KINDS_WITH_LIST = ("consent", "job", "webhook")


class AdminClient:
    """A client of the admin handlers. `is_live` is true if a server answers."""

    def __init__(self, http: httpx2.AsyncClient, is_live: bool) -> None:
        self._http = http
        self.is_live = is_live

    async def request_json(self, method: str, path: str, body: Any = None, **query: str | int | None) -> Any:
        return await self._read_json(
            self._http.request(method, f"/admin/{path}", json=body, params=_without_nones(query))
        )

    async def send_form(
        self,
        path: str,
        fields: Mapping[str, str | Sequence[str]],
        files: Mapping[str, bytes],
        **query: str | int | None,
    ) -> Any:
        """Send a form with files, and return the answer's JSON. Raise CommandRefused."""
        # Each file is sent as `recording`, since the server needs no file names.
        form = {name: ("recording", data, "application/octet-stream") for name, data in files.items()}
        params = _without_nones(query)
        return await self._read_json(
            self._http.post(f"/admin/{path}", data=dict(fields), files=form, params=params)
        )

    async def stream_parts(self, path: str, **query: str | int | None) -> AsyncGenerator[bytes, None]:
        try:
            async with self._http.stream("GET", f"/admin/{path}", params=_without_nones(query)) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _refusal(path, answer.json()["error"])
                async for part in answer.aiter_bytes():
                    yield part
        except (httpx2.TransportError, ValueError) as error:
            raise _unanswered(error) from None

    async def _read_json(self, request: Awaitable[httpx2.Response]) -> Any:
        try:
            answer = await request
            parsed = answer.json()
        except (httpx2.TransportError, ValueError) as error:
            raise _unanswered(error) from None
        if answer.is_error:
            raise _refusal(answer.request.url.path.removeprefix("/admin/"), parsed["error"])
        return parsed


class DataFolder(NamedTuple):
    """A server's data folder. `load` reads its configuration. It is called only if no server runs, because
    the configuration may name secrets that the command does not have."""

    path: str
    load: Callable[[], Config]


@asynccontextmanager
async def admin_client(data: DataFolder, silence_s: float = USUAL_SILENCE_S) -> AsyncIterator[AdminClient]:
    """Yield a client of a server, which may be silent for `silence_s`, or of the store itself. Raise DataHeld
    if a server holds the data folder but does not answer."""
    if (live := await _live_transport(Path(data.path))) is not None:
        async with _http_client(live, silence_s) as http:
            yield AdminClient(http, is_live=True)
        return
    # Imported here: with a live server a command does not need it, and starts twice as fast.
    from proxy.processes.admin_direct import direct_transport

    async with direct_transport(data.load()) as transport, _http_client(transport, None) as http:
        yield AdminClient(http, is_live=False)


def ask_once(
    config: Config | DataFolder, method: str, path: str, body: Any = None, **query: str | int | None
) -> Any:
    """Send one request and return its answer's JSON. The caller has no event loop. Raise CommandRefused."""
    data = config if isinstance(config, DataFolder) else DataFolder(config.data, lambda: config)

    async def request() -> Any:
        async with admin_client(data) as client:
            return await client.request_json(method, path, body, **query)

    return asyncio.run(request())


def _without_nones(query: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in query.items() if value is not None}


def _refusal(path: str, error: Mapping[str, str]) -> CommandRefused:
    if error["code"] == "unknown_url":
        return CommandRefused(f"the server has no {path.partition('/')[0]}: is it of another version?")
    kind = error["code"].removesuffix("_not_found")
    hint = f" See voxgate {kind}s list." if kind in _KINDS_WITH_LIST else ""
    return CommandRefused(error["message"] + hint)


def _unanswered(error: Exception) -> CommandRefused:
    # The server probably stopped meanwhile, perhaps after the work.
    return CommandRefused(
        f"the server did not answer ({type(error).__name__}); see what it has done, then try again"
    )


def _http_client(transport: httpx2.AsyncBaseTransport, silence_s: float | None) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=transport, base_url="http://control", timeout=silence_s)


async def _live_transport(data: Path) -> httpx2.AsyncBaseTransport | None:
    """Return a transport to the running server, or None without one. Wait a moment for one that starts."""
    deadline = asyncio.get_running_loop().time() + _START_WAIT_S
    while True:
        address = runtime.control_address(data)
        if address is not None and await _accepts_connections(address):
            # No TLS is used. Without `verify=False`, httpx2 would read the machine's certificates for 30 ms.
            return httpx2.AsyncHTTPTransport(uds=address, verify=False)
        if not data_folder.is_held(data):
            return None
        if asyncio.get_running_loop().time() > deadline:
            raise DataHeld(
                f"server.data: a process holds {data}, but does not answer; voxgate doctor says more"
            )
        await asyncio.sleep(0.1)


async def _accepts_connections(address: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(address)
    except OSError:
        return False
    writer.close()
    return True
