"""GET /cluster/link: a host opens a link. The worker checks its key, and gives the connection away.

The links process alone knows how many links there are, and answers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from proxy.access.callers import caller_of
from proxy.errors import InvalidRequest, NotAllowed, ServerBusy, UpgradeRequired
from proxy.file_store.data_folder import RUNTIME_LINK
from proxy.hosts.links.handshake import send_joining
from proxy.hosts.links.link_messages import INBOX, MACHINE, SUBPROTOCOL, Joining
from proxy.http.endpoint import Endpoint
from proxy.http.upgrade import GIVE_AWAY, GiveAway
from speech_engine.bounds import cut

_PATH = "/cluster/link"
_MOST_ENGINES = 100
_PLACES_OF_OLD_KEYS = 16
_ENGINE = re.compile(r"[a-z0-9_-]{1,64}")
_HANDSHAKE_KEY = re.compile(r"[0-9A-Za-z+/]{22}==")


class LinkEndpoint:
    """The ASGI app of the path. `data` is the data folder, and `clusters` are those that engines use."""

    def __init__(self, data: str, clusters: Collection[str]) -> None:
        self._data, self._clusters = Path(data), clusters
        summary = "The link of a host to this gateway: a WebSocket, see docs/machines.md"
        self.endpoint = Endpoint("GET", _PATH, self, "open_link", summary, {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        joining = self._joining_of(Request(scope))
        give_away: GiveAway = scope["extensions"][GIVE_AWAY]
        if not give_away(partial(send_joining, self._inbox(), joining)):
            raise ServerBusy("This gateway takes no links now. Please try again later.")
        exchange = scope["state"]["exchange"]
        exchange.status, exchange.is_complete = 101, True

    def _joining_of(self, request: Request) -> Joining:
        """Return a handshake that the links process may answer. Raises the failures of all others."""
        headers, caller = request.headers, caller_of(request.scope)
        if "content-length" in headers or "transfer-encoding" in headers:
            raise InvalidRequest("A handshake has no body.", code="invalid_http")
        is_good = headers.get("sec-websocket-version") == "13" and SUBPROTOCOL in re.split(
            r"[,\s]+", headers.get("sec-websocket-protocol", "")
        )
        handshake_key = headers.get("sec-websocket-key", "")
        if (
            not is_good
            or not _HANDSHAKE_KEY.fullmatch(handshake_key)
            or GIVE_AWAY not in request.scope.get("extensions", {})
        ):
            raise UpgradeRequired(
                f"Only a WebSocket of the subprotocol {SUBPROTOCOL} can open a link. A proxy in between must "
                "pass the headers 'Upgrade' and 'Connection' on.",
                headers={"upgrade": "websocket", "sec-websocket-protocol": SUBPROTOCOL},
            )
        cluster = caller.caps.cluster or ""
        if not self._clusters or (cluster and cluster not in self._clusters):
            what = f"no cluster '{cluster}'" if cluster else "no clusters"
            raise NotAllowed(f"This gateway has {what} in its configuration.", code="no_such_cluster")
        machine = headers.get("voxgate-machine", "")
        if not MACHINE.fullmatch(machine):
            raise InvalidRequest("'Voxgate-Machine' must be mch_ and 24 hex digits.", param="Voxgate-Machine")
        engines = tuple(filter(None, re.split(r"[,\s]+", headers.get("voxgate-engines", ""))))
        if len(engines) > _MOST_ENGINES or not all(map(_ENGINE.fullmatch, engines)):
            message = f"'Voxgate-Engines' must be at most {_MOST_ENGINES} names of engines."
            raise InvalidRequest(message, param="Voxgate-Engines")
        address, _ = request.scope.get("client") or ("", 0)
        version, places = (
            cut(headers.get("voxgate-version", ""))[:64],
            caller.caps.hosts or _PLACES_OF_OLD_KEYS,
        )
        names = (machine, version, engines, address, handshake_key)
        return Joining(caller.key, caller.account, cluster, places, *names)

    def _inbox(self) -> str:
        """Return the path of the links process's socket. Raises ServerBusy if there is none."""
        try:
            return str(Path(os.readlink(self._data / RUNTIME_LINK)) / INBOX)
        except OSError:
            raise ServerBusy("This gateway has no place for links now. Please try again later.") from None
