"""At how many gateways and hosts each part of a cluster ends: `python -m bench.cluster_limits`.

Real gateways share a PostgreSQL, a Redis and a host. The CPU of each program is counted for one and for five
gateways without requests, and then for each request. A gateway's side of its Watches is counted for one and
for 65 hosts that send what a real one sends. What a part costs is the difference; it ends where one core is
full, or where PostgreSQL has no connection left.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import psutil

from proxy.config.clusters import ClusterSection
from proxy.config.sections import Config, EngineSection
from proxy.hosts.cluster.cluster_hosts import ClusterHosts
from proxy.hosts.cluster.messages import TICK_S, HostHello, HostMessage, HostTick, ProcessLoad, method
from speech_engine.host import messages
from speech_engine.host.cluster_messages import HostLoad
from speech_engine.host.pipe_messages import HostState
from tests.databases import Postgres, postgres
from tests.faults.cluster_hosts import agent, certificates
from tests.faults.processes import state
from tests.features.cluster.gateways import Gateways, gateways
from tests.redis_server import redis_server
from tests.server import ALONE
from tests.waiting import soon, until

FEW, MANY = 1, 5
FEW_HOSTS, MANY_HOSTS = 1, 65
IDLE_S, LOAD_S, CLIENTS = 20.0, 15.0, 4
PROCESSES = 8
"""Of one host: a card each."""
_CLUSTER = """
[plans.counted]
rpm = 1000000
streams = 1000
allowance = 100000000
[clusters.gpu]
hosts = ["127.0.0.1:{port}"]
certificate = "{folder}/gateway.pem"
key = "{folder}/gateway.key"
authority = "{folder}/hosts-authority.pem"
"""
Cpu = Mapping[str, float]


class Found(NamedTuple):
    """Of so many gateways: CPU seconds a second of each program without requests, and CPU seconds and
    statements a request; and the connections to PostgreSQL."""

    idle: Cpu
    a_request: Cpu
    connections: int
    commits_a_second: float


def measured(count: int) -> Found:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="limits-")))
        made = certificates(folder / "certificates")
        host = stack.enter_context(agent(folder / "host", made, "[engines.tone]\nslots = 64"))
        database = stack.enter_context(postgres())
        redis = stack.enter_context(redis_server())
        config = ALONE.replace("[engines.tone]", '[engines.tone]\ncluster = "gpu"')
        config += _CLUSTER.format(port=host.port, folder=made)
        opened = stack.enter_context(gateways(folder, database.url(), redis.url, count=count, config=config))
        until(lambda: {state(each, "tone")["slots"] for each in opened.servers} == {64})
        programs = {
            "postgres": _process("postgres", str(database.folder)),
            "redis": _process("redis-server", redis.url.removeprefix("unix://")),
            "agent": psutil.Process(host.process.pid),
        }
        before, commits = _cpu(programs), _commits(database)
        time.sleep(IDLE_S)
        idle = {name: (cpu - before[name]) / IDLE_S for name, cpu in _cpu(programs).items()}
        commits_a_second = (_commits(database) - commits) / IDLE_S
        before, began = _cpu(programs), time.monotonic()
        requests = _requests(opened)
        took_s = time.monotonic() - began
        a_request = {
            name: (cpu - before[name] - idle[name] * took_s) / requests
            for name, cpu in _cpu(programs).items()
        }
        (connections,) = database.psql(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'client%'"
        )
        return Found(idle, a_request, int(connections), commits_a_second)


def _process(name: str, of: str) -> psutil.Process:
    """Return the first process of a program that names this folder or socket."""
    found = [
        each
        for each in psutil.process_iter(["name", "cmdline", "create_time"])
        if name in (each.info["name"] or "") and of in " ".join(each.info["cmdline"] or ())
    ]
    return min(found, key=lambda each: float(each.info["create_time"]))


def _cpu(programs: Mapping[str, psutil.Process]) -> Cpu:
    return {name: _tree_s(process) for name, process in programs.items()}


def _tree_s(process: psutil.Process) -> float:
    """Return the CPU of a process and of its children, also of those that have ended."""
    return sum(sum(each.cpu_times()[:4]) for each in (process, *process.children(recursive=True)))


def _commits(database: Postgres) -> int:
    return int(database.psql("SELECT sum(xact_commit) FROM pg_stat_database")[0])


def _requests(opened: Gateways) -> int:
    """Speak at all gateways for a while. Return how many answers came."""
    until_ = time.monotonic() + LOAD_S

    key = opened.servers[0].mint_key("counted", plan="counted").secret

    def speak(number: int) -> int:
        said = 0
        with opened.client(key) as client:
            while time.monotonic() < until_:
                body = {"model": "tts-1", "voice": "tone/tone", "input": f"Text {number} {said}."}
                answer = client.post("/v1/audio/speech", json={**body, "response_format": "pcm"})
                assert answer.status_code == 200, answer.text
                said += 1
        return said

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(speak, range(CLIENTS)))


class _Hosts(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """The agents of many hosts, each of which sends its states and a tick each second."""

    def service(self, details: Any) -> Any:
        async def say(requests: AsyncIterator[bytes], _call: Any) -> AsyncIterator[bytes]:
            said: list[HostMessage] = [HostHello("mch_host")]
            said += [HostState("xtts", number, 1, "starting") for number in range(PROCESSES)]
            for each in said:
                yield messages.encode(each)
            load = HostLoad(jobs=20, slots=32, waiting_s=0.0)
            tick = HostTick(tuple(ProcessLoad("xtts", number, load) for number in range(PROCESSES)), 2)
            while True:
                yield messages.encode(tick)
                await asyncio.sleep(TICK_S)

        is_watch = details.method == method("Watch")
        return grpc.stream_stream_rpc_method_handler(say, None, None) if is_watch else None


async def serve_hosts(count: int) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Hosts(),))
    print(*(server.add_insecure_port("127.0.0.1:0") for _ in range(count)), flush=True)
    await server.start()
    await server.wait_for_termination()


@contextmanager
def _served(count: int) -> Iterator[list[str]]:
    command = [sys.executable, "-m", "bench.cluster_limits", "hosts", str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield [f"127.0.0.1:{port}" for port in process.stdout.readline().split()]
        finally:
            process.kill()


async def watched(count: int) -> float:
    """Return the CPU seconds a second of a supervisor that watches so many hosts."""
    with _served(count) as hosts, tempfile.TemporaryDirectory() as data:
        config = Config(
            data=data,
            engines={"xtts": EngineSection(plugin="xtts", cluster="gpu")},
            clusters={"gpu": ClusterSection(hosts=tuple(hosts), most_hosts=count)},
        )
        found = ClusterHosts(
            config, lambda news: None if isinstance(news, HostState) else encode(news), "mch"
        )
        running = asyncio.create_task(found.run())
        await soon(lambda: sum(each.state == "starting" for each in found.states()) == count * PROCESSES)
        began, at = time.process_time(), time.monotonic()
        await asyncio.sleep(IDLE_S)
        cpu = (time.process_time() - began) / (time.monotonic() - at)
        running.cancel()
        await asyncio.wait([running])
        return cpu


def encode(news: Any) -> None:
    """Encode news for the pipe of one worker."""
    messages.encode(news)


def main() -> None:
    few, many = measured(FEW), measured(MANY)
    one, more = asyncio.run(watched(FEW_HOSTS)), asyncio.run(watched(MANY_HOSTS))
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("|part|CPU ms a second for each gateway|ends at|CPU ms a request|ends at requests/s|")
    print("|---|---|---|---|---|")
    for name in few.idle:
        each_s = max(1e-6, (many.idle[name] - few.idle[name]) / (MANY - FEW))
        a_request = max(1e-6, many.a_request[name])
        print(f"|{name}|{1e3 * each_s:.2f}|{1 / each_s:.0f}|{1e3 * a_request:.3f}|{1 / a_request:.0f}|")
    connections = (many.connections - few.connections) / (MANY - FEW)
    commits = (many.commits_a_second - few.commits_a_second) / (MANY - FEW)
    print(f"each gateway: {connections:.1f} connections, {commits:.1f} transactions a second")
    a_host = max(1e-6, (more - one) / (MANY_HOSTS - FEW_HOSTS))
    print(
        f"a gateway: {1e3 * a_host:.2f} ms a second for each host of {PROCESSES} cards, "
        f"ends at {1 / a_host:.0f} hosts"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["hosts"]:
        asyncio.run(serve_hosts(int(sys.argv[2])))
    else:
        main()
