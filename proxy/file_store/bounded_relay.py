"""A relay before a bucket. obstore reads each answer into memory, however long: a store that sent without an
end took 3 GB in seconds. So its connections pass here, as over a forward proxy, and TLS goes through unread.
"""

from __future__ import annotations

import base64
import secrets
import selectors
import socket
import threading
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from obstore.store import ClientConfig

_PIECE_BYTES = 64 * 1024
_WITHIN_S = 5.0
_REQUEST_BYTES = 256
"""A signed request is longer. What TLS sends by itself is shorter, and asks for no answer."""


class BoundedRelay:
    """It breaks a connection on which more than `most_bytes` come in answer to one request. Only this process
    may pass: other programs of the machine reach its port as well."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        token = secrets.token_hex(16)
        self._pass = base64.b64encode(f"voxgate:{token}".encode())
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://voxgate:{token}@127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._accept, name="bucket-relay", daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._door.accept()
            threading.Thread(target=self._serve, args=(client,), name="bucket-relay", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError), client:
            client.settimeout(_WITHIN_S)
            head = b""
            while (
                b"\r\n\r\n" not in head and len(head) < _PIECE_BYTES and (part := client.recv(_PIECE_BYTES))
            ):
                head += part
            if self._pass not in head:
                return
            method, target, _ = head.decode("latin-1").split(" ", 2)
            place = urlsplit(f"//{target}" if method == "CONNECT" else target)
            with socket.create_connection((place.hostname or "", place.port or 80), _WITHIN_S) as server:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    server.sendall(head)
                self._pass_on(client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        come = 0
        with selectors.DefaultSelector() as selector:
            for reader, writer in ((client, server), (server, client)):
                selector.register(reader, selectors.EVENT_READ, writer)
            while come <= self._most_bytes:
                for key, _ in selector.select():
                    assert isinstance(key.fileobj, socket.socket)
                    if not (data := key.fileobj.recv(_PIECE_BYTES)):
                        return
                    key.data.sendall(data)
                    if key.fileobj is server:
                        come += len(data)
                    elif len(data) > _REQUEST_BYTES:
                        come = 0


def relay_options(endpoint: str, most_bytes: int) -> ClientConfig:
    """Return the options of obstore for a bounded relay. If the environment names a forward proxy for the
    store, obstore uses that one alone."""
    parts = urlsplit(endpoint or "https://amazonaws.com")
    if urllib.request.getproxies().get(parts.scheme) and not urllib.request.proxy_bypass(parts.netloc):
        return {}
    # The excluded addresses have the keys of a machine's role.
    excluded = "169.254.169.254,169.254.170.2,169.254.170.23"
    return {"proxy_url": BoundedRelay(most_bytes).url, "proxy_excludes": excluded, "http1_only": True}
