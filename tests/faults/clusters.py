"""Several workers of one server, seen from outside: their processes, who answered, their summed metrics."""

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import psutil

from tests.databases import Postgres, postgres
from tests.faults.processes import children, is_over
from tests.proxy.api import access_world
from tests.redis_server import RedisServer, redis_server
from tests.server import Server, running
from tests.waiting import until

WORKERS = 2
RPM = 60
CREDITS = 100
SECONDS = 20
SECOND_STREAMS = 8
_CONFIG = (
    access_world.CONFIG.replace("hosted = false", "processes = 2\nqueue = 200").replace(
        "[server]", "[server]\ndrain_s = 20\nfirst_audio_s = 60"
    )
    + f"""
[plans.counted]
rpm = {RPM}
[plans.spare]
[plans.jobs]
allowance = {CREDITS}
prices.speech = {{ credits = 1, per = "job" }}
[plans.seconds]
allowance = {SECONDS}
streams = {SECOND_STREAMS}
prices.speech = {{ credits = 1, per = "second" }}
"""
)
_ADDRESSES = itertools.count(1)


class Cluster(NamedTuple):
    """A server of two workers on a PostgreSQL and a Redis of its own."""

    server: Server
    postgres: Postgres
    redis: RedisServer


@contextmanager
def cluster_in(folder: Path) -> Iterator[Cluster]:
    with postgres() as database, redis_server() as redis:
        environ = {
            "VOXGATE_STORAGE__URL": database.url(),
            "VOXGATE_LIMITS__URL": redis.url,
            "VOXGATE_SERVER__WORKERS": str(WORKERS),
        }
        with running(folder, _CONFIG, environ=environ) as server:
            yield Cluster(server, database, redis)


class Asker:
    """A client at an address of its own, which opens a connection for every request.

    The server has to trust us as a proxy: failed logins of one test are then none of the next one's.
    """

    def __init__(self, server: Server, key: str) -> None:
        self._url = f"{server.url}/v1"
        self._headers = {
            "authorization": f"Bearer {key}",
            "x-forwarded-for": f"203.0.113.{next(_ADDRESSES)}",
            "connection": "close",
        }

    def models(self) -> httpx2.Response:
        return httpx2.get(f"{self._url}/models", headers=self._headers, timeout=30.0)

    def speech(self) -> httpx2.Response:
        body = {"model": "tts-1", "voice": "alloy", "input": "Hi.", "response_format": "pcm"}
        return httpx2.post(f"{self._url}/audio/speech", headers=self._headers, json=body, timeout=30.0)


def workers(server: Server) -> dict[int, psutil.Process]:
    """By number: `-m proxy.processes.worker PIPE NUMBER …`."""
    found = {}
    for child in children(server):
        try:
            line = child.cmdline()
        except psutil.NoSuchProcess:
            continue
        if "proxy.processes.worker" in line and not is_over(child):
            found[int(line[line.index("proxy.processes.worker") + 2])] = child
    return found


def answered_by(server: Server, answer: httpx2.Response) -> int:
    """The number of the worker that wrote the request's line."""
    id_, found = answer.headers["x-request-id"], list[int]()

    def find() -> bool:
        lines: list[dict[str, Any]] = [
            json.loads(line) for line in server.log.read_text().splitlines() if id_ in line
        ]
        found[:] = [line["worker"] for line in lines if line["event"] == "request.finished"]
        return bool(found)

    until(find)
    return found[0]


def metric(server: Server, name: str) -> float:
    """`name` as on the page, labels included; what is not there yet counts as 0."""
    page = httpx2.get(server.metrics).text
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)} (\S+)$", page, re.M))


def readiness(server: Server) -> tuple[int, list[str]]:
    answer = httpx2.get(f"{server.url}/readyz", timeout=30.0)
    return answer.status_code, answer.json()["reasons"]
