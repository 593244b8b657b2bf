"""The listening socket, and the private runtime folder of a server."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxy.config.addresses import is_local, why_not_listening
from proxy.errors import CannotServe
from proxy.file_store import data_folder

CONTROL_SOCKET = "control.sock"
_PORT_ADVICE = "choose another with --port (make serve PORT=8001)"


def check_dev_key(host: str) -> None:
    """Raise CannotServe if other machines could reach a server with a dev key."""
    if not is_local(host):
        raise CannotServe(
            f"server.dev_key: the dev key has no limits and is for this machine alone, and {host} can be "
            "reached from elsewhere; leave it out and run voxgate keys create"
        )


def open_listener(host: str, port: int, advice: str = _PORT_ADVICE) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError, UnicodeError) as error:
        raise CannotServe(f"cannot listen on {host}:{port}: {why_not_listening(error)}; {advice}") from None


def runtime_base() -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    # Under sudo and in containers the variable often names a missing folder, or another user's.
    is_usable = len(base) < 40 and os.access(base, os.W_OK | os.X_OK)  # `runtime_folder` says why so short
    return Path(base if is_usable else "/tmp")


@contextmanager
def runtime_folder(data: Path) -> Iterator[Path]:
    """Make a private folder with a short path, since a socket's path has at most 107 characters.

    `data/run` points there.
    """
    folder = Path(tempfile.mkdtemp(prefix="voxgate-", dir=runtime_base()))
    link = data / data_folder.RUNTIME_LINK
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    try:
        yield folder
    finally:
        link.unlink(missing_ok=True)
        for leftover in folder.glob("*"):
            leftover.unlink(missing_ok=True)
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass  # the last child has removed it


def control_socket(folder: Path) -> socket.socket:
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The rights are set before bind: between bind and chmod others could open the socket.
    old_umask = os.umask(0o177)
    try:
        control.bind(str(folder / CONTROL_SOCKET))
    finally:
        os.umask(old_umask)
    control.listen(64)
    return control


def control_address(data: Path) -> str | None:
    """Return the path of a running server's control.sock, if there is one."""
    try:
        address = Path(os.readlink(data / data_folder.RUNTIME_LINK)) / CONTROL_SOCKET
    except OSError:
        return None
    return str(address) if address.exists() else None
