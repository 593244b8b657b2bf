"""Commands as values: each has a request to the handlers under /admin, and a way to show the answer.

A command is a function of its arguments and options, as typer reads them. It returns an `AdminRequest`: the
command line sends it, over control.sock or to the store, and prints the answer as JSON or by `show`. A
command that works on files sends no request: it has a parameter `here: CommandContext`, and returns a
`CommandResult`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar
from urllib.parse import quote

from proxy.commands.tables import Line, PrintForm, Show
from proxy.errors import CommandRefused

if TYPE_CHECKING:
    from proxy.config.sections import Config, Server


class AdminRequest(NamedTuple):
    """A request to the handlers under /admin.

    `files` are sent as a form. While the server works on them, stderr shows `work`. If `pages` is "named",
    tables show the names of accounts in place of their ids. If it is "all", every page is read as well.

    A person at a terminal answers `question` first. If `must_exist` is true, the command fails before the
    question if the thing does not exist. If it `begins_data`, an empty folder will do. If `is_long` is true,
    the server has more time to answer.

    `status` returns the exit status for an answer, and `failed_status` is the exit status without an answer.
    If `new_file` is set, the answer is not JSON: it is written to that file, whose name and size are printed.
    A command with several requests prints only the answers for which `is_shown` returns true.
    """

    method: str
    path: str
    body: Any = None
    query: Mapping[str, str | int | None] = {}
    files: Mapping[str, Path] = {}
    work: str = "it is decoded, measured and sealed"
    pages: Literal["", "named", "all"] = ""
    question: str = ""
    must_exist: bool = True
    begins_data: bool = False
    is_long: bool = False
    status: Callable[[Any], int] = lambda _answer: 0
    failed_status: int = 1
    new_file: Path | None = None
    is_shown: Callable[[Any], bool] = lambda _answer: True


class CommandResult(NamedTuple):
    """An answer that needs no request, and the command's status. `then` is not printed with --json."""

    answer: Any
    status: int = 0
    then: Iterable[Line] = ()


class CommandContext(NamedTuple):
    """The context of a command: its `--config`, the form of its output, and the loader of configurations."""

    config_file: Path | None
    form: PrintForm
    load: Callable[[Path | None], Config]

    def config(self) -> Config:
        """Read the configuration, anew at each call."""
        return self.load(self.config_file)

    def server(self) -> Server:
        """Read [server] alone: it is enough to ask a running server, and needs no secret."""
        from proxy.config.server_section import server_of

        return server_of(self.config_file)


CommandFunction = Callable[
    ..., AdminRequest | Generator[AdminRequest, Any, int | None] | CommandResult | None
]
"""A generator sends several requests, gets each answer, and may return the command's status. A command that
returns None has printed its output itself."""
A = TypeVar("A", bound=CommandFunction)


class Command(NamedTuple):
    """A command with its name. If `without_config`, it has no `--config`. `settings` go to typer."""

    name: str
    function: CommandFunction
    show: Show
    without_config: bool = False
    settings: Mapping[str, Any] = {}


class Group:
    """Commands behind one name: `voxgate consents …`. typer calls `typer_functions` directly. `instead` maps
    words that people try, such as "delete", to the commands that they should use."""

    def __init__(
        self,
        name: str,
        about: str,
        typer_functions: Mapping[str, Callable[..., None]] = {},
        instead: Mapping[str, str] = {},
    ) -> None:
        self.name = name
        self.about = about
        self.typer_functions = typer_functions
        self.instead = instead
        self.commands: list[Command] = []

    def command(
        self, name: str, show: Show, *, without_config: bool = False, **settings: Any
    ) -> Callable[[A], A]:
        def add(function: A) -> A:
            self.commands.append(Command(name, function, show, without_config, settings))
            return function

        return add


def merge_groups(groups: Iterable[Group]) -> dict[str, Group]:
    """Return one group for each name, with the commands of all groups of that name."""
    merged_by_name: dict[str, Group] = {}
    for group in groups:
        merged = merged_by_name.setdefault(group.name, Group(group.name, ""))
        merged.about = merged.about or group.about
        merged.commands += group.commands
        merged.typer_functions = {**merged.typer_functions, **group.typer_functions}
        merged.instead = {**merged.instead, **group.instead}
    return merged_by_name


def admin_path(kind: str, name: str, *more_parts: str) -> str:
    """Return the path of a thing under /admin. `more_parts` follow the name. Raise CommandRefused."""
    # The name is quoted, because an account may be named "50/50" or "ada?". A name such as ".." is refused,
    # because the path would lose it, and lead to another thing.
    if not name.strip("./") or name.endswith("/"):
        listing = {"requests": "usage", "webhook_endpoints": "webhooks list"}.get(kind, f"{kind} list")
        raise CommandRefused(f"{name!r} names none of the {kind}; give an id, see voxgate {listing}")
    return "/".join((kind, quote(name, safe=""), *more_parts))


class FeatureCommands(NamedTuple):
    """The commands of one feature, or of all features. In the help, `commands` come first, then
    `key_groups`, whose keys belong to no account, then `groups`. `last_groups` come at the end."""

    commands: tuple[Command, ...] = ()
    key_groups: tuple[Group, ...] = ()
    groups: tuple[Group, ...] = ()
    last_groups: tuple[Group, ...] = ()
