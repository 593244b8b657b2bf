"""The host's side of links: it dials until it has met all gateways of an address, and keeps links waiting."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidProxyStatus, InvalidStatus
from websockets.frames import Frame
from websockets.typing import Subprotocol

from proxy.hosts.links.link_messages import SUBPROTOCOL, TARGET, BeginDialling
from proxy.hosts.links.wire import MESSAGE_BYTES, PING_S, HostPace, Plain, Wire, join
from speech_engine.bounds import cut

_SPARE = 2
"""The links that wait at each gateway, beside those that it wants."""
_MOST_AT_ONCE = 8
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_MOST_SURPLUSES = 20
"""After so many links in a row that no gateway needs, a pause follows as after a failure."""
_DIAL_S, _GREETING_S, _LOOK_S, _UNMET_S = 10.0, 10.0, 1.0, 60.0
_ADVICE = {
    401: "the key is unknown, revoked or expired: make one with voxgate keys create --role host",
    403: "the key is for another cluster, or has as many hosts as it may have",
    404: "this gateway is older, and knows no links",
    407: "the proxy wants a name and a password: HTTPS_PROXY=http://NAME:PASSWORD@PROXY",
    409: "another account has a host with this id: start voxgate host once more",
    421: "the proxy in front does not serve this name",
    426: "a proxy in between removes the headers Upgrade and Connection, or the gateway is older",
}


class _GatewayText(msgspec.Struct, frozen=True):
    """A text of a gateway. What is unknown is ignored."""

    gateway: str = ""
    of: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    wanted: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0
    connect: str = ""


_decode_text = msgspec.json.Decoder(_GatewayText).decode


class _Handshake(ClientConnection):
    """The connection of websockets until the handshake has ended. The frames behind it are for the link."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.frames_behind: list[Frame] = []

    def process_event(self, event: Any) -> None:
        if self.response is None:
            super().process_event(event)
        else:
            self.frames_behind.append(event)


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception:
        return exc  # the key would go to another address


class GatewayLink(Wire):
    """A link as the host has it. `gateway` is "" until it has greeted."""

    def __init__(self, handshake: _Handshake, dialler: Dialler) -> None:
        super().__init__(handshake.protocol, dialler.pace)
        self.gateway = ""
        self.greeted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._dialler = dialler
        self.connection_made(handshake.transport)
        handshake.transport.set_protocol(self)
        self.take_frames(handshake.frames_behind)

    def take_text(self, text: str) -> None:
        try:
            said = _decode_text(text)
        except msgspec.MsgspecError:
            return
        if said.connect and self.gateway and not self.is_requested:
            self.is_requested = True
            self._dialler.use_link(self, said.connect)
        elif said.gateway and not self.is_requested:
            self._dialler.note_greeting(self, said)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.greeted.done():
            self.greeted.set_result(False)
        self._dialler.forget_link(self)


class Dialler:
    """Dials one address, until cancelled."""

    def __init__(self, url: str, begin: BeginDialling) -> None:
        place = urlsplit(url)
        scheme = "wss" if place.scheme == "https" else "ws"
        self.pace = HostPace(Counter())
        self.links: set[GatewayLink] = set()
        self._url, self._address = url, f"{scheme}://{place.netloc}{place.path.rstrip('/')}/cluster/link"
        self._begin = begin
        self._trust = ssl.create_default_context(cafile=begin.authority or None) if scheme == "wss" else None
        self._waiting: dict[str, set[GatewayLink]] = {}  # by gateway
        self._wanted: Counter[str] = Counter()
        self.gateways = 1
        self._surpluses = 0
        self._changed = asyncio.Event()
        self.fault: str | None = None  # "" after a success
        self.asked = self.cut_off = 0
        """The connections that gateways have asked for, and the waiting links that ended without us."""
        self._joins: set[asyncio.Task[None]] = set()

    async def run_dialler(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dial_on())
            group.create_task(self._look_at_links())

    def note_greeting(self, link: GatewayLink, said: _GatewayText) -> None:
        self.gateways, self._wanted[said.gateway] = said.of, said.wanted
        if not link.gateway:
            link.gateway = said.gateway
            self._waiting.setdefault(said.gateway, set()).add(link)
        if not link.greeted.done():
            link.greeted.set_result(True)
        self._changed.set()

    def count_met(self) -> int:
        return len(self._waiting)

    def use_link(self, link: GatewayLink, target: str) -> None:
        """Join a link to a process. The gateway gets another one that waits."""
        self.asked += 1
        self._note_used(link)
        task = asyncio.create_task(self._join_process(link, target))
        self._joins.add(task)
        task.add_done_callback(self._joins.discard)

    def forget_link(self, link: GatewayLink) -> None:
        self.links.discard(link)
        self.cut_off += link in self._waiting.get(link.gateway, ()) and not link.is_closing
        self._note_used(link)
        if not self._waiting.get(link.gateway, True):
            del self._waiting[link.gateway]  # it must be met again

    def close_links(self) -> None:
        for link in list(self.links):
            link.close_side()

    def _note_used(self, link: GatewayLink) -> None:
        self._waiting.get(link.gateway, set()).discard(link)
        self._wanted[link.gateway] = max(0, self._wanted[link.gateway] - 1)
        self._changed.set()

    def _count_lacking(self) -> int:
        return self._count_short() + _SPARE * max(0, self.gateways - len(self._waiting))

    def _count_short(self) -> int:
        """Return how many links the gateways lack that were met."""
        short = [_SPARE + self._wanted[each] - len(links) for each, links in self._waiting.items()]
        return sum(max(0, count) for count in short)

    async def _dial_on(self) -> None:
        pause_s, dialling = _FIRST_PAUSE_S, set[asyncio.Task[bool]]()
        try:
            while True:
                lacking = min(_MOST_AT_ONCE, self._count_lacking()) - len(dialling)
                dialling |= {asyncio.create_task(self._dial()) for _ in range(lacking)}
                self._changed.clear()
                change = asyncio.create_task(self._changed.wait())
                try:
                    await asyncio.wait([*dialling, change], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    change.cancel()
                done = {each for each in dialling if each.done()}
                dialling -= done
                has_failed = not all(each.result() for each in done)
                if has_failed or self._surpluses >= _MOST_SURPLUSES:
                    await self._rest(pause_s * random.uniform(0.5, 1.0), has_failed=has_failed)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                elif done:
                    pause_s = _FIRST_PAUSE_S
        finally:
            for task in dialling:
                task.cancel()

    async def _rest(self, pause_s: float, *, has_failed: bool) -> None:
        """Pause. While one gateway cannot be met, the others still get their links soon."""
        await asyncio.sleep(min(pause_s, _FIRST_PAUSE_S))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s - _FIRST_PAUSE_S):
                while has_failed or not self._count_short():
                    self._changed.clear()
                    await self._changed.wait()

    async def _dial(self) -> bool:
        """Open one link. Return whether a gateway has greeted."""
        begin = self._begin
        try:
            key = await asyncio.to_thread(_read_key, begin.api_key)
        except OSError as error:
            self._note_fault(f"its key cannot be read: {error.strerror}")
            return False
        headers = {
            "Authorization": f"Bearer {key}",
            "Voxgate-Machine": begin.machine,
            "Voxgate-Version": begin.version,
            "Voxgate-Engines": ",".join(begin.engines),
        }
        try:
            handshake = await _Connect(
                self._address,
                create_connection=_Handshake,
                additional_headers=headers,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                ping_interval=None,
                open_timeout=_DIAL_S,
                max_size=MESSAGE_BYTES,
                ssl=self._trust,
            )
        except (OSError, TimeoutError, InvalidHandshake, EOFError, ImportError) as error:
            self._note_fault(_fault_of(error))
            return False
        assert isinstance(handshake, _Handshake)
        link = GatewayLink(handshake, self)
        self.links.add(link)
        try:
            async with asyncio.timeout(_GREETING_S):
                is_greeted = await link.greeted
        except TimeoutError:
            is_greeted = False
            link.close_side()
        self._note_fault("" if is_greeted else "it opens a link and does not greet: is it a gateway?")
        if is_greeted:
            self._close_surplus(link)
        return is_greeted

    def _close_surplus(self, link: GatewayLink) -> None:
        """Close a link that its gateway does not need: behind one address, another gateway was meant."""
        waiting = self._waiting.get(link.gateway, set())
        if link in waiting and len(waiting) > _SPARE + self._wanted[link.gateway]:
            self._surpluses += 1
            waiting.discard(link)
            link.close_side()
        else:
            self._surpluses = 0

    async def _join_process(self, link: GatewayLink, target: str) -> None:
        path = Path(self._begin.folder) / f"{target}.sock"
        plain = Plain()
        if not TARGET.fullmatch(target):
            link.break_off("this is no process of a host")
            return
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: plain, str(path))
        except OSError:
            link.close_side()
            return
        join(link, plain)

    async def _look_at_links(self) -> None:
        loop = asyncio.get_running_loop()
        pinged_at = met_at = loop.time()
        while True:
            await asyncio.sleep(_LOOK_S)
            now = loop.time()
            is_due = now - pinged_at >= PING_S
            pinged_at = now if is_due else pinged_at
            for link in list(self.links):
                if link.was_silent(now):
                    link.transport.abort()
                elif is_due:
                    link.send_ping()
            met_at = now if len(self._waiting) >= self.gateways else met_at
            if now - met_at > _UNMET_S:
                met_at = now
                met, of = len(self._waiting), self.gateways
                _log.warning("host.gateways.unmet", gateway=self._url, met=met, of=of)

    def _note_fault(self, fault: str) -> None:
        """Log a fault once, and its end."""
        if fault and fault != self.fault:
            _log.warning("host.dial.failed", gateway=self._url, reason=fault)
        elif not fault and self.fault != "":
            _log.info("host.dial.complete", gateway=self._url)
        self.fault = fault


def _read_key(api_key: str) -> str:
    """Return the key, whose file may have changed. Raises OSError."""
    kind, _, path = api_key.partition(":")
    return Path(path).read_text(errors="replace").strip() if kind == "file" else api_key


def _fault_of(error: Exception) -> str:
    """Return why a dial failed, and what to do, without the key and without a proxy's password."""
    if isinstance(error, (InvalidStatus, InvalidProxyStatus)):
        answer = error.response
        server, status = cut(answer.headers.get("Server", ""))[:100], answer.status_code
        who = "the proxy on the way" if isinstance(error, InvalidProxyStatus) else "the answer"
        advice = "it leads elsewhere: give its address" if 300 <= status < 400 else _ADVICE.get(status, "")
        body = ""
        with suppress(ValueError, KeyError, TypeError):
            body = cut(str(msgspec.json.decode(answer.body or b"")["error"]["message"]))[:300]
        says = f"{who} is {status}{f' of {server}' if server else ''}"
        advice = "" if status == 403 and body else advice  # the gateway tells which of both it is
        return ": ".join(filter(None, (says, body.rstrip("."), advice)))
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); [host] authority names an own one"
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be reached: {error.strerror}"
    return f"{type(error).__name__}: it does not answer as a gateway"


_log = structlog.get_logger()
