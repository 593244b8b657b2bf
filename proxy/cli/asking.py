"""Commands that ask the handlers under /admin, as commands of typer with the options that all have.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import typer

from proxy.cli.admin_requests import answer_to, failures
from proxy.cli.options import ConfigFile, Printed
from proxy.commands.command import Ask, Command, Group, Here, KnownAnswer
from proxy.commands.tables import Form, print_answer
from proxy.features.all import load_config


def typer_group(group: Group) -> typer.Typer:
    made = typer.Typer(help=group.about, no_args_is_help=True)
    for name, function in group.by_hand.items():
        made.command(name)(function)
    for command in group.commands:
        made.command(command.name, **command.settings)(runner(command))
    return made


def runner(command: Command) -> Callable[..., None]:
    """Return a function that asks and prints, with the command's options, `--config` and `--json`."""

    def run(*, form: Form, config_file: Path | None = None, **given: Any) -> None:
        here = Here(config_file, form, load_config)
        status = _run(command, here, {**given, **dict.fromkeys(places, here)})
        if status:
            sys.exit(status)

    own = inspect.signature(command.ask, eval_str=True).parameters.values()
    places = [each.name for each in own if each.annotation is Here]
    shared = {"form": Printed} if command.is_alone else {"config_file": ConfigFile, "form": Printed}
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        *(each.replace(kind=keyword) for each in own if each.name not in places),
        *(
            inspect.Parameter(name, keyword, default=None, annotation=option)
            for name, option in shared.items()
        ),
    ]
    run.__doc__ = command.ask.__doc__
    # typer reads the options of a command from both.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _run(command: Command, here: Here, given: dict[str, Any]) -> int:
    """Ask, print the answer, and return the command's status."""
    step = command.ask(**given)
    if step is None:
        return 0
    if isinstance(step, KnownAnswer):
        then = step.then
        print_answer(step.answer, here.form, lambda answer: (*command.show(answer), *then))
        return step.status
    if isinstance(step, Generator):
        return _run_all(command, here, step)
    try:
        answer = answer_to(step, here.config_file, here.form)
    except failures() as error:
        if step.failed == 1:
            raise
        typer.secho(str(error), fg="red", err=True)
        return step.failed
    print_answer(answer, here.form, command.show)
    return step.status(answer)


def _run_all(command: Command, here: Here, steps: Generator[Ask, Any, int | None]) -> int:
    answer = None
    while True:
        try:
            asked = steps.send(answer)
        except StopIteration as end:
            return end.value or 0
        answer = answer_to(asked, here.config_file, here.form)
        if asked.shows(answer):
            print_answer(answer, here.form, command.show)
