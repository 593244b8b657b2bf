"""One option of a command for each limit of the table in `policies.limits`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from policies.limits import LimitRow

R = TypeVar("R")


def limit_options(
    rows: Mapping[str, LimitRow], type_: Any, default: Any, help_: Callable[[LimitRow], str]
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command an option for each limit. The command gets them all in its parameter `limits`."""

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
            own = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            parameters += options if is_limits else [own]

        @functools.wraps(command)
        def with_options(**given: Any) -> R:
            limits = {name: given.pop(name) for name in rows}
            return command(limits=limits, **given)

        # typer reads the options of a command from both.
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return extend
