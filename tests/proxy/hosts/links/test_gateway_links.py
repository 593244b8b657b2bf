"""The links of a gateway over real sockets: bytes, back-pressure, bounds, and hosts that break the rules."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
from websockets.frames import Opcode

from proxy.hosts.links import gateway_links
from proxy.hosts.links.gateway_links import MOST_HELD_BYTES, MOST_WAITING, HostLink
from proxy.hosts.links.handshake import LinkRefusal, refusal_bytes
from proxy.hosts.links.link_messages import HostGone, HostJoined
from tests.proxy.hosts.links.link_rig import GATEWAY, MACHINE, HostEnd, links_rig
from tests.waiting import soon

_OTHER = "mch_" + "2" * 24
_MOST_S = 5.0


async def _echo(end: HostEnd, count: int) -> None:
    while count > 0:
        frame = await end.next_frame()
        assert frame is not None
        await end.send(bytes(frame.data))
        count -= len(frame.data)


async def _recv_exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        data += await asyncio.get_running_loop().sock_recv(connection, 65536)
    return bytes(data)


async def test_a_link_waits_and_then_has_the_bytes_of_one_connection() -> None:
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        end = await rig.join()
        assert end.head.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in end.head
        assert await end.next_text() == {"gateway": GATEWAY, "of": 1, "wanted": 0}
        loop, local = asyncio.get_running_loop(), await rig.ask("tone.0.3")
        assert await end.next_text() == {"connect": "tone.0.3"}
        sent = bytes(range(256)) * 8000
        echo = asyncio.create_task(_echo(end, len(sent)))
        sending = asyncio.create_task(loop.sock_sendall(local, sent))
        assert await _recv_exactly(local, len(sent)) == sent
        await asyncio.gather(echo, sending)
        local.close()
        assert await end.close_code() == 1000
        assert [type(each) for each in rig.news] == [HostJoined]


async def test_a_connection_that_asks_first_gets_the_next_link_with_its_first_bytes() -> None:
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        first = await rig.join()
        await first.next_text()
        used, early = await rig.ask(), await rig.ask("tone.0.1")
        await asyncio.get_running_loop().sock_sendall(early, b"PRI * HTTP/2.0")
        await asyncio.sleep(0.01)
        assert await first.next_text() == {"connect": "agent"}
        second = await rig.join()
        assert await second.next_text() == {"gateway": GATEWAY, "of": 1, "wanted": 1}
        assert await second.next_text() == {"connect": "tone.0.1"}
        assert await second.read_bytes(14) == b"PRI * HTTP/2.0"
        # The end of the host's side is the end of the local connection.
        first.socket.close()
        assert await asyncio.get_running_loop().sock_recv(used, 1) == b""


async def test_a_reader_that_stalls_holds_little_and_no_other_link() -> None:
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        loop = asyncio.get_running_loop()
        ends = [await rig.join() for _ in range(2)]
        stalled, local = await rig.ask(), await rig.ask()
        sending = asyncio.create_task(loop.sock_sendall(stalled, bytes(4_000_000)))
        for end in ends:
            await end.next_text()
            await end.next_text()
        await ends[1].send(b"heard")
        assert await _recv_exactly(local, 5) == b"heard"
        await asyncio.sleep(0.02)
        host = rig.links.hosts[MACHINE]
        held = [link.held_bytes + link.other.held_bytes for link in host.open_links if link.other]
        assert not sending.done()
        assert max(held) < 1_000_000
        # The link that stalls is not read either way, so its silence says nothing.
        assert await ends[0].read_bytes(4_000_000) == bytes(4_000_000)
        await sending


def _text(size: int, *, fin: bool = True) -> bytes:
    return (
        bytes([0x81 if fin else 0x01, 0xFF]) + struct.pack("!Q", size) + bytes(4) + b"a" * min(size, 300_000)
    )


_BREAKERS: dict[str, tuple[Callable[[], bytes], int | None]] = {
    "bytes before they were asked for": (lambda: b"\x82\x81" + bytes(4) + b"x", 1008),
    "a text of 10 MB": (lambda: _text(10_000_000), 1009),
    "a text that is too long": (lambda: _text(5000), 1008),
    "a text in fragments": (lambda: _text(10, fin=False), 1008),
    "100,000 fragments": (lambda: b"\x02\x80" + bytes(4) + (b"\x00\x80" + bytes(4)) * 100_000, 1008),
    "no mask": (lambda: b"\x82\x01x", 1002),
    "a pipelined request": (lambda: b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n", 1002),
    "an unknown opcode": (lambda: b"\x83\x80" + bytes(4), 1002),
    "a close": (lambda: b"\x88\x82" + bytes(4) + struct.pack("!H", 1001), 1001),
}


@pytest.mark.parametrize("fault", _BREAKERS)
async def test_a_host_that_breaks_a_rule_loses_the_link(fault: str) -> None:
    make, code = _BREAKERS[fault]
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        end, other = await rig.join(), await rig.join()
        await end.next_text()
        await other.next_text()
        sending = asyncio.create_task(end.send_raw(make()))
        assert await end.close_code() == code
        await asyncio.gather(sending, return_exceptions=True)
        local = await rig.ask()
        assert await other.next_text() == {"connect": "agent"}
        await other.send(b"whole")
        assert await _recv_exactly(local, 5) == b"whole"
        (link,) = rig.links.hosts[MACHINE].open_links
        assert link.held_bytes == 0


async def test_unknown_texts_and_pings_are_no_fault() -> None:
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        end = await rig.join()
        await end.next_text()
        await end.send_raw(b"\x81\x81" + bytes(4) + b"\xff")
        await end.send_raw(b"\x81\x85" + bytes(4) + b"hello" + b"\x89\x82" + bytes(4) + b"hi")
        frame = await end.next_frame()
        assert frame is not None
        assert (frame.opcode, bytes(frame.data)) == (Opcode.PONG, b"hi")
        await rig.ask()
        assert await end.next_text() == {"connect": "agent"}


async def test_pings_whose_pongs_are_not_read_end_the_link() -> None:
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        end = await rig.join()
        (link,) = rig.links.hosts[MACHINE].open_links
        with suppress(ConnectionError):
            while True:
                await end.send_raw((b"\x89\xfd" + bytes(4) + bytes(125)) * 100)
        assert link.is_lost
        assert link.held_bytes < MOST_HELD_BYTES / 32


async def test_a_flood_of_frames_waits_and_leaves_the_loop_to_others() -> None:
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        flooder, other = await rig.join(), await rig.join(machine=_OTHER)
        await flooder.next_text()
        await other.next_text()
        sending = asyncio.create_task(flooder.send_raw((b"\x8a\x80" + bytes(4)) * 200_000))
        loop = asyncio.get_running_loop()
        local = await rig.ask(machine=_OTHER)
        await other.next_text()
        began = loop.time()
        for _ in range(20):
            await other.send(b"x")
            await _recv_exactly(local, 1)
        assert loop.time() - began < 1.0
        assert len(rig.links.hosts[MACHINE].open_links) == 1
        # 20,000 frames are read in the first second: the rest waits here, in the kernel and at the sender.
        assert rig.links.carried["in"] < 600_000
        assert not sending.done()
        sending.cancel()


async def test_places_bounds_and_accounts() -> None:
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        ends = [await rig.join() for _ in range(MOST_WAITING)]
        assert _code(rig.admit()) == "too_many_waiting_links"
        assert _code(rig.admit(account="acct_2", key="key_2")) == "host_of_another_account"
        ends.append(await rig.join(machine=_OTHER))
        assert _code(rig.admit(machine="mch_" + "3" * 24)) == "too_many_hosts"
        # A host without links gives its place up, and a second key of the account goes on with the host.
        ends[-1].socket.close()
        await soon(lambda: not rig.links.hosts[_OTHER].open_links)
        ends.append(await rig.join(machine="mch_" + "3" * 24))
        assert HostGone(_OTHER) in rig.news
        assert _code(rig.admit(key="key_3")) == "too_many_waiting_links"
        ends[0].socket.close()
        await soon(lambda: len(rig.links.hosts[MACHINE].open_links) == MOST_WAITING - 1)
        await rig.join(key="key_3")
        assert rig.links.hosts[MACHINE].joining.key == "key_3"
        assert [each.key for each in rig.news if isinstance(each, HostJoined)][-1] == "key_3"
        answer = refusal_bytes(LinkRefusal(409, "host_of_another_account", "Another account has it."))
        assert answer.startswith(b"HTTP/1.1 409 Conflict\r\n")
        assert b"Connection: close\r\n" in answer


async def test_handshakes_have_a_pace_for_each_key() -> None:
    async with links_rig() as rig:
        found = [rig.admit(machine=f"mch_{n % 2:024x}", key="key_1", places=2) for n in range(100)]
        codes = [_code(each) for each in found if isinstance(each, LinkRefusal)]
        assert codes.count("too_many_handshakes") >= 30
        assert isinstance(rig.admit(key="key_2", places=2), HostLink)


async def test_the_links_of_a_dead_key_end() -> None:
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        used, waiting, other = await rig.join(), await rig.join(), await rig.join(machine=_OTHER, key="key_2")
        await rig.ask()
        await used.next_text()
        await waiting.next_text()
        rig.links.note_keys({"key_1"})
        assert await waiting.close_code() == 1000
        await soon(lambda: len(rig.links.hosts[MACHINE].open_links) == 1)
        rig.links.look_at_hosts()
        await used.next_text()
        assert await used.close_code() == 1000
        assert rig.links.hosts[_OTHER].waiting
        await other.next_text()
        # If the keys cannot be read, no host joins.
        rig.links._read_at -= 2 * gateway_links.UNREAD_S
        assert _code(rig.admit(key="key_2", machine=_OTHER)) == "keys_unread"


async def test_a_silent_link_ends_and_a_connection_without_a_link_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway_links, "LINK_WAIT_S", 0.0)
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        silent, other = await rig.join(), await rig.join()
        first, _second = rig.links.hosts[MACHINE].waiting
        first.read_at -= 100.0
        rig.links.look_at_hosts()
        await silent.next_text()
        assert await silent.close_code() is None
        await rig.ask()
        lone = await rig.ask()
        assert await asyncio.get_running_loop().sock_recv(lone, 1) == b""
        await other.next_text()
        assert await other.next_text() == {"connect": "agent"}


async def test_waiting_links_hear_of_a_new_gateway() -> None:
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        end = await rig.join()
        await end.next_text()
        rig.links.set_gateways(3)
        assert await end.next_text() == {"gateway": GATEWAY, "of": 3, "wanted": 0}


async def test_a_host_without_links_is_forgotten_after_a_while() -> None:
    async with links_rig() as rig, asyncio.timeout(_MOST_S):
        end = await rig.join()
        end.socket.close()
        host = rig.links.hosts[MACHINE]
        await soon(lambda: host.left_at is not None)
        rig.links.look_at_hosts()
        assert rig.links.hosts
        host.left_at = -1000.0
        rig.links.look_at_hosts()
        assert not rig.links.hosts
        assert HostGone(MACHINE) in rig.news


def _code(found: HostLink | LinkRefusal) -> str:
    return found.code if isinstance(found, LinkRefusal) else ""
