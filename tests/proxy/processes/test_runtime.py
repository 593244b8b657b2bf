"""The lock, the port and the runtime folder of a server."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from proxy.errors import CannotServe
from proxy.processes import runtime


def _rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_data_folder_is_made_for_its_owner_alone_and_has_one_holder(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    with runtime.locked(data):
        assert _rights(data) == 0o700
        with pytest.raises(CannotServe, match=f"another voxgate already runs on {data}"):
            with runtime.locked(data):
                pass
    with runtime.locked(data):
        assert _rights(data / "lock") == 0o600


def test_a_data_folder_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    with runtime.locked(data):
        assert stat.S_IMODE(data.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_data_folder_of_another_user_that_others_can_read_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    os.chown(data, 12345, -1)
    with pytest.raises(CannotServe, match=f"chmod 700 {data} as that user"), runtime.locked(data):
        pytest.fail("it was taken")
    assert stat.S_IMODE(data.stat().st_mode) == 0o755


def test_a_folder_that_is_shared_with_others_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sticky, system = tmp_path / "sticky", tmp_path / "system"
    assert "/usr" in runtime._SHARED
    monkeypatch.setattr(runtime, "_SHARED", {str(system)})
    for shared, rights in ((sticky, 0o1777), (system, 0o755)):
        shared.mkdir()
        shared.chmod(rights)
        with pytest.raises(CannotServe, match="is shared with others"), runtime.locked(shared):
            pytest.fail("it was taken")
        assert (_rights(shared), [*shared.iterdir()]) == (rights, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir(mode=0o700)
    os.chown(data, 12345, 12346)
    elsewhere.touch()
    with runtime.locked(data):
        (data / "voices").mkdir()
        (data / "voices" / "one").touch()
        (data / "link").symlink_to(elsewhere)
        os.link(elsewhere, data / "other-name")
    owners = {str(each.relative_to(data)): each.lstat().st_uid for each in data.rglob("*")}
    assert owners == {"lock": 12345, "voices": 12345, "voices/one": 12345, "link": 12345, "other-name": 0}
    assert elsewhere.stat().st_uid == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_a_dev_key_is_for_this_machine(host: str) -> None:
    runtime.check_dev_key(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "voxgate.example", ""])
def test_a_dev_key_is_refused_where_others_can_come(host: str) -> None:
    with pytest.raises(CannotServe, match=r"server\.dev_key"):
        runtime.check_dev_key(host)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotServe, match=r"server.data: .*file/data cannot be written: Not a directory"):
        with runtime.locked(tmp_path / "file" / "data"):
            pass


def test_a_port_that_is_taken_is_named() -> None:
    with runtime.listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            CannotServe, match=f"cannot listen on 127.0.0.1:{port}: .*choose another with --port"
        ):
            runtime.listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "2001:db8::1", "x" * 64])
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(CannotServe, match=f"cannot listen on {host}"):
        runtime.listen(host, 0)


def test_clients_may_connect_before_anybody_accepts() -> None:
    with (
        runtime.listen("127.0.0.1", 0) as listener,
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


@pytest.mark.parametrize("base", ["", "/no/such/folder", "a long one"])
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


def test_looking_whether_the_folder_is_held_makes_and_holds_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert not runtime.is_held(data)
    assert not data.exists()
    with runtime.locked(data):
        assert runtime.is_held(data)
    assert not runtime.is_held(data), "the file stays, but it holds nothing"
    with (data / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not runtime.is_held(data), "another one who looks is no server"


def test_a_server_that_starts_while_somebody_looks_starts(tmp_path: Path) -> None:
    with runtime.locked(tmp_path):
        pass
    with (tmp_path / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        threading.Timer(0.05, fcntl.flock, (other, fcntl.LOCK_UN)).start()
        with runtime.locked(tmp_path):
            assert runtime.is_held(tmp_path)
