"""A server that runs, one that does not answer, one that was killed; and who has the ports."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.diagnosis.doctor import server as doctor_server
from proxy.diagnosis.doctor.server import metrics_port, port, server
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.features.models import natural_voices
from proxy.features.models.fetch_note import FetchNote
from proxy.features.models.listing import open_galleries
from proxy.file_store import data_folder
from proxy.processes import runtime
from tests.proxy.cli.test_main import Run, folder, run
from tests.proxy.diagnosis.doctor.checks import configured, only
from tests.server import TONE, VOXGATE, Server, free_port, running
from tests.tables import each_row
from tests.waiting import until

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]

Said = Callable[[Server, str], dict[str, list[dict[str, Any]]]]


@contextmanager
def listening(port: int, answer: bytes = b"") -> Iterator[None]:
    """A program of somebody else's; without an answer it hangs up at once."""
    program = (
        "import socket, sys\n"
        "s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "print('up', flush=True)\n"
        "while True:\n"
        "    c, _ = s.accept(); c.sendall(sys.argv[2].encode()); c.close()\n"
    )
    command = [sys.executable, "-c", program, str(port), answer.decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One on the port that its file names, as operators run it; its metrics port is in the file too."""
    folder = tmp_path_factory.mktemp("doctor")
    metrics = f"127.0.0.1:{free_port()}"
    text = TONE.replace("[server]", f'[server]\nport = {free_port()}\nmetrics = "{metrics}"')
    text += '[engines.broken]\nplugin = "tone"\nfail = "no such fault"\n'
    text += '[engines.kokoro]\nmodel = "kokoro-voices"\n'
    environ = {"VOXGATE_SERVER__METRICS": metrics}
    with running(folder, text, environ=environ, command=(str(VOXGATE), "serve")) as server:
        yield server


@pytest.fixture
def said(run: Run, monkeypatch: pytest.MonkeyPatch) -> Said:
    """What a command says beside a server, by the kind of check."""

    def by_check(server: Server, command: str) -> dict[str, list[dict[str, Any]]]:
        monkeypatch.setenv("VOXGATE_CONFIG", str(server.config))
        rows = run(command, "--json").out
        found: dict[str, list[dict[str, Any]]] = {}
        for row in json.loads(rows[rows.index("{\n") :])["data"]:
            found.setdefault(row["check"], []).append(row)
        return found

    return by_check


def test_beside_its_running_server_the_taken_ports_are_fine(shared: Server, said: Said) -> None:
    found = said(shared, "doctor")
    for check in ("server", "port", "metrics port", "database", "data folder"):
        (row,) = found[check]
        assert row["state"] == "ok", row
    assert "running" in found["server"][0]["found"]
    assert "of the running server" in found["port"][0]["found"]
    assert "of the running server" in found["metrics port"][0]["found"]


def test_a_server_on_another_port_than_the_file_says_is_asked_where_it_is(tmp_path: Path, said: Said) -> None:
    taken = free_port()
    with listening(taken), running(tmp_path, TONE.replace("[server]", f"[server]\nport = {taken}")) as moved:
        found = said(moved, "doctor")
        (address,) = said(moved, "check")["address"]
    here = moved.url.removeprefix("http://")
    named = f"127.0.0.1:{taken}"
    (of_port, next_start), (of_metrics, *_) = found["port"], found["metrics port"]
    assert (of_port["state"], next_start["state"], of_metrics["state"]) == ("ok", "note", "ok")
    assert next_start["found"] == f"{named}, which the configuration names, is taken by another program"
    assert "--port" in next_start["do"]
    assert of_port["found"] == f"{here}, of the running server; the configuration names {named}"
    assert moved.metrics == f"http://{of_metrics['found'].partition(',')[0]}/metrics"
    assert (address["name"], address["found"]) == (
        named,
        f"1 worker(s); the running server listens on {here}",
    )


def test_an_engine_that_failed_in_the_running_server_is_named(shared: Server, said: Said) -> None:
    (failed,) = (row for row in said(shared, "doctor")["engine"] if row["found"].startswith("broken failed"))
    assert failed["state"] == "wrong"
    assert "engines.broken.fail: must be" in failed["found"]


def test_an_engine_that_could_not_be_fetched_is_named_with_the_command(shared: Server, said: Said) -> None:
    listed = natural_voices.first_models(open_galleries(registry.load()))
    fault = "kokoro-voices could not be fetched: npm is away. To try now, run: voxgate voices natural"
    FetchNote(str(shared.data), listed).write_note(fault=fault)

    def named() -> list[str]:
        return [row["do"] for row in said(shared, "doctor")["engine"] if fault in row["found"]]

    until(lambda: [each.partition(",")[0] for each in named()] == ["do what it says"])


def test_the_server_of_another_folder_is_told_apart(shared: Server, tmp_path: Path) -> None:
    loaded = configured(tmp_path, shared.config.read_text())
    for check in (port, metrics_port):
        result = only(check(loaded))
        assert result.verdict == "wrong"
        assert "of another data folder" in result.found


@each_row("answer", [b"", b"HTTP/1.0 200 OK\r\n\r\n{}", b"nonsense\r\n"])
def test_a_port_that_another_program_has_is_wrong(tmp_path: Path, answer: bytes) -> None:
    number = free_port()
    loaded = configured(tmp_path, f'[server]\nport = {number}\nmetrics = "127.0.0.1:{number}"\n')
    with listening(number, answer):
        for check in (port, metrics_port):
            result = only(check(loaded))
            assert (result.verdict, result.found) == (
                "wrong",
                f"127.0.0.1:{number} is taken by another program",
            )


@pytest.mark.clock
def test_a_program_that_takes_the_connection_and_says_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_server, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        loaded = configured(tmp_path, f"[server]\nport = {silent.getsockname()[1]}\n")
        assert "another program" in only(port(loaded)).found


@each_row(
    ("text", "state", "says"),
    [
        ("port = 0", "ok", "any free port"),
        ('host = "192.0.2.1"', "wrong", "cannot listen on 192.0.2.1:8000"),
        (f'host = "{"x" * 64}"', "wrong", f"cannot listen on {'x' * 64}:8000"),
    ],
)
def test_an_address_is_tried(tmp_path: Path, text: str, state: str, says: str) -> None:
    result = only(port(configured(tmp_path, f"[server]\n{text}\n")))
    assert (result.verdict, says in result.found) == (state, True), result


def test_a_metrics_port_that_cannot_be_one_is_wrong(tmp_path: Path) -> None:
    loaded = configured(tmp_path, '[server]\nmetrics = "127.0.0.1:70000"\n')
    assert only(metrics_port(loaded)).verdict == "wrong"
    assert list(metrics_port(configured(tmp_path, '[server]\nmetrics = ""\n'))) == []


def test_no_server_is_fine(tmp_path: Path) -> None:
    assert only(server(configured(tmp_path))).found == "not running"


@pytest.mark.clock
def test_a_process_that_holds_the_folder_and_does_not_answer_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_server, "ANSWER_S", 0.2)
    loaded = configured(tmp_path)
    with data_folder.lock_data_folder(tmp_path / "data"):
        assert "does not answer" in only(server(loaded)).found
        with runtime.runtime_folder(tmp_path / "data") as folder, runtime.control_socket(folder):
            assert "does not answer" in only(server(loaded)).found


def test_a_killed_server_is_told_by_what_it_left(tmp_path: Path) -> None:
    with running(tmp_path, "[server]\n") as killed:
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
        result = only(server(load_config(killed.config, {})))
    assert (result.verdict, "killed" in result.found) == ("note", True)
