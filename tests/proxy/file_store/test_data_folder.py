"""Who holds a data folder, and whose it is."""

import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from proxy.errors import CannotServe
from proxy.file_store import data_folder


def _rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_data_folder_is_made_for_its_owner_alone_and_has_one_holder(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    with data_folder.lock_data_folder(data):
        assert _rights(data) == 0o700
        with pytest.raises(CannotServe, match=f"another voxgate already runs on {data}"):
            with data_folder.lock_data_folder(data):
                pass
    with data_folder.lock_data_folder(data):
        assert _rights(data / "lock") == 0o600


def test_readers_share_a_data_folder_with_each_other_alone(tmp_path: Path) -> None:
    with (
        data_folder.lock_data_folder(tmp_path, is_shared=True),
        data_folder.lock_data_folder(tmp_path, is_shared=True),
    ):
        with (
            pytest.raises(CannotServe, match="another voxgate already runs"),
            data_folder.lock_data_folder(tmp_path),
        ):
            pytest.fail("it was taken")
    with data_folder.lock_data_folder(tmp_path):
        with pytest.raises(CannotServe), data_folder.lock_data_folder(tmp_path, is_shared=True):
            pytest.fail("it was taken")


def test_a_data_folder_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    with data_folder.lock_data_folder(data):
        assert stat.S_IMODE(data.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_data_folder_of_another_user_that_others_can_read_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    os.chown(data, 12345, -1)
    with (
        pytest.raises(CannotServe, match=f"chmod 700 {data} as that user"),
        data_folder.lock_data_folder(data),
    ):
        pytest.fail("it was taken")
    assert stat.S_IMODE(data.stat().st_mode) == 0o755


def test_a_folder_that_is_shared_with_others_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sticky, system = tmp_path / "sticky", tmp_path / "system"
    assert "/usr" in data_folder._SYSTEM_FOLDERS
    monkeypatch.setattr(data_folder, "_SYSTEM_FOLDERS", {str(system)})
    for shared, rights in ((sticky, 0o1777), (system, 0o755)):
        shared.mkdir()
        shared.chmod(rights)
        with pytest.raises(CannotServe, match="is shared with others"), data_folder.lock_data_folder(shared):
            pytest.fail("it was taken")
        assert (_rights(shared), [*shared.iterdir()]) == (rights, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir(mode=0o700)
    os.chown(data, 12345, 12346)
    elsewhere.touch()
    with data_folder.lock_data_folder(data):
        (data / "voices").mkdir()
        (data / "voices" / "one").touch()
        (data / "link").symlink_to(elsewhere)
        os.link(elsewhere, data / "other-name")
    owners = {str(each.relative_to(data)): each.lstat().st_uid for each in data.rglob("*")}
    assert owners == {"lock": 12345, "voices": 12345, "voices/one": 12345, "link": 12345, "other-name": 0}
    assert elsewhere.stat().st_uid == 0


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotServe, match=r"server.data: .*file/data cannot be written: Not a directory"):
        with data_folder.lock_data_folder(tmp_path / "file" / "data"):
            pass


def test_looking_whether_the_folder_is_held_makes_and_holds_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert not data_folder.is_held(data)
    assert not data.exists()
    with data_folder.lock_data_folder(data):
        assert data_folder.is_held(data)
    assert not data_folder.is_held(data), "the file stays, but it holds nothing"
    with (data / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not data_folder.is_held(data), "another one who looks is no server"


def test_a_server_that_starts_while_somebody_looks_starts(tmp_path: Path) -> None:
    with data_folder.lock_data_folder(tmp_path):
        pass
    with (tmp_path / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        threading.Timer(0.05, fcntl.flock, (other, fcntl.LOCK_UN)).start()
        with data_folder.lock_data_folder(tmp_path):
            assert data_folder.is_held(tmp_path)
