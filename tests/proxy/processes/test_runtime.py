"""The port and the runtime folder of a server."""

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from proxy.config.sections import Server
from proxy.errors import CannotServe
from proxy.processes import runtime, start_checks
from tests.tables import each_row


def _rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@each_row("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_a_dev_key_is_for_this_machine(host: str) -> None:
    runtime.check_dev_key(host)


@each_row("host", ["0.0.0.0", "::", "192.168.1.7", "voxgate.example", ""])
def test_a_dev_key_is_refused_where_others_can_come(host: str) -> None:
    with pytest.raises(CannotServe, match=r"server\.dev_key"):
        runtime.check_dev_key(host)


def test_a_port_that_is_taken_is_named() -> None:
    with runtime.open_listener("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            CannotServe, match=f"127.0.0.1:{port}: the port is taken; choose another with --port"
        ):
            runtime.open_listener("127.0.0.1", port)


def test_ports_that_were_tried_are_free_again() -> None:
    with runtime.open_listener("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        free = Server(port=0, metrics="")
        start_checks.try_ports(free)
        with pytest.raises(CannotServe, match=f":{port}: .*choose another with --port"):
            start_checks.try_ports(Server(port=port, metrics=""))
        with pytest.raises(CannotServe, match=f":{port}: .*that of server.metrics; choose another, or"):
            start_checks.try_ports(Server(port=0, metrics=f"127.0.0.1:{port}"))
    start_checks.try_ports(Server(port=port, metrics=""))
    runtime.open_listener("127.0.0.1", port).close()


@each_row("host", ["no-such-host.invalid", "192.0.2.1", "2001:db8::1", "x" * 64])
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(CannotServe, match=f"cannot listen on {host}"):
        runtime.open_listener(host, 0)


def test_clients_may_connect_before_anybody_accepts() -> None:
    with (
        runtime.open_listener("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        client.sendall(b"early")


def test_the_runtime_folder_is_private_short_and_gone_afterwards(tmp_path: Path) -> None:
    with runtime.runtime_folder(tmp_path) as folder:
        assert _rights(folder) == 0o700
        assert len(str(folder / "an-engine-of-a-long-name.12.1000.sock")) < 107
        assert Path(os.readlink(tmp_path / "run")) == folder
        (folder / "left.sock").touch()
    assert not folder.exists()
    assert not (tmp_path / "run").is_symlink()


def test_the_last_child_out_may_have_removed_the_folder(tmp_path: Path) -> None:
    with runtime.runtime_folder(tmp_path) as folder:
        folder.rmdir()
    assert not (tmp_path / "run").is_symlink()


def test_files_that_a_killed_server_left_in_the_data_folder_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "of-a-server-long-gone")
    assert runtime.control_address(tmp_path) is None
    with runtime.runtime_folder(tmp_path) as folder, runtime.control_socket(folder):
        assert runtime.control_address(tmp_path) == str(folder / "control.sock")


def test_a_usable_xdg_runtime_dir_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        with runtime.runtime_folder(tmp_path) as folder:
            assert folder.parent == Path(short)


@each_row("base", ["", "/no/such/folder", "a long one"])
def test_a_folder_that_is_missing_or_too_long_is_not_used(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("a-long-name" * 4)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long) if base == "a long one" else base)
    with runtime.runtime_folder(tmp_path) as folder:
        assert folder.parent == Path("/tmp")


def test_the_control_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert runtime.control_address(tmp_path) is None
    with runtime.runtime_folder(tmp_path) as folder, runtime.control_socket(folder) as control:
        assert _rights(folder / "control.sock") == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(control.getsockname())
    assert runtime.control_address(tmp_path) is None
