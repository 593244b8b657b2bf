"""Shared options and arguments of commands, their readers, and the question before a final change."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from policies.limits import LimitRow
from proxy.errors import CommandRefused

Limit = Annotated[int | None, typer.Option(help="How many, 1 to 1000; else 100.")]
Since = Annotated[str | None, typer.Option(help="From this day or time on, UTC: 2026-01-31.")]
Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account, by id or name.")]
Credits = Annotated[str, typer.Argument(metavar="CREDITS", help="Credits, with up to 6 decimals.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="A key, by its id (key_…).")]
OfAccount = Annotated[str | None, typer.Option("--account", help="Only this account, by id or name.")]
Sure = Annotated[bool, typer.Option("--yes", help="Do not ask first, as on a terminal.")]

_CREDITS = re.compile(r"-?\d{1,10}(\.\d{1,6})?", re.ASCII)
_WHOLE_NUMBER = re.compile(r"\d{1,10}", re.ASCII)
_SPAN_PATTERN = re.compile(r"([1-9]\d*)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def read_credits(text: str, option: str) -> float:
    """Read credits as a number whose JSON has the same digits. Raise CommandRefused."""
    if not _CREDITS.fullmatch(text):
        raise CommandRefused(f"{option}: {text!r} is not a number of credits; write one such as 5 or 0.25")
    return float(text) if "." in text else int(text)


def read_whole_number(text: str, option: str) -> int:
    """Read a whole number. Raise CommandRefused."""
    if not _WHOLE_NUMBER.fullmatch(text):
        raise CommandRefused(f"{option}: {text!r} is neither a whole number nor none")
    return int(text)


def read_named_voices(
    text: str, option: str = "--cast", noun: str = "name", example: str = "Ana=nova,Ben=onyx"
) -> dict[str, str]:
    """Read names and their voices. Raise CommandRefused."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not pairs or not all(name.strip() and voice.strip() for name, _, voice in pairs):
        raise CommandRefused(f"{option}: {text!r} has no {noun} with a voice; write {example}")
    return {name.strip(): voice.strip() for name, _, voice in pairs}


def read_span_s(text: str) -> int | None:
    """Read a span such as "30d", and return its seconds, or None for "". Raise CommandRefused."""
    if not text:
        return None
    match = _SPAN_PATTERN.fullmatch(text)
    if match is None:
        raise CommandRefused(
            f"--expires: {text!r} is not a time; write a number and s, m, h, d or w, as in 30d"
        )
    return int(match[1]) * _SECONDS[match[2]]


def must_ask(is_sure: bool) -> bool:
    return not is_sure and sys.stdin.isatty() and sys.stderr.isatty()


def require_yes(is_sure: bool) -> None:
    if not is_sure and not must_ask(is_sure):
        raise CommandRefused("nothing was changed: without a terminal, add --yes")


def confirm_or_refuse(is_sure: bool, question: str) -> None:
    """Ask a person at a terminal before a final change. Raise CommandRefused if the answer is no.

    A script has no terminal, and gets no question.
    """
    if not must_ask(is_sure):
        return
    if not typer.confirm(question, err=True):
        raise CommandRefused("nothing was changed")


R = TypeVar("R")


def limit_options(
    rows: Mapping[str, LimitRow], type_: Any, default: Any, help_: Callable[[LimitRow], str]
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add an option for each limit to a command, which gets all of them in its parameter `limits`.

    With rows rpm and streams, `(name, limits)` becomes `(*, name, rpm=default, streams=default)`: typer sees
    the options `--rpm` and `--streams`.
    """

    def extend(command: Callable[..., R]) -> Callable[..., R]:
        options = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Annotated[type_, typer.Option(f"--{name.replace('_', '-')}", help=help_(row))],
            )
            for name, row in rows.items()
        ]
        signature = inspect.signature(command, eval_str=True)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            is_limits = parameter.name == "limits"
            own_parameter = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            parameters += options if is_limits else [own_parameter]

        @functools.wraps(command)
        def with_options(**options: Any) -> R:
            limits = {name: options.pop(name) for name in rows}
            return command(limits=limits, **options)

        # typer reads the options of a command from both.
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return extend
