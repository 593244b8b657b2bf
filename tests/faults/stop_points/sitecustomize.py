"""On a tested command's PYTHONPATH: it stops itself once it holds its connection to the control socket.

The command first tries whether a server answers there, then connects again to ask: it stops at the second.
"""

import os
import signal
import socket
from typing import Any

_connect = socket.socket.connect
_connections: list[str] = []


def _connect_and_stop(self: socket.socket, address: Any) -> None:
    _connect(self, address)
    if str(address).endswith("control.sock"):
        _connections.append(str(address))
        if len(_connections) == 2:
            os.kill(os.getpid(), signal.SIGSTOP)


socket.socket.connect = _connect_and_stop  # type: ignore[assignment,method-assign]
