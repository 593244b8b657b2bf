"""What a person reads: help and tables on 80 columns, names before ids, and all columns with --wide."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
import typer.main
from typer.testing import CliRunner

from proxy.cli.main import make_app
from proxy.commands import tables
from proxy.storage import usage
from proxy.telemetry import logs
from tests.proxy.cli.test_completion import ALL
from tests.proxy.cli.test_main import Run, folder, run
from tests.proxy.cli.test_money_commands import written
from tests.proxy.storage.test_usage import ROW

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]

_WIDTH = 80
_LISTS = (
    *("accounts list", "accounts show bots", "keys list", "keys list --account bots", "plans", "audit"),
    *("ledger entries bots", "voices list", "lexicons list --account bots", "usage", "usage --by day"),
    *("check", "engines", "doctor", "env list"),
)


@pytest.fixture
def bots(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make an account with a key, an entry, a voice, a lexicon and a request, on a narrow terminal."""
    monkeypatch.setenv("COLUMNS", str(_WIDTH))
    made = run("accounts", "create", "bots", "--json").json
    run("accounts", "create", "an-account-with-quite-a-long-name", "--plan", "pro")
    key = run("keys", "create", "--account", "bots", "--name", "voice notes", "--rpm", "3", "--json").json
    run("accounts", "grant", "bots", "50", "--reference", "invoice-17", "--reason", "paid by card")
    run("voices", "add", "stage", "--cast", "Ana=alloy,Ben=tone/slow", "--account", "bots")
    run("lexicons", "set", "pt-BR", "Ana=Âna", "--account", "bots")
    row = msgspec.structs.replace(ROW, id="req_" + "0" * 24, account=made["id"], key=key["id"])
    asyncio.run(written(folder / "data", usage.insert_statement(row)))
    return str(made["id"])


def test_a_table_fits_a_terminal_of_80_columns(run: Run, bots: str) -> None:
    for command in _LISTS:
        lines = run(*command.split()).out.splitlines()
        assert lines, command
        assert [line for line in lines if len(line.rstrip()) > _WIDTH] == [], command


def test_an_account_is_shown_by_its_name(run: Run, bots: str) -> None:
    for command in ("accounts list", "keys list", "voices list", "usage", "audit"):
        shown = run(*command.split()).out
        assert "bots" in shown, command
        assert bots not in shown, command


def test_ids_come_last_and_with_wide(run: Run, bots: str) -> None:
    for command in ("accounts list", "ledger entries bots", "voices list", "usage"):
        narrow = run(*command.split()).out.splitlines()
        wide = run(*command.split(), "--wide").out.splitlines()
        assert "id" not in narrow[0].split(), command
        assert wide[0].split()[-1] == "id", command
        ids = [row["id"] for row in run(*command.split(), "--json").json["data"]]
        assert [any(id_ in line for line in wide) for id_ in ids] == [True] * len(ids), command


def test_a_key_is_shown_with_its_id_because_commands_name_it_so(run: Run, bots: str) -> None:
    (row,) = run("keys", "list", "--json").json["data"]
    heads, line = run("keys", "list").out.splitlines()
    assert heads.split()[:2] == ["name", "account"]
    assert row["id"] in line


def test_a_column_that_is_empty_everywhere_is_left_out_unless_wide(run: Run, bots: str) -> None:
    assert "closed" not in run("accounts", "list").out
    assert "closed" in run("accounts", "list", "--wide").out


def test_in_a_pipe_a_row_is_one_line(run: Run, bots: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    assert len(run("audit").out.splitlines()) == 1 + len(run("audit", "--json").json["data"])


@pytest.fixture(autouse=True)
def _logs_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    # A runner's stderr would stay in the loggers of the process when the runner has closed it.
    monkeypatch.setattr(logs, "configure_logs", lambda *_arguments: None)


def help_of(*name: str) -> str:
    app = make_app(*name[:1])
    return CliRunner().invoke(app, [*name, "--help"], env={"COLUMNS": str(_WIDTH)}).output


def test_help_begins_with_serve() -> None:
    commands = help_of().partition("Commands:\n")[2]
    assert commands.split()[0] == "serve"


@pytest.mark.parametrize("name", [(), *ALL], ids=" ".join)
def test_help_fits_80_columns_and_names_no_type_of_a_switch(name: tuple[str, ...]) -> None:
    shown = help_of(*name)
    assert "Usage: voxgate" in shown or "Usage: root" in shown
    assert "<bool>" not in shown
    assert [line for line in shown.splitlines() if len(line) > _WIDTH] == []


@pytest.mark.parametrize("group", sorted({name[:-1] for name in ALL}), ids=" ".join)
def test_help_cuts_no_sentence_short(group: tuple[str, ...]) -> None:
    assert "..." not in help_of(*group).partition("Commands:\n")[2]


def test_all_commands_are_in_the_help() -> None:
    shown = help_of()
    assert {name[0] for name in ALL} - set(shown.split()) == {"migrate", "receipt"}, "former names"
    assert typer.main.get_command(make_app()).name == "voxgate"


def test_json_and_wide_are_one_switch(run: Run, bots: str) -> None:
    both = run("accounts", "list", "--wide", "--json")
    assert json.loads(both.out)["data"]


def test_an_account_without_a_name_is_shown_by_its_id() -> None:
    answer = {"data": [{"account": "acc_1"}, {"account": "acc_2"}], "account_names": {"acc_1": "ada"}}
    assert tables.make_grid(answer, {"account": "account"}).rows == [("ada",), ("acc_2",)]


@pytest.mark.parametrize(
    ("value", "shown"), [(10.0, "10"), (0.0, "0"), (100, "100"), (2.5, "2.5"), (1e-6, "0.000001")]
)
def test_a_number_has_the_digits_that_count(value: float, shown: str) -> None:
    assert tables.number_text(value) == shown
