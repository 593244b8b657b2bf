"""Limits of the system, set for a real process."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.server import VOXGATE


def examined(folder: Path, check: str, *, files: int = 512, **environ: str) -> tuple[str, str]:
    """What the command says when it may have so many open files."""
    done = subprocess.run(
        ["sh", "-c", f'ulimit -n {files} && exec "{VOXGATE}" doctor --json'],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    (row,) = (row for row in json.loads(done.stdout)["data"] if row["check"] == check)
    return row["state"], row["found"]


@pytest.mark.parametrize(("files", "state"), [(8192, "ok"), (1024, "note"), (200, "wrong")])
def test_few_open_files_are_few_requests(tmp_path: Path, files: int, state: str) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < files:
        pytest.skip(f"this machine does not grant {files} open files")
    said, found = examined(tmp_path, "open files", files=files)
    assert (said, f"up to {files}" in found) == (state, True)


def test_a_runtime_folder_with_a_long_path_is_not_used(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    assert examined(tmp_path, "sockets", XDG_RUNTIME_DIR=str(long))[0] == "note"
    assert examined(tmp_path, "sockets", XDG_RUNTIME_DIR="/no/such/folder")[0] == "note"
    assert examined(tmp_path, "sockets", XDG_RUNTIME_DIR="")[0] == "ok"
