"""The machine: its limits, set for a real process, and a data folder that is full, remote or closed."""

import json
import os
import resource
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.diagnosis.doctor import machine
from tests import forked
from tests.proxy.diagnosis.doctor.checks import configured, only
from tests.tables import each_row

pytestmark = pytest.mark.slow


def found_in(done: subprocess.CompletedProcess[str], check: str) -> tuple[str, str]:
    """What `voxgate doctor --json` says of this check."""
    (row,) = (row for row in json.loads(done.stdout)["data"] if row["check"] == check)
    return row["state"], row["found"]


@each_row(("files", "state"), [(8192, "ok"), (1024, "note"), (200, "wrong")])
def test_few_open_files_are_few_requests(tmp_path: Path, files: int, state: str) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < files:
        pytest.skip(f"this machine does not grant {files} open files")
    limited = ["sh", "-c", f'ulimit -n {files} && exec "{forked.VOXGATE}" doctor --json']
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, check=False)
    said, found = found_in(done, "open files")
    assert (said, f"up to {files}" in found) == (state, True)


def test_a_runtime_folder_with_a_long_path_is_not_used(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    for runtime, state in ((str(long), "note"), ("/no/such/folder", "note"), ("", "ok")):
        done = forked.command("doctor", "--json", cwd=tmp_path, environ={"XDG_RUNTIME_DIR": runtime})
        assert found_in(done, "sockets")[0] == state, runtime


def _measured(f_bavail: int, f_files: int = 1000, f_favail: int = 500) -> os.statvfs_result:
    """Return the room of a file system with blocks of 4096 bytes."""
    return os.statvfs_result((4096, 4096, 0, 0, f_bavail, f_files, 0, f_favail, 0, 255))


def test_a_folder_that_is_not_there_is_fine_and_is_not_made(tmp_path: Path) -> None:
    result = only(machine.data_folder(configured(tmp_path)))
    assert (result.verdict, "the first start makes it" in result.found) == ("ok", True)
    assert not (tmp_path / "data").exists()


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert only(machine.data_folder(configured(tmp_path))).verdict == "ok"
    assert list((tmp_path / "data").iterdir()) == []


def test_a_file_in_its_place_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    result = only(machine.data_folder(configured(tmp_path)))
    assert (result.verdict, result.found) == ("wrong", f"{tmp_path / 'data'} is not a folder")


def test_a_folder_that_nobody_can_write_is_wrong(tmp_path: Path) -> None:
    # The kernel's own folder refuses root too.
    result = only(machine.data_folder(configured(tmp_path, '[server]\ndata = "/proc/1"\n')))
    assert result.verdict == "wrong"
    assert "/proc/1 cannot be written" in result.found


@each_row(
    ("measured", "state"),
    [
        (_measured(f_bavail=2**20), "ok"),
        (_measured(f_bavail=2**16), "note"),
        (_measured(f_bavail=2**10), "wrong"),
        (_measured(f_bavail=0), "wrong"),
        (_measured(f_bavail=2**20, f_favail=0), "wrong"),
        (_measured(f_bavail=2**20, f_files=0, f_favail=0), "ok"),
    ],
)
def test_a_disk_is_full_by_its_blocks_or_its_files(
    tmp_path: Path, measured: os.statvfs_result, state: str
) -> None:
    assert only(machine.disk(configured(tmp_path), lambda _folder: measured)).verdict == state


def test_the_room_is_that_of_the_real_disk(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    free_gb = found.f_bavail * found.f_frsize / 1e9
    said = float(only(machine.disk(configured(tmp_path))).found.split(" ")[0].replace(",", ""))
    assert said == pytest.approx(free_gb, abs=1.0)


@each_row(
    ("line", "state"),
    [
        ("30 1 0:30 / {folder} rw - ext4 /dev/sda1 rw", "ok"),
        ("30 1 0:30 / {folder} rw - nfs4 server:/export rw", "wrong"),
        ("30 1 0:30 / {folder} rw shared:1 - fuse.sshfs me@server: rw", "wrong"),
        ("30 1 0:30 / {folder}/elsewhere rw - nfs4 server:/export rw", "ok"),
        ("30 1 0:30 / {folder} rw - nfs4 server: rw\n31 30 0:31 / {folder} rw - xfs /dev/sdb rw", "ok"),
    ],
)
def test_sqlite_needs_a_local_disk(tmp_path: Path, line: str, state: str) -> None:
    place = tmp_path / "a b"
    place.mkdir()
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 0:1 / / rw - overlay overlay rw\n" + line.format(folder=str(place).replace(" ", r"\040")) + "\n"
    )
    assert only(machine.file_system(configured(place), mounts)).verdict == state
    postgres = configured(place, '[storage]\nurl = "postgresql://there/voxgate"\n')
    assert list(machine.file_system(postgres, mounts)) == []


def test_the_real_mounts_can_be_read(tmp_path: Path) -> None:
    assert only(machine.file_system(configured(tmp_path))).found not in ("", "unknown")


class Disk:
    """A disk by its own clock: each flush takes so long. Other programs write to it meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, flush_ms: float, others_mb: float = 0.0) -> None:
        self.now = 0.0
        self.flushes = 0
        self._flush_ms, self._others_mb = flush_ms, others_mb
        clock = SimpleNamespace(perf_counter=lambda: self.now, monotonic=lambda: self.now)
        monkeypatch.setattr(machine, "time", clock)
        monkeypatch.setattr(machine, "_written_bytes", lambda _descriptor: self._written())

    def flush(self, descriptor: int) -> None:
        os.fdatasync(descriptor)
        self.flushes += 1
        self.now += self._flush_ms / 1000

    def _written(self) -> int:
        return round(self.flushes * (8192 + self._others_mb * 1e6 / 50))


@each_row(
    ("flush_ms", "others_mb", "verdict", "says"),
    [
        (0.4, 0.0, "ok", "50 of them took 0.4 ms in the middle and 0 ms at most"),
        (0.4, 900.0, "ok", "50 of them took 0.4 ms"),
        (
            30.0,
            0.0,
            "note",
            "slow: 50 of them took 30.0 ms in the middle and 30 ms at most; the disk itself is slow",
        ),
        (30.0, 900.0, "note", "other programs wrote 897 MB to that disk meanwhile"),
        (500.0, 0.0, "note", "slow: 4 of them took 500.0 ms"),
    ],
)
def test_slow_flushes_are_told_with_their_reason_within_two_seconds(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flush_ms: float,
    others_mb: float,
    verdict: str,
    says: str,
) -> None:
    disk = Disk(monkeypatch, flush_ms, others_mb)
    result = only(machine.flushes(configured(tmp_path), disk.flush))
    assert result.verdict == verdict
    assert says in result.found
    assert disk.now <= 2.0
    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]


def test_a_real_disk_is_timed_where_the_database_lies(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert " of them took " in only(machine.flushes(configured(tmp_path))).found
    remote = configured(tmp_path, '[storage]\nurl = "postgresql://a:b@127.0.0.1/c"\n')
    assert [*machine.flushes(remote)] == []
