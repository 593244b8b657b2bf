"""What holds for every command of the app: --json, a line of help; and completion in real shells."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from proxy.cli.main import app
from tests import shells
from tests.server import VOXGATE

_COMPLETE = {
    "bash": """
source <(voxgate --show-completion)
complete -p voxgate | grep -q _voxgate_completion
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_voxgate_completion voxgate
printf '%s\\n' "${{COMPREPLY[@]}}"
""",
    "fish": "voxgate --show-completion | source\ncomplete -C '{line}'\n",
}


def commands(command: object, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    if isinstance(command, TyperGroup):
        for part, inner in command.commands.items():
            yield from commands(inner, (*name, part))
    else:
        assert isinstance(command, TyperCommand)
        yield name, command


ALL = dict(commands(typer.main.get_command(app)))


def test_there_are_commands_to_look_at() -> None:
    assert {("serve",), ("doctor",), ("keys", "create"), ("env", "build")} <= ALL.keys()


@pytest.mark.parametrize("name", ALL, ids=" ".join)
def test_every_command_but_serve_takes_json_and_every_one_says_what_it_does(name: tuple[str, ...]) -> None:
    command = ALL[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert ("--json" in options) == (name != ("serve",))
    assert (command.help or "").strip()


@pytest.mark.parametrize(
    "arguments", ["doctor", "check", "engines", "accounts list", "keys list", "env list", "accounts create x"]
)
def test_with_json_a_program_reads_all_of_stdout(tmp_path: Path, arguments: str) -> None:
    done = subprocess.run(
        [VOXGATE, *arguments.split(), "--json"],
        cwd=tmp_path,
        env=environ(tmp_path),
        capture_output=True,
        check=False,
    )
    assert isinstance(json.loads(done.stdout), dict | list)


@pytest.mark.parametrize("shell", _COMPLETE)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("voxgate ke", ["keys"]),
        ("voxgate keys r", ["revoke", "rotate"]),
        ("voxgate doctor --js", ["--json"]),
        ("voxgate nothing-like-it", []),
    ],
)
def test_the_generated_completion_works_in_a_real_shell(
    tmp_path: Path, shell: str, line: str, offered: list[str]
) -> None:
    found, script = shells.shell(shell), _COMPLETE[shell].format(words=line, line=line)
    done = subprocess.run(
        [found.program, "-c", script],
        cwd=tmp_path,
        env={**environ(tmp_path), **found.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    # Some shells put the help behind the word.
    assert [word.split("\t")[0] for word in done.stdout.split("\n") if word] == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_the_shell_it_is_asked_in(tmp_path: Path, shell: str) -> None:
    found = shells.shell(shell)
    # A last command of its own: a shell would become the only one, and could not be found as its parent.
    command = [found.program, "-c", "voxgate --install-completion; true"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**environ(tmp_path), **found.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{shell} completion installed" in done.stdout, done.stderr
    written = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert any("_VOXGATE_COMPLETE=" in text for text in written)


def environ(home: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(home), "PATH": f"{VOXGATE.parent}{os.pathsep}{os.environ['PATH']}"}
