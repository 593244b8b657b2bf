"""Commands as values: what each asks of the handlers under /admin, and how the answer is shown.

A command is a function of its arguments and options, as typer reads them, which returns an `Ask`. The command
line asks it, over control.sock or on the store, and prints the answer as JSON or by `show`. One that works on
files needs nobody: it has a parameter `here: Here`, and returns a `KnownAnswer`.
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


def no_fault(_answer: Any) -> int:
    return 0


def is_shown(_answer: Any) -> bool:
    return True


class Ask(NamedTuple):
    """A request to the handlers under /admin.

    A form with `files` is sent if there are some, while stderr says for what `work`. `pages` are "named" if
    the rows have ids of accounts, whose names the tables show; "all" are also read to the last one. A person
    at a terminal answers `question` first, and `looks` says that the thing is looked for before that.
    `status` is the command's, by the answer, and `failed` its status if there is none. An answer that is no
    JSON goes into the new file `to`, and the answer is then its name and size. Of several answers, those are
    printed which `shows` says.
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
    status: Callable[[Any], int] = no_fault
    failed: int = 1
    to: Path | None = None
    shows: Callable[[Any], bool] = is_shown


class KnownAnswer(NamedTuple):
    """An answer that needs no request, and the command's status. `then` is for people alone."""

    answer: Any
    status: int = 0
    then: Iterable[Line] = ()


class Here(NamedTuple):
    """Where a command works: `--config` as it was given, how the answer will be printed, and what loads a
    configuration."""

    config_file: Path | None
    form: Form
    load: Callable[[Path | None], Config]

    def config(self) -> Config:
        """Read the configuration, anew at each call."""
        return self.load(self.config_file)


Asking = Callable[..., Ask | Generator[Ask, Any, int | None] | KnownAnswer | None]
"""A generator asks more than once, gets each answer, and may return the command's status. None: the command
has already said what there is to say."""
A = TypeVar("A", bound=Asking)


class Command(NamedTuple):
    """A command with its name. If it `is_alone`, it reads no configuration. `settings` are typer's."""

    name: str
    ask: Asking
    show: Show
    is_alone: bool = False
    settings: Mapping[str, Any] = {}


class Group:
    """Commands behind one name: `voxgate consents …`. `by_hand` are those that do more than ask."""

    def __init__(self, name: str, about: str, by_hand: Mapping[str, Callable[..., None]] = {}) -> None:
        self.name = name
        self.about = about
        self.by_hand = by_hand
        self.commands: list[Command] = []

    def command(self, name: str, show: Show, *, is_alone: bool = False, **settings: Any) -> Callable[[A], A]:
        """Add a command of this group."""

        def add(ask: A) -> A:
            self.commands.append(Command(name, ask, show, is_alone, settings))
            return ask

        return add


def by_name(groups: Iterable[Group]) -> dict[str, Group]:
    """Return groups by their names. Those of one name are one group, which one of them describes."""
    joined: dict[str, Group] = {}
    for group in groups:
        whole = joined.setdefault(group.name, Group(group.name, ""))
        whole.about = whole.about or group.about
        whole.commands += group.commands
        whole.by_hand = {**whole.by_hand, **group.by_hand}
    return joined


def path(kind: str, name: str, *behind: str) -> str:
    # Quoted: an account may be named "50/50", and "ada?" must not become "ada". A name that a path would
    # still lose is refused, because the path would mean something else.
    if not name.strip("./") or name.endswith("/"):
        listing = {"requests": "usage", "webhook_endpoints": "webhooks list"}.get(kind, f"{kind} list")
        raise CommandRefused(f"{name!r} names none of the {kind}; give an id, see voxgate {listing}")
    return "/".join((kind, quote(name, safe=""), *behind))
