"""What is flushed outlives a power cut: the file or the folder itself, and nothing stays open."""

import os
from pathlib import Path

import pytest

from proxy.storage.disk_names import flush


@pytest.mark.parametrize("name", ["", "file"])
def test_a_file_and_a_folder_are_flushed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.fstat(descriptor).st_ino))
    before = len(os.listdir("/proc/self/fd"))
    flush(tmp_path / name)
    assert flushed == [(tmp_path / name).stat().st_ino]
    assert len(os.listdir("/proc/self/fd")) == before
