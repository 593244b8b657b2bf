"""What holds for every command of the app: --json, a line of help; and completion in real shells."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from proxy.cli.main import make_app
from tests import programs
from tests.commands import run
from tests.server import VOXGATE
from tests.tables import each_row

pytestmark = pytest.mark.slow

# The generated code is read once, then each line is completed. A line with `==` ends each answer.
_COMPLETE = {
    "bash": """
source <(voxgate --show-completion)
complete -p voxgate | grep -q _voxgate_completion
while read -ra COMP_WORDS; do
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _voxgate_completion voxgate
    printf '%s\\n' "${COMPREPLY[@]}" ==
done
""",
    "fish": """
voxgate --show-completion | source
while read line
    complete -C "$line"
    echo ==
end
""",
}
_WORDS: dict[str, list[str]] = {
    "voxgate ke": ["keys"],
    "voxgate keys r": ["revoke", "rotate", "rotate-mark", "rotate-master"],
}
_OPTIONS: dict[str, list[str]] = {"voxgate doctor --js": ["--json"], "voxgate nothing-like-it": []}


def commands(command: object, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    if isinstance(command, TyperGroup):
        for part, inner in command.commands.items():
            yield from commands(inner, (*name, part))
    else:
        assert isinstance(command, TyperCommand)
        yield name, command


ALL = dict(commands(typer.main.get_command(make_app())))


def test_there_are_commands_to_look_at() -> None:
    assert {("serve",), ("doctor",), ("keys", "create"), ("env", "build")} <= ALL.keys()


@each_row("first", sorted({name[0] for name in ALL}))
def test_a_run_builds_what_it_was_asked_for_alone(first: str) -> None:
    built = dict(commands(typer.main.get_command(make_app(first))))
    assert built.keys() == {name for name in ALL if name[0] == first}


@each_row("name", ALL, ids=" ".join)
def test_every_command_that_ends_takes_json_and_every_one_says_what_it_does(name: tuple[str, ...]) -> None:
    command = ALL[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert ("--json" in options) == (name not in (("serve",), ("worker",), ("host",)))
    assert (command.help or "").strip()


@each_row(
    "arguments", ["doctor", "check", "engines", "accounts list", "keys list", "env list", "accounts create x"]
)
def test_with_json_a_program_reads_all_of_stdout(tmp_path: Path, arguments: str) -> None:
    (tmp_path / "config.toml").touch()
    done = run(*arguments.split(), "--json", environ=environ(tmp_path), folder=tmp_path)
    # An object has room for more than a list has.
    assert isinstance(json.loads(done.stdout), dict)


@pytest.mark.parametrize(("shell", "offered"), [("bash", _WORDS | _OPTIONS), ("fish", _OPTIONS)])
def test_the_generated_completion_works_in_a_real_shell(
    tmp_path: Path, shell: str, offered: dict[str, list[str]]
) -> None:
    found = programs.program(shell)
    done = subprocess.run(
        [found.file, "-c", _COMPLETE[shell]],
        input="".join(f"{line}\n" for line in offered),
        cwd=tmp_path,
        env={**environ(tmp_path), **found.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    # Some shells put the help behind the word.
    answers = [re.findall(r"^[^\t\n]+", answer, re.M) for answer in done.stdout.split("==\n")[:-1]]
    # Each shell has an order of its own.
    assert dict(zip(offered, map(sorted, answers), strict=True)) == offered


@each_row("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_the_shell_it_is_asked_in(tmp_path: Path, shell: str) -> None:
    found = programs.program(shell)
    # A last command of its own: a shell would become the only one, and could not be found as its parent.
    command = [found.file, "-c", "voxgate --install-completion; true"]
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
