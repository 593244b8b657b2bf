"""A `voxgate host` that dials: it has no port, and speaks for its gateways, also behind nginx."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx2
import psutil
import pytest

from proxy.processes import link_trial
from tests import forked
from tests.commands import run
from tests.databases import Postgres
from tests.faults.cluster_hosts import balancer
from tests.faults.processes import state
from tests.features.cluster.gateways import gateways
from tests.features.jobs.apart import job, new_job, serving, working
from tests.redis_server import RedisServer
from tests.server import ALONE, VOXGATE, Process, Server, free_port, running, stop
from tests.waiting import until

pytestmark = pytest.mark.slow

_GATEWAY = ALONE.replace("[engines.tone]", '[engines.tone]\ncluster = "gpu"') + "[clusters.gpu]\n"
_HOST = """
[server]
data = "{folder}/data"
metrics = ""
drain_s = 5
[engines.tone]
slots = 8
"""


class _Host(NamedTuple):
    process: Process
    log: Path

    def child(self, module: str) -> psutil.Process:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return next(each for each in children if module in each.cmdline())


@contextmanager
def _host(folder: Path, url: str, key: str) -> Iterator[_Host]:
    folder.mkdir()
    file, log = folder / "config.toml", folder / "host.log"
    file.write_text(_HOST.format(folder=folder))
    words = (str(VOXGATE), "host", "--config", str(file), "--join", url)
    with log.open("ab") as errors:
        process = forked.start(words, {**os.environ, "VOXGATE_HOST_KEY": key}, None, errors.fileno())
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), log.read_text()
        yield _Host(process, log)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        stop(process)


def _mint_key(server: Server) -> tuple[str, str]:
    with server.control() as control:
        made = control.post("/admin/keys", json={"account": "dev", "role": "host", "cluster": "gpu"})
    return made.json()["id"], made.json()["key"]


def _speaks(server: Server) -> bool:
    return bool(state(server, "tone")["slots"] == 8)


def _answers(server: Server) -> bool:
    """Whether speech comes whole. What begins over a link that is about to end breaks off."""
    with suppress(httpx2.TransportError):
        return server.speech("Again.").status_code == 200
    return False


def _child(server: Server, module: str) -> psutil.Process:
    children = psutil.Process(server.process.pid).children(recursive=True)
    return next(each for each in children if module in each.cmdline())


def _speak_at_once(server: Server, count: int) -> list[int]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: server.speech("Hello there.").status_code, range(count)))


def test_a_host_that_dials_speaks_and_leaves(tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    with running(tmp_path / "gateway", _GATEWAY) as server:
        assert server.speech("Hello.").status_code == 503
        key_id, key = _mint_key(server)
        with _host(tmp_path / "host", server.url, key) as host:
            until(lambda: _speaks(server))
            assert _speak_at_once(server, 8) == [200] * 8
            (joined,) = json.loads(server.cli("engines", "--hosts", "--json").stdout)["data"]
            assert (joined["address"], joined["key"], joined["is_watched"]) == ("127.0.0.1", key_id, True)
            assert "watched" in server.cli("engines", "--hosts").stdout
            connections = psutil.Process(host.process.pid).net_connections()
            assert [each for each in connections if each.status == psutil.CONN_LISTEN] == []
            # Each process on the way may die: another link is opened, or all are dialled anew.
            for process in (_child(server, "proxy.hosts.links"), host.child("proxy.processes.dialling")):
                process.kill()
                until(lambda process=process: not process.is_running())  # type: ignore[misc]
                until(lambda: _speaks(server) and _answers(server))
            with server.control() as control:
                control.delete(f"/admin/keys/{key_id}")
            until(lambda: "401" in host.log.read_text())
            assert key not in host.log.read_text()


def test_a_host_meets_two_gateways_with_two_workers_behind_nginx(
    shared_postgres: Postgres, shared_redis: RedisServer, tmp_path: Path
) -> None:
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    environ = {"VOXGATE_SERVER__WORKERS": "2"}
    with gateways(tmp_path, url, shared_redis.url, config=_GATEWAY, environ=environ) as both:
        _, key = _mint_key(both.servers[0])
        with balancer(tmp_path, both.servers) as address:
            with _host(tmp_path / "host", address, key) as host:
                for server in both.servers:
                    until(lambda server=server: _speaks(server))  # type: ignore[misc]
                    assert _speak_at_once(server, 16) == [200] * 16
                assert "host.dial.failed" not in host.log.read_text()
                _child(both.servers[0], "proxy.processes.worker").kill()
                until(lambda: _speaks(both.servers[0]))
                assert both.servers[0].speech("Again.").status_code == 200


def test_a_worker_that_takes_links_speaks_jobs_by_hosts(shared_postgres: Postgres, tmp_path: Path) -> None:
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    port = free_port()
    environ = {"VOXGATE_SERVER__LINKS": f"127.0.0.1:{port}"}
    with (
        serving(tmp_path, url, config=_GATEWAY) as server,
        working(tmp_path, url, config=_GATEWAY, environ=environ) as worker,
    ):
        _, key = _mint_key(server)
        taking = worker._replace(url=f"http://127.0.0.1:{port}")
        assert httpx2.get(f"{taking.url}/healthz").status_code == 200
        for path in ("/v1/models", "/"):
            assert httpx2.get(f"{taking.url}{path}").status_code == 404
        with balancer(tmp_path, (server, taking)) as address, _host(tmp_path / "host", address, key) as host:
            until(lambda: _speaks(server))
            made = new_job(server, "A job of the host.")
            until(lambda: job(server, made)["status"] == "done")
            assert host.log.read_text().count("host.dial.complete") == 1
            assert "host.gateways.unmet" not in host.log.read_text()


def test_a_trial_says_what_came_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_trial, "TRIAL_S", 2.0)
    (tmp_path / "gateway").mkdir()
    file = tmp_path / "config.toml"
    file.write_text(_HOST.format(folder=tmp_path))
    with running(tmp_path / "gateway", _GATEWAY) as server:
        _, key = _mint_key(server)
        nowhere = f"http://127.0.0.1:{free_port()}"
        for url, secret, status, says in (
            (server.url, key, 0, f"{server.url}: 1 of 1 gateways were met, and links waited for 2 s."),
            (server.url, f"{key}0", 1, "the key is unknown, revoked or expired"),
            (server.url, server.key, 1, "/cluster needs a key with the role 'host'"),
            (nowhere, key, 1, f"{nowhere}: it cannot be reached: Connect call failed"),
        ):
            words = ("host", "--config", str(file), "--join", url, "--try")
            tried = run(*words, environ={"VOXGATE_HOST_KEY": secret})
            assert tried.returncode == status, (url, tried.stderr)
            assert says in " ".join((tried.stdout + tried.stderr).decode().split()), (url, tried.stderr)
            assert secret.encode() not in tried.stdout + tried.stderr
