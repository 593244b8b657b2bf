"""Commands as values: the request of each to the handlers under /admin, and how its answer is shown.

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

from proxy.commands.tables import Form, Line, Show
from proxy.errors import CommandRefused

if TYPE_CHECKING:
    from proxy.config.sections import Config


class AdminRequest(NamedTuple):
    """A request to the handlers under /admin.

    With `files`, a form is sent, and stderr names the `work` of the server meanwhile. With `pages` "named",
    the tables show the names of accounts in place of their ids; with "all", every page is read, too. A person
    at a terminal answers `question` first. If `looks` is true, the command fails before the question where
    the thing does not exist. `status` returns the command's status for an answer, and `failed` is its status
    without an answer. An answer that is not JSON goes into the new file `to`; then its name and size are
    printed. Of several answers, only those are printed for which `shows` returns true.
    """

    method: str
    path: str
    body: Any = None
    query: Mapping[str, str | int | None] = {}
    files: Mapping[str, Path] = {}
    work: str = "it is decoded, measured and sealed"
    pages: Literal["", "named", "all"] = ""
    question: str = ""
    looks: bool = True
    is_long: bool = False
    status: Callable[[Any], int] = lambda _answer: 0
    failed: int = 1
    to: Path | None = None
    shows: Callable[[Any], bool] = lambda _answer: True


class CommandResult(NamedTuple):
    """An answer that needs no request, and the command's status. `then` is for people alone."""

    answer: Any
    status: int = 0
    then: Iterable[Line] = ()


class CommandContext(NamedTuple):
    """The context of a command: its `--config`, the form of its output, and the loader of configurations."""

    config_file: Path | None
    form: Form
    load: Callable[[Path | None], Config]

    def config(self) -> Config:
        """Read the configuration, anew at each call."""
        return self.load(self.config_file)


Asking = Callable[..., AdminRequest | Generator[AdminRequest, Any, int | None] | CommandResult | None]
"""A generator sends several requests, gets each answer, and may return the command's status. A command that
returns None has printed its output itself."""
A = TypeVar("A", bound=Asking)


class Command(NamedTuple):
    """A command with its name. If it `is_alone`, it has no `--config`. `settings` are for typer."""

    name: str
    ask: Asking
    show: Show
    is_alone: bool = False
    settings: Mapping[str, Any] = {}


class Group:
    """Commands behind one name: `voxgate consents …`. `by_hand` are plain functions of typer."""

    def __init__(self, name: str, about: str, by_hand: Mapping[str, Callable[..., None]] = {}) -> None:
        self.name = name
        self.about = about
        self.by_hand = by_hand
        self.commands: list[Command] = []

    def command(self, name: str, show: Show, *, is_alone: bool = False, **settings: Any) -> Callable[[A], A]:
        def add(ask: A) -> A:
            self.commands.append(Command(name, ask, show, is_alone, settings))
            return ask

        return add


def by_name(groups: Iterable[Group]) -> dict[str, Group]:
    joined: dict[str, Group] = {}
    for group in groups:
        whole = joined.setdefault(group.name, Group(group.name, ""))
        whole.about = whole.about or group.about
        whole.commands += group.commands
        whole.by_hand = {**whole.by_hand, **group.by_hand}
    return joined


def path(kind: str, name: str, *behind: str) -> str:
    # Quoted: an account may be named "50/50", and "ada?" must not become "ada". A name such as ".." is
    # refused, because a path would lose it and mean something else.
    if not name.strip("./") or name.endswith("/"):
        listing = {"requests": "usage", "webhook_endpoints": "webhooks list"}.get(kind, f"{kind} list")
        raise CommandRefused(f"{name!r} names none of the {kind}; give an id, see voxgate {listing}")
    return "/".join((kind, quote(name, safe=""), *behind))


class FeatureCommands(NamedTuple):
    """The commands of a feature, or of all. `key_groups` are those of keys that are no account's, and come
    before those of accounts. `last_groups` come at the end of the help."""

    commands: tuple[Command, ...] = ()
    key_groups: tuple[Group, ...] = ()
    groups: tuple[Group, ...] = ()
    last_groups: tuple[Group, ...] = ()
