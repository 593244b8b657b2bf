"""What one request does, counted and not timed: `python -m bench.counts`. Needs nginx.

A worker serves on a port inside this process, on uvloop, as workers do. Threads ask, each one request after
the other: for another text each time, and of stored clips for the next of those that fit into the memory of
the cache. Tasks and timers are uvicorn's own as well: one task a request, and one timer for the connection
that is kept. Calls are of functions written in Python, without those of this program. `--functions` also
prints the most called ones.

`--way` prints the files and functions of the product that one plain request enters, in their order, with the
stand-in engine inside the worker. It needs no nginx.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count, cycle
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import uvicorn
import uvloop

from bench.load import BODY, KEPT_TEXTS, another_text, post
from bench.upstream import VOXGATE, nginx
from proxy.access import dev_key
from proxy.app import open_worker
from proxy.config.sections import Server
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.http.server_protocol import server_protocol
from proxy.telemetry import logs

CONNECTIONS = 8
WARM, COUNTED = KEPT_TEXTS, 10 * KEPT_TEXTS
_CACHED = json.dumps({**json.loads(BODY), "cache": True})
KINDS: dict[str, Iterator[str]] = {
    "gateway": (another_text(BODY, number) for number in count()),
    # The warm-up asks for each of them once.
    "hit": cycle([another_text(_CACHED, number) for number in range(KEPT_TEXTS)]),
}
ROWS = ("tasks", "timers", "futures", "async generators", "finalizers", "Python calls", "files with calls")
_MOST_FUNCTIONS = 400
_ROOT = str(Path(__file__).parent.parent)
_BENCH = str(Path(__file__).parent)
_PRODUCT = tuple(f"{_ROOT}/{room}/" for room in ("proxy", "policies", "speech_engine", "plugins"))
INSIDE = """
[engines.tone]
hosted = false
[models]
tts-1 = ["tone/standard"]
[voices.alloy]
tone = "tone"
"""


class CountingLoop(uvloop.Loop):
    """A loop that counts the tasks, futures and timers that it is asked for from Python."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def create_task(self, *args: Any, **named: Any) -> Any:
        self.counts["tasks"] += 1
        return super().create_task(*args, **named)

    def create_future(self) -> Any:
        self.counts["futures"] += 1
        return super().create_future()

    def call_at(self, *args: Any, **named: Any) -> Any:  # type: ignore[override]  # all as they come
        self.counts["timers"] += 1
        return super().call_at(*args, **named)

    def call_later(self, *args: Any, **named: Any) -> Any:  # type: ignore[override]  # all as they come
        self.counts["timers"] += 1
        return super().call_later(*args, **named)


def main() -> None:
    logs.configure_logs("bench")
    if "--way" in sys.argv:
        files = way()
        print("\n".join(f"{file}: {', '.join(functions)}" for file, functions in files.items()))
        print(f"{len(files)} files, {sum(map(len, files.values()))} functions")
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(nginx(folder))
        config = folder / "config.toml"
        config.write_text(VOXGATE.format(base=f"http://127.0.0.1:{upstream}/v1"))
        stack.callback(os.dup2, os.dup(2), 2)  # a failure is told
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the log lines of the server
        with asyncio.Runner(loop_factory=CountingLoop) as runner:
            found = runner.run(_serve(config, folder / "data"))
    print(f"{'a request':20}" + "".join(f"{kind:>10}" for kind in found))
    for row in ROWS:
        print(f"{row:20}" + "".join(f"{counts[row] / COUNTED:10.2f}" for counts in found.values()))


async def _serve(config: Path, data: Path) -> dict[str, Counter[str]]:
    async with _serving(config, data) as asking:
        return {kind: await asking.count(bodies) for kind, bodies in KINDS.items()}


@asynccontextmanager
async def _serving(config: Path, data: Path) -> AsyncIterator[_Asking]:
    environ = {"VOXGATE_SERVER__DATA": str(data)}
    async with open_worker(load_config(config, environ), registry.load()) as worker:
        key = await dev_key.ensure_dev_key(worker.store, data)
        # Without the protocol's number, asyncio would leave Nagle's algorithm on.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            server = uvicorn.Server(
                uvicorn.Config(
                    worker.public,
                    http=server_protocol(Server()),
                    interface="asgi3",
                    lifespan="off",
                    access_log=False,
                    log_config=None,
                    proxy_headers=False,  # as processes/worker.py has it
                    # Fewer threads than connections ask, so one may wait for its turn.
                    timeout_keep_alive=600,
                )
            )
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            yield _Asking(listening.getsockname()[1], key)
            server.should_exit = True
            await serving


def way() -> dict[str, list[str]]:
    """Return the functions of the product that a plain request enters for the first time, by their files."""
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "config.toml"
        config.write_text(INSIDE)
        with asyncio.Runner(loop_factory=CountingLoop) as runner:
            return runner.run(_way(config, Path(name) / "data"))


async def _way(config: Path, data: Path) -> dict[str, list[str]]:
    bodies = KINDS["gateway"]
    async with _serving(config, data) as asking:
        await asking.ask_once(bodies)
        entered: dict[CodeType, None] = {}

        def profile(frame: FrameType, event: str, _value: object) -> None:
            file = frame.f_code.co_filename
            if event == "call" and file.startswith(_PRODUCT) and "<" not in frame.f_code.co_name:
                entered[frame.f_code] = None

        sys.setprofile(profile)
        try:
            await asking.ask_once(bodies)
        finally:
            sys.setprofile(None)
    files: dict[str, list[str]] = {}
    for code in entered:
        file = code.co_filename.removeprefix(f"{_ROOT}/")
        files.setdefault(file, []).append(code.co_qualname)
    return files


class _Asking:
    def __init__(self, port: int, key: str) -> None:
        self._connections = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(CONNECTIONS)]
        self._key = key

    async def count(self, bodies: Iterator[str]) -> Counter[str]:
        await self.ask(bodies, WARM)
        return await _counted(lambda: self.ask(bodies, COUNTED))

    async def ask(self, bodies: Iterator[str], times: int) -> None:
        each = [[next(bodies) for _ in range(times // CONNECTIONS)] for _ in self._connections]
        await asyncio.gather(
            *(asyncio.to_thread(self._ask_over, *one) for one in zip(self._connections, each, strict=True))
        )

    async def ask_once(self, bodies: Iterator[str]) -> None:
        await asyncio.to_thread(self._ask_over, self._connections[0], [next(bodies)])

    def _ask_over(self, connection: http.client.HTTPConnection, bodies: list[str]) -> None:
        for body in bodies:
            answer = post(connection, self._key, body)
            assert answer.status == 200, answer.read()
            answer.read()


async def _counted(work: Callable[[], Awaitable[None]]) -> Counter[str]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CountingLoop)
    functions: Counter[CodeType] = Counter()
    before = loop.counts.copy()
    firsts, finals = sys.get_asyncgen_hooks()

    def begin(generator: AsyncGenerator[Any, Any]) -> None:
        loop.counts["async generators"] += 1
        if firsts is not None:
            firsts(generator)

    def finalize(generator: AsyncGenerator[Any, Any]) -> None:
        loop.counts["finalizers"] += 1
        if finals is not None:
            finals(generator)

    def profile(frame: FrameType, event: str, _value: object) -> None:
        if event == "call" and not frame.f_code.co_filename.startswith(_BENCH):
            loop.counts["Python calls"] += 1
            functions[frame.f_code] += 1

    sys.set_asyncgen_hooks(begin, finalize)
    sys.setprofile(profile)
    try:
        await work()
    finally:
        sys.setprofile(None)
        sys.set_asyncgen_hooks(firsts, finals)
    counts = loop.counts - before
    files = {code.co_filename for code in functions if code.co_filename.startswith(_ROOT)}
    counts["files with calls"] = len(files) * COUNTED
    if "--functions" in sys.argv:
        for code, called in functions.most_common(_MOST_FUNCTIONS):
            print(f"{called / COUNTED:8.2f}  {code.co_filename.removeprefix(_ROOT)}:{code.co_qualname}")
    return counts


if __name__ == "__main__":
    main()
