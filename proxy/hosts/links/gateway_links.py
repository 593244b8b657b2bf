"""The links of a gateway: which hosts wait with how many, and which local connections ask for one."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Any

from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from proxy.hosts.links.handshake import LinkRefusal, accept_bytes
from proxy.hosts.links.link_messages import HostGone, HostJoined, Joining, LinkFigures, LinkNews
from proxy.hosts.links.wire import MESSAGE_BYTES, PING_S, HostPace, Plain, Wire, join

MOST_WAITING, MOST_OPEN, MOST_OF_GATEWAY = 16, 256, 2000
"""Links: of a host that wait, of a host, of all hosts."""
MOST_HELD_BYTES = 32 * 1024 * 1024
"""What one host may make this process hold."""
LINK_WAIT_S = 2.0
"""A local connection without a link ends after this time, so that the next engine speaks."""
FORGOTTEN_S = 90.0
_HANDSHAKES_PER_S, _HANDSHAKES_AT_ONCE = 5.0, 64
UNREAD_S = 40.0
"""If the keys were not read for this time, no host may join."""


class HostLink(Wire):
    """A link as the gateway has it."""

    def __init__(self, host: LinkedHost, joining: Joining) -> None:
        super().__init__(ServerProtocol(state=OPEN, max_size=MESSAGE_BYTES), host.pace)
        self.key = joining.key
        self._host, self._joining = host, joining

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.write(accept_bytes(self._joining))
        self._host.greet_link(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._host.note_lost(self)


class LocalConnection(Plain):
    """A connection of a process of this gateway, which asks for a link to one `target` of a host."""

    def __init__(self, host: LinkedHost, target: str) -> None:
        super().__init__()
        self.target = target
        self._host = host
        self._expiry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expiry = asyncio.get_running_loop().call_later(LINK_WAIT_S, self._expire)
        self._host.find_link_for(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        super().connection_lost(exc)

    def _expire(self) -> None:
        if self.other is None:
            self.close_side()


class LinkedHost:
    """The links of one start of a host."""

    def __init__(self, links: GatewayLinks, joining: Joining) -> None:
        self.joining = joining
        self.pace = HostPace(links.carried)
        self.open_links: set[HostLink] = set()
        self.waiting: deque[HostLink] = deque()
        self.left_at: float | None = asyncio.get_running_loop().time()
        self._requests: deque[LocalConnection] = deque()
        self._links = links

    def __repr__(self) -> str:
        return f"<LinkedHost {self.joining.machine} {len(self.waiting)} of {len(self.open_links)} wait>"

    @property
    def opening(self) -> int:
        """How many handshakes are being answered."""
        return sum(link.transport is None for link in self.open_links)

    def greet_link(self, link: HostLink) -> None:
        """Greet a new link, and join it to the connection that asked first, or let it wait."""
        self._drop_ended()
        link.send_text(self._greeting())
        if self._requests:
            self._join(link, self._requests.popleft())
        else:
            self.waiting.append(link)

    def find_link_for(self, connection: LocalConnection) -> None:
        while self.waiting:
            link = self.waiting.popleft()
            if not link.is_closing and not link.is_lost:
                self._join(link, connection)
                return
        self._requests.append(connection)

    def note_lost(self, link: HostLink) -> None:
        self.open_links.discard(link)
        if link in self.waiting:
            self.waiting.remove(link)
        if not self.open_links:
            self.left_at = asyncio.get_running_loop().time()

    def greet(self) -> None:
        """Tell the waiting links how many gateways there are now."""
        for link in self.waiting:
            link.send_text(self._greeting())

    def look_at_links(self, now: float, *, pings: bool) -> None:
        """End silent links, and the fullest one of a host that makes us hold too much."""
        self._drop_ended()
        for link in list(self.open_links):
            if link.transport is None:
                continue
            if link.was_silent(now):
                link.transport.abort()
            elif pings:
                link.send_ping()
        if sum(map(_held_of, self.open_links)) > MOST_HELD_BYTES:
            fullest = max(self.open_links, key=_held_of)
            fullest.transport.abort()

    def end_links(self, *, waiting_alone: bool = False, key: str = "") -> None:
        for link in list(self.waiting if waiting_alone else self.open_links):
            if not key or link.key == key:
                link.close_side()

    def _join(self, link: HostLink, connection: LocalConnection) -> None:
        link.send_text(json.dumps({"connect": connection.target}))
        join(link, connection)

    def _drop_ended(self) -> None:
        self._requests = deque(each for each in self._requests if not each.is_lost and not each.is_closing)

    def _greeting(self) -> str:
        greeting = {"gateway": self._links.machine, "of": self._links.gateways, "wanted": len(self._requests)}
        return json.dumps(greeting)


class GatewayLinks:
    """All links of a gateway, whose start has the id `machine`. `tell` gets the news for the supervisor."""

    def __init__(self, machine: str, drain_s: float, tell: Callable[[LinkNews], None]) -> None:
        self.machine = machine
        self.gateways = 1
        self.hosts: dict[str, LinkedHost] = {}
        self._drain_s, self._tell = drain_s, tell
        self.carried = Counter({"in": 0, "out": 0})
        self._refused: Counter[str] = Counter()
        self._handshakes_due: dict[str, float] = {}  # by key, a moment of the loop's clock
        self._dead_keys: dict[str, float] = {}
        self._read_at = self._pinged_at = asyncio.get_running_loop().time()

    def admit_link(self, joining: Joining) -> HostLink | LinkRefusal:
        """Return a link for a handshake that a worker has checked, or why there is none."""
        now = asyncio.get_running_loop().time()
        if refusal := self._refusal_of(joining, now):
            self._refused[refusal.code] += 1
            return refusal
        host = self.hosts.get(joining.machine)
        is_news = host is None or host.joining.key != joining.key or not host.open_links
        if host is None:
            host = self.hosts[joining.machine] = LinkedHost(self, joining)
        host.joining, host.left_at = joining, None
        link = HostLink(host, joining)
        host.open_links.add(link)
        if is_news:
            names = (joining.key, joining.cluster, joining.version, joining.engines, joining.address)
            self._tell(HostJoined(joining.machine, joining.account, *names))
        return link

    def set_gateways(self, of: int) -> None:
        if of != self.gateways:
            self.gateways = of
            for host in self.hosts.values():
                host.greet()

    def note_keys(self, dead: Collection[str]) -> None:
        """Note that the keys were read. The waiting links of a dead key end now, and those in work later."""
        self._read_at = asyncio.get_running_loop().time()
        for key in dead:
            self._dead_keys.setdefault(key, self._read_at + self._drain_s)
            for host in self.hosts.values():
                host.end_links(waiting_alone=True, key=key)

    def look_at_hosts(self) -> None:
        """Do what is due, once a second."""
        now = asyncio.get_running_loop().time()
        pings = now - self._pinged_at >= PING_S
        if pings:
            self._pinged_at = now
        for machine, host in list(self.hosts.items()):
            host.look_at_links(now, pings=pings)
            for key, ends_at in self._dead_keys.items():
                if ends_at <= now:
                    host.end_links(key=key)
            if host.left_at is not None and now - host.left_at > FORGOTTEN_S:
                self.forget(machine)
        self._dead_keys = {key: at for key, at in self._dead_keys.items() if at > now}
        self._handshakes_due = {key: due for key, due in self._handshakes_due.items() if due > now}
        self._tell(self._figures())

    def forget(self, machine: str) -> None:
        del self.hosts[machine]
        self._tell(HostGone(machine))

    def close_links(self) -> None:
        for host in self.hosts.values():
            host.end_links()

    def _refusal_of(self, joining: Joining, now: float) -> LinkRefusal | None:
        if not self._may_shake_hands(joining, now):
            return LinkRefusal(503, "too_many_handshakes", "This key opens links too often. Wait a moment.")
        host = self.hosts.get(joining.machine)
        if host is not None and host.joining.account != joining.account:
            if host.open_links:
                return LinkRefusal(409, "host_of_another_account", "Another account has a host with this id.")
            self.forget(joining.machine)
            host = None
        if now - self._read_at > UNREAD_S:
            return LinkRefusal(503, "keys_unread", "This gateway cannot read its keys now.")
        if host is None and not self._has_place(joining):
            message = f"This key has {joining.places} hosts at this gateway, and that is the most."
            return LinkRefusal(403, "too_many_hosts", message)
        waiting, is_open = (len(host.waiting) + host.opening, len(host.open_links)) if host else (0, 0)
        for count, most, code, what in (
            (waiting, MOST_WAITING, "too_many_waiting_links", "links of this host wait"),
            (is_open, MOST_OPEN, "too_many_links", "links of this host are open"),
            (self._count_open(), MOST_OF_GATEWAY, "gateway_full", "links of this gateway are open"),
        ):
            if count >= most:
                return LinkRefusal(503, code, f"{most} {what}, and that is the most.")
        return None

    def _may_shake_hands(self, joining: Joining, now: float) -> bool:
        rate = _HANDSHAKES_PER_S * joining.places
        due = max(self._handshakes_due.get(joining.key, 0.0), now - _HANDSHAKES_AT_ONCE / rate) + 1.0 / rate
        if due > now:
            return False
        self._handshakes_due[joining.key] = due
        return True

    def _has_place(self, joining: Joining) -> bool:
        """Tell whether the key may have one more host. A host without links gives its place up."""
        own = [each for each in self.hosts.values() if each.joining.key == joining.key]
        for host in own if len(own) >= joining.places else ():
            if not host.open_links:
                self.forget(host.joining.machine)
                return True
        return len(own) < joining.places

    def _count_open(self) -> int:
        return sum(len(host.open_links) for host in self.hosts.values())

    def _figures(self) -> LinkFigures:
        waiting = sum(len(host.waiting) for host in self.hosts.values())
        states = {"waiting": waiting, "joined": self._count_open() - waiting}
        return LinkFigures(states, dict(self._refused), dict(self.carried))


def _held_of(link: HostLink) -> int:
    return link.held_bytes + (link.other.held_bytes if link.other is not None else 0)
