"""GET /cluster/link at a worker on a real port: what it gives to the links process, and what it refuses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from policies.limits import Caps
from proxy.hosts.links.gateway_links import GatewayLinks
from proxy.hosts.links.handshake import Inbox, LinkRefusal, refusal_bytes
from proxy.hosts.links.link_messages import INBOX, SUBPROTOCOL, Joining
from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord, Role
from tests.features.sockets.http.socket_rig import SocketPort, socket_port
from tests.proxy.api.inside import TONE
from tests.proxy.hosts.links.link_rig import GATEWAY, MACHINE
from tests.proxy.http.sockets import RawAnswer, calling

_CLUSTERS = TONE + '[clusters.gpu]\n[engines.xtts]\nplugin = "tone"\ncluster = "gpu"\n'
_FIELDS = {
    "Host": "voxgate.test",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": SUBPROTOCOL,
    "Voxgate-Machine": MACHINE,
    "Voxgate-Version": "1.2.3",
    "Voxgate-Engines": "xtts, tone",
}


class _Gate(NamedTuple):
    port: SocketPort
    links: GatewayLinks
    joinings: list[Joining]

    async def mint_key(self, role: Role = "host", cluster: str | None = "gpu") -> str:
        store, secret = self.port.worker.store, api_key.mint()
        account = await accounts.create(store, name=f"of-{secret.hint}", plan="unlimited")
        caps = Caps(cluster=cluster, hosts=3) if cluster else Caps()
        await key_records.create(store, secret, NewKeyRecord(account=account.id, role=role, caps=caps))
        return secret.reveal()

    def handshake(self, key: str, behind: bytes = b"", **fields: str | None) -> bytes:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        sent = {**_FIELDS, "Authorization": f"Bearer {key}", **named}
        lines = [f"{name}: {value}" for name, value in sent.items() if value is not None]
        return "\r\n".join(["GET /cluster/link HTTP/1.1", *lines, "", ""]).encode() + behind

    async def answer(self, request: bytes) -> RawAnswer:
        async with calling(self.port.address) as client:
            await client.send(request)
            return await client.answer()

    async def connect(self, key: str) -> ClientConnection:
        host, port = self.port.address[:2]
        sent = {name: value for name, value in _FIELDS.items() if name.startswith("Voxgate")}
        headers = {**sent, "Authorization": f"Bearer {key}"}
        url, names = f"ws://{host}:{port}/cluster/link", [SUBPROTOCOL]
        return await connect(url, additional_headers=headers, subprotocols=names, proxy=None)  # type: ignore[arg-type]


@asynccontextmanager
async def _gate(folder: Path, *, has_links: bool = True, text: str = _CLUSTERS) -> AsyncIterator[_Gate]:
    """A worker, and beside it the links of a gateway in the same loop."""
    joinings, running = list[Joining](), set[asyncio.Task[object]]()

    def take(joining: Joining, connection: socket.socket) -> None:
        joinings.append(joining)
        found = links.admit_link(joining)
        if isinstance(found, LinkRefusal):
            connection.send(refusal_bytes(found))
            connection.close()
            return
        accepting = asyncio.get_running_loop().connect_accepted_socket(lambda: found, connection)
        running.add(asyncio.create_task(accepting))

    async with socket_port(folder, (), text) as port:
        links, data = GatewayLinks(GATEWAY, 0.0, lambda _news: None), Path(port.worker.kernel.config.data)
        if has_links:
            (folder / "run").mkdir()
            (data / "run").symlink_to(folder / "run")
            inbox = Inbox(str(folder / "run" / INBOX), take)
        try:
            yield _Gate(port, links, joinings)
        finally:
            links.close_links()
            await asyncio.sleep(0)
            if has_links:
                inbox.stop_listening()


async def test_a_handshake_with_a_good_key_is_given_away(tmp_path: Path) -> None:
    async with _gate(tmp_path) as gate:
        key = await gate.mint_key()
        async with await gate.connect(key) as link:
            assert link.subprotocol == SUBPROTOCOL
            assert await link.recv() == f'{{"gateway": "{GATEWAY}", "of": 1, "wanted": 0}}'
            (joining,) = gate.joinings
            found = (joining.cluster, joining.places, joining.machine, joining.version, joining.engines)
            assert found == ("gpu", 3, MACHINE, "1.2.3", ("xtts", "tone"))
            assert joining.address == "127.0.0.1"
            # The worker has no part in it any more: neither the connection nor a request.
            assert gate.port.worker.metrics.in_flight == 0
            assert repr(gate.port.places).startswith("<OpenConnections 0 of ")
            (host,) = gate.links.hosts.values()
            host.end_links()
            await link.wait_closed()
            assert link.close_code == 1000


async def test_the_refusal_of_the_links_process_is_the_answer(tmp_path: Path) -> None:
    async with _gate(tmp_path) as gate:
        async with await gate.connect(await gate.mint_key()):
            with pytest.raises(InvalidStatus) as refused:
                await gate.connect(await gate.mint_key())
            assert refused.value.response.status_code == 409
            assert b"host_of_another_account" in refused.value.response.body


_REFUSED: dict[str, tuple[dict[str, str | None], bytes, int, str]] = {
    "bytes behind it": ({}, b"\x82\x80\0\0\0\0", 400, "invalid_http"),
    "a second request": ({}, b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid_http"),
    "a body": ({"Content_Length": "0"}, b"", 400, "invalid_http"),
    "no id": ({"Voxgate_Machine": "gpu1"}, b"", 400, "invalid_value"),
    "no names of engines": ({"Voxgate_Engines": "../xtts"}, b"", 400, "invalid_value"),
    "no subprotocol": ({"Sec_WebSocket_Protocol": None}, b"", 426, "upgrade_required"),
    "an old version": ({"Sec_WebSocket_Version": "8"}, b"", 426, "upgrade_required"),
    "no upgrade": ({"Upgrade": None, "Connection": None}, b"", 426, "upgrade_required"),
    "no key": ({"Authorization": None}, b"", 401, "invalid_api_key"),
}


async def test_what_is_no_good_handshake_is_answered_by_the_worker(tmp_path: Path) -> None:
    async with _gate(tmp_path) as gate:
        key = await gate.mint_key()
        for name, (fields, behind, status, code) in _REFUSED.items():
            answer = await gate.answer(gate.handshake(key, behind, **fields))
            assert (answer.status, answer.error["code"]) == (status, code), name
        keys = {"speech": gate.port.inside.key, "of another cluster": await gate.mint_key(cluster="cpu")}
        for name, other in keys.items():
            assert (await gate.answer(gate.handshake(other))).status == 403, name
        assert gate.joinings == []
        # An older key is for all clusters.
        async with await gate.connect(await gate.mint_key(cluster=None)):
            assert gate.joinings[0].cluster == ""


async def test_without_links_and_without_clusters_a_host_is_refused(tmp_path: Path) -> None:
    async with _gate(_made(tmp_path / "a"), has_links=False) as gate:
        assert (await gate.answer(gate.handshake(await gate.mint_key()))).status == 503
    async with _gate(_made(tmp_path / "b"), text=TONE) as gate:
        answer = await gate.answer(gate.handshake(await gate.mint_key()))
        assert (answer.status, answer.error["code"]) == (403, "no_such_cluster")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def test_a_key_is_made_for_one_cluster_and_some_hosts(tmp_path: Path) -> None:
    async with _gate(tmp_path) as gate:
        body = {"account": gate.port.inside.account.id, "role": "host", "cluster": "gpu", "hosts": 2}
        made = (await gate.port.inside.administer("POST", "keys", body)).json()
        assert (made["caps"]["cluster"], made["caps"]["hosts"]) == ("gpu", 2)
        async with await gate.connect(made["key"]):
            assert (gate.joinings[0].cluster, gate.joinings[0].places) == ("gpu", 2)
        refused = await gate.port.inside.administer("POST", "keys", {**body, "role": "speech"})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "cluster")
        for_all = await gate.port.inside.administer(
            "POST", "keys", {key: each for key, each in body.items() if key != "cluster"}
        )
        assert (for_all.status_code, for_all.json()["error"]["param"]) == (400, "cluster")
