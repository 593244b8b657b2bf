"""A forward proxy between obstore and a bucket, which limits the length of answers. obstore reads each answer
into memory, however long: a store that sent without an end took 3 GB in seconds. TLS passes unread.
"""

from __future__ import annotations

import base64
import secrets
import selectors
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

_PIECE_BYTES = 64 * 1024
_WITHIN_S = 5.0
_RETRY_S = 0.1
_REQUEST_BYTES = 256
"""A signed request is longer. Messages that TLS sends by itself are shorter, and need no answer."""


class BoundedRelay:
    """Breaks a connection on which more than `most_bytes` come in answer to one request. Only a client that
    knows the `url` with its token may pass, because other programs of the machine reach the port, too."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, token = most_bytes, secrets.token_hex(16)
        self._credentials = base64.b64encode(f"voxgate:{token}".encode())
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://voxgate:{token}@127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="bucket-relay", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), name="bucket-relay", daemon=True).start()
            except (OSError, RuntimeError):
                # This process may open no more files or threads now.
                time.sleep(_RETRY_S)

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError), client:
            client.settimeout(_WITHIN_S)
            head = client.recv(_PIECE_BYTES)  # which obstore writes at once
            if self._credentials not in head:
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
        answer_bytes = 0
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, (client, server))
            selector.register(server, selectors.EVENT_READ, (server, client))
            while answer_bytes <= self._most_bytes:
                for key, _ in selector.select():
                    reader, writer = key.data
                    if not (data := reader.recv(_PIECE_BYTES)):
                        return
                    writer.sendall(data)
                    if reader is server:
                        answer_bytes += len(data)
                    elif len(data) > _REQUEST_BYTES:
                        answer_bytes = 0  # a new request
