"""What growth costs a request: `python -m bench.growth [keys] [voices] [clips] [rows]`. Needs wrk and nginx.

For each thing that grows there are two servers, one with little of it and one with much. Both are asked in
turn, round after round, so whatever else the machine does is shared out. CPU is that of the server and its
processes for one request, memory that of its worker at the end.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.load import BODY, CONNECTIONS, cpu_seconds, post, wrk
from bench.shipped import shipped
from bench.upstream import VOXGATE, nginx
from proxy.feature_list import open_store
from proxy.storage import accounts, api_key, key_records, usage
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.store import Statement, Store
from proxy.storage.usage import UsageRow
from tests.features.own_voices.saving import add_cast

ROUNDS = 5
SECONDS = 3
KEYS, ACCOUNTS, VOICES, CLIPS, DOUBLINGS = 1000, 20, 10_000, 10_000, 20
FEW_CLIPS = 100
AT_ONCE = 500
_MIB = 1024 * 1024
_ROW = "{:28} {:>8} {:>8} {:>7} {:>7} {:>7} {:>10} {:>12}"
_COLUMNS = ", ".join(UsageRow.__struct_fields__)
_DOUBLE = f"""
INSERT INTO usage ({_COLUMNS})
SELECT {_COLUMNS.replace("id,", "id || :mark,", 1).replace("started,", "started - :step,", 1)} FROM usage
"""
_LUA = """
local keys, bodies, turn = {keys}, {bodies}, 0
local headers = {{ ["Content-Type"] = "application/json" }}
request = function()
  turn = turn + 1
  headers["Authorization"] = "Bearer " .. keys[turn % #keys + 1]
  return wrk.format("POST", nil, headers, bodies[turn % #bodies + 1])
end
done = function(summary, latency, requests)
  local errors = summary.errors.status + summary.errors.read + summary.errors.connect + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %f %f\\n", summary.requests, summary.duration, errors,
    latency:percentile(50), latency:percentile(99)))
end
"""

Fill = Callable[[Store], Awaitable[list[str]]]
"""Fills the database of a server that does not run yet, and returns the keys that ask it."""


class State(NamedTuple):
    """A server that has much or little of something, and the bodies that it is asked with."""

    name: str
    fill: Fill
    bodies: Sequence[str] = (BODY,)


class Growth(NamedTuple):
    """Two states, and by how much the CPU of a request may grow between them."""

    little: State
    much: State
    may_grow: float = 0.10


class Found(NamedTuple):
    """What the rounds with one server have found."""

    per_s: list[float]
    cpu_ms: list[float]
    first_ms: list[float]
    pid: int

    @property
    def worker_mib(self) -> float:
        """The memory of the worker."""
        family = psutil.Process(self.pid).children(recursive=True)
        workers = [child for child in family if "proxy.processes.worker" in child.cmdline()]
        return float(max(worker.memory_info().rss for worker in workers)) / _MIB


async def _accounts(store: Store, count: int) -> list[str]:
    async def one(number: int) -> str:
        account = await accounts.create(store, name=f"growth {number}", plan="unlimited")
        key = api_key.mint()
        await key_records.create(store, key, NewKeyRecord(account=account.id))
        return key.reveal()

    return await _gathered(one, count)


async def _gathered(one: Callable[[int], Awaitable[str]], count: int) -> list[str]:
    made: list[str] = []
    for first in range(0, count, AT_ONCE):
        made += await asyncio.gather(*map(one, range(first, min(count, first + AT_ONCE))))
    return made


async def _with_voices(store: Store) -> list[str]:
    async def one(number: int) -> str:
        made = await add_cast(store, None, f"stage {number}", {"Ana": "alloy"}, tags=("stage",))
        assert made is not None
        return made.id

    await _gathered(one, VOICES)
    return await _accounts(store, ACCOUNTS)


async def _with_rows(store: Store) -> list[str]:
    """Make the usage of one account by doubling it, a million rows over a month."""
    keys = await _accounts(store, 1)
    (account,) = await store.read("SELECT id FROM accounts WHERE name = 'growth 0'")
    now = await store.now()
    row = UsageRow(
        id="req_g",
        account=account["id"],
        key="key_growth",
        started=now,
        engine="upstream",
        model="tts-1",
        voice="alloy",
        language="en",
        characters=40,
        samples=72_000,
        sample_rate_hz=24_000,
        format="mp3",
        outcome="finished",
    )
    await store.write(usage.insert_statement(row))
    for number in range(DOUBLINGS):
        mark = chr(ord("a") + number)
        await store.write(Statement(_DOUBLE, {"mark": mark, "step": 2_500_000 * 2**number}))
    return keys


def _clips(count: int) -> list[str]:
    return [
        json.dumps({**json.loads(BODY), "cache": True, "input": f"Sentence {number} of the growth bench."})
        for number in range(count)
    ]


GROWTHS = {
    "keys": Growth(
        State("1 key", lambda store: _accounts(store, 1)),
        State(f"{KEYS} keys", lambda store: _accounts(store, KEYS)),
    ),
    "voices": Growth(
        State(f"0 voices x {ACCOUNTS}", lambda store: _accounts(store, ACCOUNTS)),
        State(f"{VOICES} voices x {ACCOUNTS}", _with_voices),
    ),
    "clips": Growth(
        State(f"{FEW_CLIPS} clips", lambda store: _accounts(store, 1), _clips(FEW_CLIPS)),
        State(f"{CLIPS} clips", lambda store: _accounts(store, 1), _clips(CLIPS)),
        may_grow=0.50,
    ),
    "rows": Growth(
        State("no rows", lambda store: _accounts(store, 1)),
        State(f"{2**DOUBLINGS} rows", _with_rows),
    ),
}


class _Server:
    """A server in one state. Once opened, it was asked once with each of its keys and bodies."""

    def __init__(self, state: State, folder: Path, pid: int, port: int, keys: Sequence[str]) -> None:
        self._port = port
        self._lua = folder / "growth.lua"
        self._lua.write_text(_LUA.format(keys=_table(keys), bodies=_table(state.bodies)))
        first_ms = self._ask_each([(key, state.bodies[0]) for key in keys])
        with ThreadPoolExecutor(CONNECTIONS) as asking:
            shares = [state.bodies[number::CONNECTIONS] for number in range(CONNECTIONS)]
            tuple(asking.map(self._ask_each, ([(keys[0], body) for body in share] for share in shares)))
        self.found = Found([], [], first_ms, pid)

    def _ask_each(self, requests: Sequence[tuple[str, str]]) -> list[float]:
        """Ask over one connection, and return the times of the answers."""
        connection, times = http.client.HTTPConnection("127.0.0.1", self._port), []
        for key, body in requests:
            began = time.perf_counter()
            answer = post(connection, key, body)
            assert answer.read()
            assert answer.status == 200
            times.append((time.perf_counter() - began) * 1000)
        connection.close()
        return times

    def ask(self) -> None:
        before = cpu_seconds(self.found.pid)
        requests, seconds, *_ = wrk(self._port, self._lua, SECONDS, CONNECTIONS)
        self.found.cpu_ms.append((cpu_seconds(self.found.pid) - before) / requests * 1000)
        self.found.per_s.append(requests / seconds)


def _table(values: Sequence[str]) -> str:
    return "{" + ", ".join(map(json.dumps, values)) + "}"


@contextmanager
def _opened(state: State, folder: Path, upstream: int) -> Iterator[_Server]:
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(VOXGATE.format(base=f"http://127.0.0.1:{upstream}/v1"))
    keys = asyncio.run(_filled(state, folder / "data"))
    with shipped(folder / "data", config) as (pid, port, _):
        yield _Server(state, folder, pid, port, keys)


async def _filled(state: State, data: Path) -> list[str]:
    async with open_store("sqlite", data) as store:
        return await state.fill(store)


def main() -> None:
    print(_ROW.format("", "req/s", "cpu ms", "of it", "may be", "MiB", "first ms", "slowest first"))
    with tempfile.TemporaryDirectory() as top, nginx(Path(top)) as upstream:
        for name in sys.argv[1:] or GROWTHS:
            _compare(name, Path(top), upstream)


def _compare(name: str, top: Path, upstream: int) -> None:
    growth = GROWTHS[name]
    with ExitStack() as stack:
        little, much = (
            stack.enter_context(_opened(state, top / f"{name} {number}", upstream))
            for number, state in enumerate((growth.little, growth.much))
        )
        for server in (little, much):
            server.ask()
            server.found.cpu_ms.clear()
            server.found.per_s.clear()
        for _ in range(ROUNDS):
            for server in (little, much):
                server.ask()
        pairs = zip(much.found.cpu_ms, little.found.cpu_ms, strict=True)
        ratio = statistics.median(one / other for one, other in pairs)
        _print(growth.little.name, little.found, "", "")
        _print(growth.much.name, much.found, f"{ratio:.2f}", f"{1 + growth.may_grow:.2f}")


def _print(name: str, found: Found, ratio: str, may_be: str) -> None:
    per_s, cpu_ms = (statistics.median(each) for each in (found.per_s, found.cpu_ms))
    first_ms, slowest_ms = statistics.median(found.first_ms), max(found.first_ms)
    figures = (f"{per_s:.0f}", f"{cpu_ms:.3f}", ratio, may_be, f"{found.worker_mib:.0f}")
    print(_ROW.format(name, *figures, f"{first_ms:.1f}", f"{slowest_ms:.1f}"), flush=True)


if __name__ == "__main__":
    main()
