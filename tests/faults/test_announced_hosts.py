"""Two gateways on one PostgreSQL with a host that announces itself, and erasures while one is cut off."""

import time
from pathlib import Path

import httpx2
import pytest

from speech_engine.host.cluster_messages import FORGOTTEN_S
from tests.databases import Postgres
from tests.faults.cluster_hosts import CLUSTER, GATEWAY, agent, certificates, gateway, relay, watched
from tests.faults.processes import state
from tests.features.cluster.gateways import gateways, new_voice
from tests.redis_server import RedisServer
from tests.server import Server, running
from tests.waiting import until

pytestmark = pytest.mark.slow

_FORGOTTEN = "host.unwatched.forgotten"
_ANNOUNCES = 'gateways = ["{url}"]\napi_key = "env:VOXGATE_HOST_KEY"\n[engines.tone]\nslots = 8\n'


def test_a_host_that_announces_itself_to_one_gateway_serves_both(
    shared_postgres: Postgres, shared_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificates(tmp_path / "certificates")
    config = GATEWAY + CLUSTER.format(hosts="announced = true", made=made)
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    with gateways(tmp_path, url, shared_redis.url, config=config) as both:
        secret = both.servers[0].mint_key(role="host").secret
        monkeypatch.setenv("VOXGATE_HOST_KEY", secret)
        with agent(tmp_path / "host", made, _ANNOUNCES.format(url=both.servers[1].url)) as host:
            for server in both.servers:
                until(lambda server=server: state(server, "tone")["slots"] == 8)  # type: ignore[misc]
                assert server.speech("Hello.").status_code == 200
            assert "host.announcement.complete" in host.log.read_text()
            assert [each["kind"] for each in both.machines()] == ["server", "server"]
            assert secret not in host.log.read_text()
    assert "announcement.failed" not in host.log.read_text()


@pytest.mark.soak
@pytest.mark.clock
def test_the_receipt_of_an_erasure_waits_until_a_host_that_is_cut_off_has_forgotten(tmp_path: Path) -> None:
    made = certificates(tmp_path / "certificates")
    with agent(tmp_path / "host", made) as host, relay(host.port, before_agent=True) as between:
        with gateway(tmp_path / "gateway", made, between.address) as server:
            until(lambda: state(server, "tone")["slots"] == 8)
            with server.client() as client:
                voice = _spoken(server, new_voice(client))
                began = time.monotonic()
                between.cut()
                until(lambda: watched(server) == 0)
                _erase(client, voice)
                assert time.monotonic() - began >= FORGOTTEN_S
                assert time.monotonic() - began < FORGOTTEN_S + 4.0 + 15.0
            assert _FORGOTTEN in host.log.read_text()
            lines = server.log.read_text().splitlines()
            assert len([line for line in lines if "erasure." in line]) < 40, "it does not try all the time"


@pytest.mark.soak
@pytest.mark.clock
def test_a_receipt_waits_for_a_host_whose_only_gateway_is_cut_off_from_the_database(
    shared_postgres: Postgres, shared_redis: RedisServer, tmp_path: Path
) -> None:
    made, database = certificates(tmp_path / "certificates"), shared_postgres.folder / ".s.PGSQL.5432"
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    with (
        gateways(tmp_path, url, shared_redis.url, count=1) as first,
        agent(tmp_path / "host", made) as host,
        relay(database) as between,
    ):
        cluster = CLUSTER.format(hosts=f'hosts = ["127.0.0.1:{host.port}"]', made=made)
        place = f"@127.0.0.1:{between.port}/postgres?"
        apart = url.replace(f"@/postgres?host={shared_postgres.folder}&", place)
        config = GATEWAY + cluster + first.settings.partition("[storage]")[2].join(("[storage]", ""))
        (tmp_path / "apart").mkdir()
        with running(tmp_path / "apart", config.replace(url, apart)) as server, first.client() as client:
            until(lambda: state(server, "tone")["slots"] == 8)
            voice = new_voice(client)
            _spoken(server, voice, first.servers[0].key)
            between.cut()
            _erase(client, voice)
            assert _FORGOTTEN in host.log.read_text(), "the receipt came before"
            assert "cluster.watches.ended" in server.log.read_text()
            between.join()
            until(lambda: state(server, "tone")["slots"] == 8)


def _spoken(server: Server, voice: str, secret: str = "") -> str:
    """Speak with a voice, so that a host has its recording. Return the voice."""
    body = {"model": "tone", "voice": voice, "input": "Hello."}
    with server.client(secret or None) as client:
        spoken = client.post("/v1/audio/speech", json=body)
    assert spoken.status_code == 200, spoken.text
    return voice


def _erase(client: httpx2.Client, voice: str) -> None:
    """Erase a voice, and wait for the receipt."""
    assert client.delete(f"/v1/audio/voices/{voice}", timeout=60.0).is_success
    path = f"/v1/audio/voices/erasures/{voice}"
    until(lambda: client.get(path).json()["completed"], 150.0)
