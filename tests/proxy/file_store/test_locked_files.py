"""Locked files: each is whole or not there, is made by one at a time, and goes where its folder goes."""

import os
import threading
from pathlib import Path

import pytest

from proxy.file_store import locked_files


def test_a_lock_has_one_holder_however_many_ask(tmp_path: Path) -> None:
    holders, most = 0, 0
    counting = threading.Lock()

    def take_often() -> None:
        nonlocal holders, most
        taken = 0
        while taken < 100:
            lock = locked_files.take_lock(tmp_path / "name")
            if lock is None:
                continue
            taken += 1
            with counting:
                holders += 1
                most = max(most, holders)
            with counting:
                holders -= 1
            lock.release()

    threads = [threading.Thread(target=take_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, holders) == (1, 0)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_found_stays_readable_when_its_name_goes(tmp_path: Path) -> None:
    path = tmp_path / "name"
    _keep(path, b"the answer")
    found = locked_files.open_whole(path)
    assert locked_files.sweep(tmp_path, 0, 0.0) == (1, 0)
    assert not list(tmp_path.iterdir())
    assert found is not None
    with found:
        assert found.read() == b"the answer"


def test_a_lock_whose_name_was_taken_away_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "name"
    first = locked_files.take_lock(path)
    assert first is not None
    opened = locked_files._open_private

    def released_once_opened(lock: str, flags: int, *, folder: int) -> int:
        number = opened(lock, flags, folder=folder)
        monkeypatch.undo()
        first.release()
        return number

    monkeypatch.setattr(locked_files, "_open_private", released_once_opened)
    second = locked_files.take_lock(path)
    assert second is not None
    assert locked_files.take_lock(path) is None
    second.release()


def test_a_part_that_is_written_goes_where_its_folder_went(tmp_path: Path) -> None:
    path, away = tmp_path / "shelf" / "name", tmp_path / "away"
    lock = locked_files.take_lock(path)
    assert lock is not None
    path.parent.rename(away)
    other = locked_files.take_lock(path)
    assert other is not None
    with other.create_part() as half, lock.create_part() as part:
        half.write(b"half of another one")
        part.write(b"whole")
        lock.complete_part(part, lock.name)
    assert not path.exists()
    assert (away / "name").read_bytes() == b"whole"
    other.drop_part()
    for each in (lock, other):
        each.release()
    assert not list(path.parent.iterdir())


def test_a_part_that_is_written_into_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "shelf" / "name"
    lock = locked_files.take_lock(path)
    assert lock is not None
    with lock.create_part() as part:
        path.parent.rename(tmp_path / "away")
        for left in (tmp_path / "away").iterdir():
            left.unlink()
        (tmp_path / "away").rmdir()
        with pytest.raises(FileNotFoundError):
            lock.complete_part(part, lock.name)
    lock.release()
    assert not list(tmp_path.iterdir())


def test_a_file_may_get_another_name_than_its_lock(tmp_path: Path) -> None:
    lock = locked_files.take_lock(tmp_path / "name")
    assert lock is not None
    with lock.create_part() as part:
        part.write(b"whole")
        lock.complete_part(part, "other")
    lock.release()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("other", b"whole")]


def test_a_lock_that_is_forgotten_is_free(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert locked_files.take_lock(tmp_path / "name") is not None
    again = locked_files.take_lock(tmp_path / "name")
    assert again is not None
    again.release()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(("by_use", "left"), [(False, ["c", "d"]), (True, ["b", "d"])])
def test_the_first_to_go_are_the_too_old_then_the_oldest_or_longest_unused(
    tmp_path: Path, by_use: bool, left: list[str]
) -> None:
    for name, used, written in (
        ("a", 9_000, 10),
        ("b", 5_000, 2_000),
        ("c", 3_001, 3_000),
        ("d", 4_000, 4_000),
    ):
        _keep(tmp_path / name, bytes(100))
        os.utime(tmp_path / name, (used, written))
    assert locked_files.sweep(tmp_path, 250, 1_000.0, by_use=by_use) == (2, 200)
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_what_is_too_old_goes_even_where_there_is_room_for_it(tmp_path: Path) -> None:
    for name, written in (("old", 999), ("young", 1_001)):
        _keep(tmp_path / name, bytes(100))
        os.utime(tmp_path / name, (9_000, written))
    assert locked_files.sweep(tmp_path, 10_000, 1_000.0) == (1, 100)
    assert [path.name for path in tmp_path.iterdir()] == ["young"]


def test_a_half_that_a_killed_worker_left_is_in_no_file(tmp_path: Path) -> None:
    (tmp_path / "name.part").write_bytes(b"half of something long")
    _keep(tmp_path / "name", b"whole")
    assert (tmp_path / "name").read_bytes() == b"whole"


def _keep(path: Path, data: bytes) -> None:
    lock = locked_files.take_lock(path)
    assert lock is not None
    with lock.create_part() as part:
        part.write(data)
        lock.complete_part(part, lock.name)
    lock.release()
