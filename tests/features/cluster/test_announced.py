"""Hosts that announce themselves: who may, what is refused, and which rows clusters read."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from proxy.app import Worker
from proxy.features.cluster import announced, machines
from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord, Role
from proxy.storage.store import Statement
from speech_engine.host.cluster_messages import AnnouncedHost, ClusterNews
from tests.databases import Postgres
from tests.features.cluster.rig import Link, Site, age, living
from tests.features.cluster.test_membership import member
from tests.proxy.api.inside import inside
from tests.redis_server import RedisServer
from tests.tables import each_row

ELSEWHERE = {"VOXGATE_SERVER__HOST": "0.0.0.0"}
CLUSTER = (
    '[clusters.gpu]\nannounced = true\ncertificate = "a"\nkey = "b"\nauthority = "c"\n'
    '[engines.xtts]\nplugin = "tone"\ncluster = "gpu"\n'
)


def host(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"address": f"gpu{number}:7070", "machine": f"mch_{number:024x}", "engines": ["xtts"], **more}


_FULL = """
INSERT INTO machines
    (id, name, kind, version, schema, workers, folder, limits, keys, config, engines, began, seen)
SELECT 'mch_' || number, 'gpu:1', 'host', '', 0, 0, '', '', '{}', '', '["rvc"]', seen, seen
FROM machines, generate_series(2, 1000) AS number WHERE kind = 'host'
"""


@pytest.fixture
def site(shared_postgres: Postgres, shared_redis: RedisServer, tmp_path: Path) -> Iterator[Site]:
    """A database with empty tables, and a Redis for those who come with a key."""
    with shared_postgres.lent_schema() as schema:
        yield Site(tmp_path, shared_postgres.url(search_path=schema), shared_redis.url)


class Announcing(NamedTuple):
    http: httpx2.AsyncClient

    async def __call__(self, body: Any) -> httpx2.Response:
        return await self.http.post("/cluster/hosts", json=body)


@asynccontextmanager
async def announcing(worker: Worker, role: Role = "host", name: str = "gpus") -> AsyncIterator[Announcing]:
    account, secret = await accounts.create(worker.store, name=name, plan="unlimited"), api_key.mint()
    await key_records.create(worker.store, secret, NewKeyRecord(account=account.id, role=role))
    headers = {"authorization": f"Bearer {secret.reveal()}"}
    transport = httpx2.ASGITransport(app=worker.public)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as http:
        yield Announcing(http)


async def test_a_key_of_a_host_does_nothing_else_and_no_other_key_does_this(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        body = {"account": server.account.id, "role": "host", "name": "gpus"}
        made = (await server.administer("POST", "keys", body)).json()
        made = (await server.administer("POST", f"keys/{made['id']}/rotate")).json()
        assert made["role"] == "host"
        listed = (await server.administer("GET", "keys")).json()["data"]
        assert [each["role"] for each in listed if each["name"] == "gpus"] == ["host", "host"]
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/audio/speech"), ("GET", "/admin/keys")):
            refused = await server.ask(method, path, key=made["key"], body=host())
            assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error"), path
        for key in (server.key, server.admin_key):
            refused = await server.ask("POST", "/cluster/hosts", key=key, body=host())
            assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
        on_sqlite = await server.ask("POST", "/cluster/hosts", key=made["key"], body=host())
        assert (on_sqlite.status_code, "PostgreSQL" in on_sqlite.text) == (409, True)


_LOCAL = ("127.0.0.1:7070", "localhost:7070", "LocalHost.:7070", "[::1]:7070", "[::ffff:127.0.0.1]:7070")
_NO_PLACES = (
    *("169.254.169.254:7070", "[fe80::1]:7070", "0.0.0.0:7070", "[::]:7070", "224.0.0.1:7070", "127.1:7070"),
    *("metadata.google.internal:7070", "[fd00:ec2::254]:7070", "[::ffff:169.254.169.254]:7070", "gpu1:22"),
)
_NO_ADDRESSES = ("", "gpu1", "gpu1:0", "gpu1:99999", "gpu1:7070/x", "https://gpu1:7070", "gpu 1:7070")


@pytest.fixture
async def announce(tmp_path: Path) -> AsyncIterator[Announcing]:
    """At a gateway that others can reach."""
    text = '[server]\nhost = "0.0.0.0"\ndefault_model = "tone"\n[engines.tone]\nhosted = false\n'
    async with inside(tmp_path, text) as server, announcing(server.worker) as opened:
        yield opened


@each_row(
    ("wrong", "param"),
    [
        *(({"address": each}, "address") for each in (*_LOCAL, *_NO_PLACES, *_NO_ADDRESSES)),
        ({"machine": "mch_1"}, "machine"),
        ({"machine": "acc_" + "0" * 24}, "machine"),
        ({"engines": []}, "engines"),
        ({"engines": ["xtts"] * 101}, "engines"),
        ({"engines": ["x\x00"]}, "engines"),
        ({"engines": "xtts"}, "engines"),
    ],
)
async def test_bad_announcements_name_their_fault(
    announce: Announcing, wrong: dict[str, Any], param: str
) -> None:
    refused = await announce(host(**wrong))
    assert refused.status_code == 400, refused.text
    assert param in str(refused.json()["error"]["param"])


async def test_a_gateway_that_listens_on_loopback_takes_hosts_there_and_refuses_the_rest(
    site: Site,
) -> None:
    async with site.machine("a") as one, announcing(one) as announce:
        for address in _NO_PLACES:
            refused = await announce(host(address=address))
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "address"), address
        for number, address in enumerate(_LOCAL):
            assert (await announce(host(number, address=address))).status_code == 200, address


async def test_a_key_leaves_places_to_others_and_takes_no_row_of_theirs(site: Site) -> None:
    async with (
        site.machine("a", environ=ELSEWHERE) as one,
        announcing(one) as announce,
        announcing(one, name="others") as other,
    ):
        assert (await announce(host(7))).status_code == 200
        taken = await other(host(7, address="10.6.6.6:7070"))
        assert (taken.status_code, taken.json()["error"]["param"]) == (409, "machine")
        assert [each.address for each in await announced.list_living(one.store)] == ["gpu7:7070"]
        whose = (
            "UPDATE machines SET announced_by = (SELECT min(announced_by) FROM machines) WHERE kind = 'host'"
        )
        await one.store.write(Statement(_FULL.replace("1000", "900")), Statement(whose))
        refused = await announce(host(5000))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_busy")
        assert (await announce(host(7))).status_code == 200
        assert (await other(host(5000))).status_code == 200
        # A gateway of the version before has not noted the key.
        await one.store.write(Statement("UPDATE machines SET announced_by = NULL WHERE kind = 'host'"))
        assert (await other(host(7))).status_code == 200
        assert (await announce(host(7))).status_code == 409
        await age(one.store, 15.1, host(7)["machine"])
        assert (await announce(host(7))).status_code == 200


async def test_announced_hosts_are_no_machines_and_live_as_long_as_they_say_so(site: Site) -> None:
    async with site.machine("a", environ=ELSEWHERE) as one, announcing(one) as announce:
        assert (await announce(host(1))).status_code == 200
        assert (await announce(host(2, engines=["rvc"]))).status_code == 200
        assert (await announce(host(1, address="[fd00::1]:7070"))).status_code == 200
        assert await announced.list_living(one.store) == [
            AnnouncedHost("[fd00::1]:7070", ("xtts",)),
            AnnouncedHost("gpu2:7070", ("rvc",)),
        ]
        assert [each.kind for each in await machines.list_all(one.store)] == ["server"]
        await age(one.store, 15.1, host(2)["machine"])
        assert [each.address for each in await announced.list_living(one.store)] == ["[fd00::1]:7070"]


async def test_no_announcement_takes_the_row_of_a_server_or_a_place_that_is_not_there(site: Site) -> None:
    async with site.machine("a") as one, announcing(one) as announce:
        (server,) = await living(one.store)
        assert (await announce(host(machine=server.id))).status_code == 503
        assert [each.name for each in await living(one.store)] == [server.name]
        assert (await announce(host(7))).status_code == 200
        await one.store.write(Statement(_FULL))
        assert len(await announced.list_living(one.store)) == announced.MOST_LIVING
        refused = await announce(host(5000))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_busy")
        assert (await announce(host(7))).status_code == 200
        await age(one.store, 15.1, host(7)["machine"])
        assert (await announce(host(5000))).status_code == 200


async def test_a_gateway_tells_its_supervisor_who_is_there(site: Site) -> None:
    link = Link()
    async with (
        site.machine("a", site.settings + CLUSTER, link=link) as one,
        site.machine("b") as two,
        site.machine("w", serves=False),
        announcing(two) as announce,
    ):
        await announce(host(3))
        await member(one).look()
        await member(one)._renew()
        gateways = tuple(each.id for each in await living(one.store) if each.kind == "server")
        news = [each for each in link.told if isinstance(each, ClusterNews)]
        assert news[-1] == ClusterNews(gateways, (AnnouncedHost("gpu3:7070", ("xtts",)),))
        assert len(gateways) == 2
