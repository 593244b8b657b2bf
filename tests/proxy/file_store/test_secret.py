"""The secret for the names of kept files: made once, and read by nobody else."""

import stat
import threading
from pathlib import Path

import pytest

from proxy.file_store import locked_files
from proxy.file_store.locked_files import Lock

SECRET = bytes(range(32))


def test_the_secret_is_made_once_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    file, made = tmp_path / "cache-key", set[bytes]()
    starting = threading.Barrier(8)

    def ensure() -> None:
        starting.wait()
        made.add(locked_files.ensure_secret(file))

    threads = [threading.Thread(target=ensure) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == {file.read_bytes()}
    assert len(file.read_bytes()) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["cache-key"]


@pytest.mark.parametrize("left", [b"", b"short"])
def test_what_was_cut_short_is_made_anew_only_if_it_is_cheap(tmp_path: Path, left: bytes) -> None:
    file = tmp_path / "cache-key"
    file.write_bytes(left)
    assert locked_files.ensure_secret(file) == file.read_bytes() == left
    assert len(made := locked_files.ensure_secret(file, is_cheap=True)) == 32
    assert locked_files.ensure_secret(file) == locked_files.ensure_secret(file, is_cheap=True) == made


def test_nothing_is_made_in_place_of_a_link_whose_end_is_away(tmp_path: Path) -> None:
    file = tmp_path / "mark-keys"
    file.symlink_to(tmp_path / "not mounted" / "mark-keys")
    with pytest.raises(FileNotFoundError):
        locked_files.ensure_secret(file)
    assert file.is_symlink()


def test_a_secret_that_another_worker_made_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, take = tmp_path / "cache-key", locked_files.take_lock

    def late(path: Path) -> Lock | None:
        file.write_bytes(SECRET)
        return take(path)

    monkeypatch.setattr(locked_files, "take_lock", late)
    assert locked_files.ensure_secret(file) == SECRET
