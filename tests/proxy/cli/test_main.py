"""`voxgate …` without a server: on the store itself, with --json, exit codes, and errors of one line."""

import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from proxy import __version__
from proxy.cli import main
from proxy.cli.main import banner
from proxy.commands.command import Group, merge_groups
from proxy.file_store import data_folder
from proxy.processes import runtime
from proxy.storage import api_key
from tests.commands import quiet
from tests.databases import lay_tables
from tests.proxy.api.inside import TONE
from tests.server import VOXGATE

pytestmark = pytest.mark.slow


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config.toml").write_text(TONE)
    monkeypatch.setenv("VOXGATE_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command. The first account finds a database that has its tables."""
    quiet(monkeypatch)
    monkeypatch.delenv("COLUMNS", raising=False)

    def ran(*arguments: str) -> Ran:
        if arguments[:2] == ("accounts", "create"):
            lay_tables(folder / "data")
        monkeypatch.setattr(sys, "argv", ["voxgate", *arguments])
        with pytest.raises(SystemExit) as caught:
            main.main()
        printed = capsys.readouterr()
        return Ran(int(caught.value.code or 0), printed.out, printed.err)

    return ran


def refused(ran: Ran) -> str:
    """What a command says when it cannot: one line on stderr, nothing on stdout, status 1."""
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    return ran.err.strip()


def test_an_account_is_made_found_changed_and_closed(run: Run) -> None:
    made = run("accounts", "create", "ada", "--plan", "pro", "--json").json
    assert (made["name"], made["plan"]) == ("ada", "pro")
    assert run("accounts", "show", "ada", "--json").json["id"] == made["id"]
    assert run("accounts", "set-plan", "ada", "free", "--json").json["plan"] == "free"
    assert run("accounts", "set-plan", "ada", "--plan", "basic", "--json").json["plan"] == "basic"
    assert [row["name"] for row in run("accounts", "list", "--json").json["data"]] == ["ada"]
    for _ in range(2):
        assert run("accounts", "suspend", "ada", "--reason", "unpaid", "--json").json["suspended"] is not None
    assert run("accounts", "resume", "ada", "--reason", "paid", "--json").json["suspended"] is None
    # A script may have the wrong account in a variable.
    assert "--yes" in refused(run("accounts", "close", made["id"]))
    assert run("accounts", "show", "ada", "--json").json["closed"] is None
    assert run("accounts", "close", made["id"], "--yes", "--json").json["closed"] is not None
    run("accounts", "create", "eve")
    assert refused(run("accounts", "show", "bob")) == "There is no account 'bob'. The accounts are: eve."


def test_the_command_itself_prints_json_and_nothing_else(folder: Path) -> None:
    made = ("accounts", "create", "ada", "--json")
    done = subprocess.run([VOXGATE, *made], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)
    assert done.stderr == ""
    failed = subprocess.run([VOXGATE, "accounts", "show", "bob"], capture_output=True, text=True, check=False)
    assert (
        refused(Ran(failed.returncode, failed.stdout, failed.stderr))
        == "There is no account 'bob'. The accounts are: ada."
    )


def test_a_key_is_made_listed_rotated_and_revoked(run: Run) -> None:
    run("accounts", "create", "ada")
    made = run("keys", "create", "--account", "ada", "--name", "bot", "--expires", "30d", "--json").json
    assert api_key.is_well_formed(made["key"])
    lasts = datetime.fromisoformat(made["expires"]) - datetime.fromisoformat(made["created"])
    assert lasts.total_seconds() == pytest.approx(30 * 86_400, abs=60)
    new = run("keys", "rotate", made["id"], "--json").json
    assert (new["name"], new["expires"]) == ("bot", made["expires"])
    listed = run("keys", "list", "--account", "ada", "--json")
    assert [row["id"] for row in listed.json["data"]] == [new["id"], made["id"]]
    assert [row["revoked"] is None for row in listed.json["data"]] == [True, False]
    assert new["key"] not in listed.out
    assert run("keys", "revoke", new["id"], "--json").json["revoked"] is not None


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def at_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, *arguments: str) -> Ran:
    """Run a command for a person, who answers with this line."""
    shown = Terminal()
    with monkeypatch.context() as there:
        there.setattr(sys, "stdin", Terminal(answer))
        there.setattr(sys, "stderr", shown)
        ran = run(*arguments)
    return ran._replace(err=shown.getvalue())


def test_a_person_is_asked_before_what_cannot_be_undone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = run("accounts", "create", "ada", "--json").json["id"]
    key = run("keys", "create", "--account", "ada", "--json").json["id"]
    run("voices", "add", "stage", "--cast", "Ana=nova,Ben=onyx", "--account", ada)
    consent = ("consents", "add", "Ana", "--account", ada, "--statement", "on paper", "--json")
    stated = run(*consent).json["id"]
    run("lexicons", "set", "de", "nginx=engine x", "--account", "ada")
    for question, command in {
        "Delete the lexicon de and its words for good?": ("lexicons", "delete", "de", "--account", "ada"),
        f"Revoke the key {key} for good?": ("keys", "revoke", key),
        "Delete the voice stage and its recordings for good?": (
            "voices",
            "delete",
            "stage",
            "--account",
            ada,
        ),
        f"Delete the consent {stated} for good?": ("consents", "delete", stated),
        "Close the account ada for good, and delete its voices and lexicons?": ("accounts", "close", "ada"),
    }.items():
        for refusal in ("n\n", "\n"):
            asked = at_a_terminal(run, monkeypatch, refusal, *command)
            assert (asked.status, asked.out.strip()) == (1, "")
            assert question in asked.err
            assert "nothing was changed" in asked.err
        sure = at_a_terminal(run, monkeypatch, "n\n", *command, "--yes")
        assert (sure.status, question in sure.err) == (0, False)
    assert run("accounts", "show", "ada", "--json").json["closed"] is not None


def test_a_person_who_says_yes_is_obeyed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("accounts", "create", "ada")
    assert at_a_terminal(run, monkeypatch, "y\n", "accounts", "close", "ada").status == 0
    assert run("accounts", "show", "ada", "--json").json["closed"] is not None


@pytest.mark.parametrize(
    "command",
    [
        ("accounts", "close", ".."),
        ("accounts", "close", "nobody"),
        ("consents", "delete", "cons_0"),
        ("lexicons", "delete", "de", "--account", "ada"),
        ("models", "remove", "owl"),
        ("env", "remove", "owl"),
    ],
)
def test_nobody_is_asked_about_what_is_not_there(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    run("accounts", "create", "ada")
    refusal = at_a_terminal(run, monkeypatch, "y\n", *command)
    assert (refusal.status, refusal.out) == (1, "")
    assert "?" not in refusal.err


def test_an_account_in_the_wrong_place_is_told_its_place(run: Run) -> None:
    ran = run("keys", "create", "50/50 bots")
    assert (ran.status, ran.out) == (2, "")
    assert "voxgate keys create --account '50/50 bots'" in ran.err
    assert "Missing option '--account'" in run("keys", "create", "--role", "admin").err


def test_a_key_is_shown_to_a_person_once_and_whole(run: Run) -> None:
    run("accounts", "create", "ada")
    ran = run("keys", "create", "--account", "ada")
    secret = ran.out.split("\n", 1)[0].strip()
    assert api_key.is_well_formed(secret)
    assert "Shown only this once" in ran.out
    assert secret not in run("keys", "list").out


@pytest.mark.parametrize("name", ["50-50", "a b", "ada?x=1", "ada#2", "100%", "ümläut", "..c", "%2F"])
def test_an_account_of_any_name_is_the_one_that_is_meant(run: Run, name: str) -> None:
    run("accounts", "create", "ada")
    made = run("accounts", "create", "--json", "--", name).json
    assert run("accounts", "close", "--yes", "--json", "--", name).json["id"] == made["id"]
    assert run("accounts", "show", "ada", "--json").json["closed"] is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("accounts", "create", "ada"), "There is an account with the name 'ada' already."),
        (("accounts", "create", "a/b"), "Invalid value for 'name': it must have no '/'"),
        (("jobs", "show", "job_1"), "The job 'job_1' does not exist. See voxgate jobs list."),
        (("webhooks", "test", "hook_1"), "The webhook 'hook_1' does not exist. See voxgate webhooks list."),
        (("say", ""), "TEXT: there is nothing to say; give a text"),
        (
            ("accounts", "grant", "ada", "much"),
            "'much' is not a number of credits; write one such as",
        ),
        (("accounts", "show", "adda"), "no account 'adda'. Did you mean ada? The accounts are: ada."),
        (
            ("accounts", "create", "bob", "--plan", "prp"),
            "no plan 'prp'. Did you mean pro? The plans are: free, basic, pro, enterprise, unlimited.",
        ),
        (("env", "build", "gone"), "no plugin called 'gone' is installed. The plugins with packages are: "),
        (("accounts", "show", ""), "'' names none of the accounts"),
        (("accounts", "close", "ada/"), "'ada/' names none of the accounts"),
        (("accounts", "set-plan", "ada"), "PLAN: name a plan, or what is agreed: --allowance, --rpm,"),
        (("accounts", "set-plan", "ada", "pro", "--plan", "free"), "PLAN: name the plan once"),
        (("keys", "create", "--account", "ada", "--role", "root"), "one of speech, admin"),
        (("keys", "create", "--account", "ada", "--expires", "soon"), "--expires: 'soon' is not a time"),
        (("keys", "create", "--account", "ada", "--expires", "9999w"), "expires_in_s"),
        (("keys", "revoke", "key_none"), "There is no key 'key_none'; see voxgate keys list for ids"),
        (("keys", "revoke", "sk-vg-abc"), "A key is named by its id (key_…), not by its secret; see voxgate"),
        (("keys", "revoke", ""), "'' names none of the keys"),
        (("accounts", "list", "--config", "/no/such.toml"), "/no/such.toml: no such file"),
    ],
)
def test_a_refusal_is_one_line_and_a_status(run: Run, arguments: tuple[str, ...], says: str) -> None:
    run("accounts", "create", "ada")
    assert says in refused(run(*arguments))


@pytest.mark.parametrize(
    "arguments", [("accounts", "create"), ("nonsense",), ("keys", "create"), ("check", "--x")]
)
def test_a_wrong_command_is_a_usage_error(run: Run, arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert "Usage" in ran.err


def test_a_config_error_has_a_line_for_each_fault(run: Run, folder: Path) -> None:
    (folder / "config.toml").write_text("[server]\nport = -1\nprot = 1\n")
    for arguments in (("check",), ("engines",), ("accounts", "list"), ("serve",)):
        ran = run(*arguments)
        assert (ran.status, ran.err.count("\n")) == (1, 2)


def test_check_prints_what_would_be_served_and_starts_nothing(run: Run, folder: Path) -> None:
    findings = run("check", "--json").json["data"]
    assert all(finding["state"] != "wrong" for finding in findings)
    by_kind = {finding["check"]: finding for finding in findings}
    assert by_kind["engine"]["found"] == "tone, in the server"
    assert by_kind["config"]["name"] == str(folder / "config.toml")
    assert by_kind["address"]["name"] == "127.0.0.1:8000"
    assert [by_kind[kind]["name"] for kind in ("storage", "limits")] == ["sqlite", "memory"]
    assert by_kind["metrics"]["name"] == "127.0.0.1:9464"
    assert not (folder / "data").exists()
    assert "tone/standard" in run("check").out


@pytest.mark.parametrize(
    ("plan", "note"),
    [
        ("", "free, allowance unlimited, rpm unlimited, streams unlimited, voices unlimited, "),
        (
            "price = '$19'\nallowance = 0.5\nrpm = 30\nstreams = 'account'\n"
            "prices.speech = { credits = 1, per = 'second' }\n"
            "prices.models.tone = { credits = 0.25, per = 'character' }",
            "$19, allowance 0.5, rpm 30, streams per account, voices unlimited, clones unlimited, "
            "keys 50, max_characters unlimited, "
            "job_characters unlimited, speech 60/minute, cached free, clone free, tone 0.25/character",
        ),
    ],
)
def test_check_says_what_each_plan_gives_and_costs(run: Run, folder: Path, plan: str, note: str) -> None:
    (folder / "config.toml").write_text(f"{TONE}\n[plans.mine]\n{plan}\n")
    notes = {
        finding["name"]: finding["found"]
        for finding in run("check", "--json").json["data"]
        if finding["check"] == "plan"
    }
    assert list(notes) == ["mine", "unlimited"]
    assert notes["mine"].startswith(note)


@pytest.mark.parametrize(
    ("changed", "kind", "says"),
    [
        ('default_model = "tone"', "default", "server.default_model"),
        ("[engines.tone]", "engine", "engines.tone.slts: no such key"),
        (
            "[engines.tone]\nhosted = false",
            "engine",
            "no plugin called toon is installed; did you mean tone?",
        ),
    ],
)
def test_check_fails_and_says_where(run: Run, folder: Path, changed: str, kind: str, says: str) -> None:
    wrong = {
        'default_model = "tone"': 'default_model = "gone"',
        "[engines.tone]": "[engines.tone]\nslts = 2",
        "[engines.tone]\nhosted = false": '[engines.tone]\nplugin = "toon"',
    }
    (folder / "config.toml").write_text(TONE.replace(changed, wrong[changed]))
    ran = run("check", "--json")
    assert ran.status == 1
    (bad,) = (finding for finding in json.loads(ran.out)["data"] if finding["state"] == "wrong")
    assert bad["check"] == kind
    assert says in bad["found"]


def test_check_names_plans_that_accounts_are_on_and_the_file_lacks(run: Run, folder: Path) -> None:
    (folder / "config.toml").write_text(f"{TONE}\n[plans.old]\n[plans.new]\n")
    for name in ("ada", "bob", "cleo"):
        run("accounts", "create", name, "--plan", "new" if name == "cleo" else "old")
    assert run("check").status == 0
    (folder / "config.toml").write_text(f"{TONE}\n[plans.new]\n")
    ran = run("check", "--json")
    (bad,) = (finding for finding in json.loads(ran.out)["data"] if finding["state"] == "wrong")
    assert (ran.status, bad["check"], bad["name"]) == (1, "plan", "old")
    assert "2 account(s) are on it" in bad["found"]
    (told,) = (row for row in json.loads(run("doctor", "--json").out)["data"] if row["check"] == "plan")
    assert told == bad
    assert run("plans", "--json").json["missing"] == {"old": 2}


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version").out == f"voxgate {__version__}\n"


def test_engines_without_a_server_are_those_of_the_config(run: Run) -> None:
    (finding,) = run("engines", "--json").json["data"]
    assert (finding["name"], finding["state"] != "wrong") == ("tone", True)


def test_a_start_without_a_dev_key_says_how_a_key_is_made(folder: Path) -> None:
    environ = {**os.environ, "VOXGATE_SERVER__DEV_KEY": "false", "VOXGATE_SERVER__METRICS": ""}
    command = [str(VOXGATE), "serve", "--port", "0"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as serving:
        assert serving.stdout is not None
        try:
            serves, hint, link = (serving.stdout.readline().decode() for _ in range(3))
        finally:
            serving.terminate()
    assert serves.startswith("voxgate serves on http://127.0.0.1:")
    assert "voxgate accounts create NAME, then voxgate keys create --account NAME" in hint
    assert re.fullmatch(r"Open http://127\.0\.0\.1:\d+/ with it\n", link)


@pytest.mark.parametrize("base", ["http://0.0.0.0:8000", "http://[::]:8000"])
def test_others_who_reach_the_server_get_a_link_without_a_key(base: str) -> None:
    local = base.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
    assert f"Open {local}/ with it" in banner(base, None).splitlines()
    assert "#key=" not in banner(base, None)


def test_a_data_folder_that_somebody_holds_is_not_touched(run: Run, folder: Path) -> None:
    with data_folder.lock_data_folder(folder / "data"):
        says = refused(run("serve", "--port", "0"))
    assert says.startswith("voxgate could not start: server.data: another voxgate already runs")
    assert says.endswith("; voxgate doctor says more")
    assert run("accounts", "list", "--json").json["data"] == []


def test_a_port_that_is_taken_is_told_before_voices_are_fetched(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = list[object]()
    monkeypatch.setattr("proxy.cli.main.subprocess.run", lambda *command, **_: fetched.append(command))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        says = refused(run("serve", "--port", str(port), "--voices", "natural"))
    assert f"cannot listen on 127.0.0.1:{port}" in says
    assert "choose another with --port" in says
    with data_folder.lock_data_folder(folder / "data"):
        assert "another voxgate already runs" in refused(run("serve", "--port", "0", "--voices", "natural"))
    assert fetched == []


def test_a_data_folder_that_cannot_be_one_is_named(run: Run, folder: Path) -> None:
    (folder / "data").write_text("a file in its place")
    assert "server.data" in refused(run("accounts", "list"))


def test_a_name_in_brackets_is_shown_as_it_is(run: Run) -> None:
    run("accounts", "create", "[bold]")
    ran = run("accounts", "list")
    assert (ran.status, ran.err) == (0, "")
    assert "[bold]" in ran.out


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 502 X\r\n\r\nno JSON"])
def test_a_server_that_stops_in_the_middle_is_one_line(run: Run, folder: Path, says: bytes) -> None:
    with (
        data_folder.lock_data_folder(folder / "data"),
        runtime.runtime_folder(folder / "data") as made,
        runtime.control_socket(made) as control,
    ):

        def answer() -> None:
            control.accept()[0].close()  # the look whether somebody is there
            with control.accept()[0] as asked:
                asked.recv(65536)
                asked.sendall(says)

        answering = threading.Thread(target=answer)
        answering.start()
        assert "the server did not answer" in refused(run("accounts", "list"))
        answering.join()


def test_groups_of_one_name_are_one_with_all_that_each_has() -> None:
    def rotate() -> None: ...

    def revoke() -> None: ...

    groups = [
        Group("keys", "", {"rotate": rotate}),
        Group("keys", "Keys.", {"revoke": revoke}),
        Group("b", ""),
    ]
    keys, other = merge_groups(groups).values()
    assert (keys.name, keys.about) == ("keys", "Keys.")
    assert keys.typer_functions == {"rotate": rotate, "revoke": revoke}
    assert (other.name, other.typer_functions) == ("b", {})
