"""docs/reference/session.txt is what the commands print on a terminal of 80 columns."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.telemetry import logs
from tests.docs import session
from tests.docs.pages import ROOT
from tests.server import Server, running

pytestmark = pytest.mark.slow


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path, (ROOT / "config.toml").read_text()) as server:
        yield server


def test_the_recorded_session_is_what_the_commands_print(
    fresh: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # It would hand this test's stderr to every logger of the process, for good.
    monkeypatch.setattr(logs, "configure_logs", lambda *_arguments: None)
    for name, value in session.environ(fresh).items():
        monkeypatch.setenv(name, value)

    def run(command: list[str]) -> str:
        # In this process, which has imported everything.
        monkeypatch.setattr(sys, "argv", command)
        # So that `python -m pytest` is not the name of the program.
        monkeypatch.setattr(sys.modules["__main__"], "__package__", None)
        with pytest.raises(SystemExit):
            main.main()
        printed = capsys.readouterr()
        return printed.out + printed.err

    recorded = session.FILE.read_text()
    assert session.record(run) == recorded, "record it anew: python -m tests.docs.session"
    assert [line for line in recorded.splitlines() if len(line) > session.WIDTH] == []
