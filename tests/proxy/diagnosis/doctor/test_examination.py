"""The command as a whole: its statuses, its two ways to print, and that nothing holds it up."""

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.config.finding import Finding, ok
from proxy.diagnosis.doctor.examination import run_within
from tests import forked
from tests.proxy.diagnosis.doctor.checks import only
from tests.server import free_port


def run(folder: Path, config: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    if config is not None:
        (folder / "config.toml").write_text(config)
    return forked.command("doctor", *arguments, cwd=folder, environ={"COLUMNS": "300"})


def fitting() -> str:
    return (
        f'[server]\nport = {free_port()}\nmetrics = ""\ndefault_model = "tone/standard"\n'
        'default_voice = "tone/tone"\n[engines.tone]\n'
    )


def test_a_machine_that_is_well_is_a_status_of_0_and_left_as_it_was(tmp_path: Path) -> None:
    done = run(tmp_path, fitting(), "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr, answer["ok"]) == (0, "", True), done.stdout
    checks = [row["check"] for row in answer["data"]]
    assert checks == [
        *("python", "packages", "open files", "confinement", "sockets", "config", "data folder"),
        *("disk", "file system", "flushes", "server", "port", "sqlite", "database", "vault", "hearing"),
        *("certificate", "engine", "retirement"),
    ]
    assert list(tmp_path.iterdir()) == [tmp_path / "config.toml"]


def test_a_person_reads_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    done = run(tmp_path, fitting())
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("wrong"))
    assert f"{tmp_path / 'data'} is not a folder" in line
    assert "make it a folder" in line
    assert any(line.startswith("ok") for line in done.stdout.splitlines())


def test_a_broken_config_has_a_line_for_each_fault_and_the_machine_is_still_examined(tmp_path: Path) -> None:
    done = run(tmp_path, "[server]\nport = -1\nprot = 1\n", "--json")
    rows = json.loads(done.stdout)["data"]
    assert done.returncode == 1
    assert [row["found"] for row in rows if row["check"] == "config" and row["state"] == "wrong"] != []
    assert sum(row["check"] == "config" for row in rows) == 2
    assert {"python", "packages", "open files", "sockets", "the rest"} <= {row["check"] for row in rows}


@pytest.mark.parametrize("arguments", [("--config", "/no/such.toml"), ("--config", "/proc")])
def test_a_config_that_is_not_there_is_a_line_too(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, None, *arguments, "--json")
    (row,) = (row for row in json.loads(done.stdout)["data"] if row["check"] == "config")
    assert (done.returncode, row["state"], arguments[1] in row["found"]) == (1, "wrong", True)


def test_no_secret_of_the_config_is_printed(tmp_path: Path) -> None:
    config = (
        f'[storage]\nurl = "postgresql://voxgate:hunter2@127.0.0.1:{free_port()}/voxgate"\n[engines.tone]\n'
    )
    for broken in ("", "url = 1\n"):
        done = run(tmp_path, config + broken)
        assert done.returncode == 1
        assert "hunter2" not in done.stdout + done.stderr


def test_a_check_that_hangs_does_not_hold_up_the_others() -> None:
    release = threading.Event()

    def hang() -> Iterator[Finding]:
        release.wait()
        yield ok("disk", "after all")

    stuck = only(run_within(0.05, "disk", hang))
    release.set()
    assert (stuck.what, stuck.verdict, "no answer within" in stuck.found) == ("disk", "wrong", True)


def test_a_check_that_fails_itself_tells_its_class_alone() -> None:
    def fail() -> Iterator[Finding]:
        raise RuntimeError("hunter2")

    failed = only(run_within(5.0, "disk", fail))
    assert (failed.verdict, failed.found) == ("wrong", "the check itself failed: RuntimeError")
