"""Commands that send requests to the admin handlers: of a running server, or on the store itself.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from proxy.cli.options import ConfigFile, Printed
from proxy.commands.command import AdminRequest, Command, CommandContext, CommandResult, Group
from proxy.commands.options import confirm_or_refuse, must_ask
from proxy.commands.tables import PrintForm, Show, print_answer
from proxy.config.feature_switches import how_to_turn_on, off_sentence
from proxy.errors import CommandRefused
from proxy.feature_list import load_config

if TYPE_CHECKING:
    from proxy.config.sections import Config
    from proxy.processes.admin_client import AdminClient, DataFolder

_MOST_A_PAGE = 1000
_MOST_IDS = 100
_LONG_SILENCE_S = 3600.0


def show_answer(admin_request: AdminRequest, config_file: Path | None, form: PrintForm, show: Show) -> Any:
    """Send a request. Print the answer, and return it."""
    found = send_request(admin_request, config_file, form)
    print_answer(found, form, show)
    return found


def send_request(admin_request: AdminRequest, config_file: Path | None, form: PrintForm) -> Any:
    """Send a request, and return the answer. Raise CommandRefused."""
    import asyncio

    from proxy.processes.admin_client import USUAL_SILENCE_S, admin_client, ask_once

    if admin_request.new_file is not None:
        return _save_answer(config_file, admin_request, admin_request.new_file)
    data_folder = data_folder_of(config_file, begins_data=admin_request.begins_data)
    if admin_request.question and must_ask(is_sure=False):
        if admin_request.must_exist:
            # This raises CommandRefused if the thing does not exist.
            ask_once(data_folder, "GET", admin_request.path, **admin_request.query)
        confirm_or_refuse(False, admin_request.question)
    data = {name: _read_file(file) for name, file in admin_request.files.items()}

    async def request() -> Any:
        is_long = admin_request.is_long or admin_request.pages or data
        async with admin_client(data_folder, _LONG_SILENCE_S if is_long else USUAL_SILENCE_S) as client:
            if data:
                fields = {name: field for name, field in admin_request.body.items() if field}
                return await client.send_form(admin_request.path, fields, data, **admin_request.query)
            if admin_request.pages:
                return await _read_rows(client, admin_request, with_names=form is not True)
            return await client.request_json(
                admin_request.method, admin_request.path, admin_request.body, **admin_request.query
            )

    if not data:
        return asyncio.run(request())
    from rich.console import Console

    with Console(stderr=True).status(
        f"{next(iter(admin_request.files.values())).name}: {admin_request.work} …"
    ):
        return asyncio.run(request())


def data_folder_of(config_file: Path | None, *, begins_data: bool = False) -> DataFolder:
    from proxy.config.server_section import server_of
    from proxy.processes.admin_client import DataFolder

    def load() -> Config:
        config = load_config(config_file)
        if not begins_data:
            refuse_new_data(config)
        return config

    return DataFolder(server_of(config_file).data, load)


def refuse_new_data(config: Config) -> None:
    """Raise CommandRefused where a command would begin a database that no server uses: without a config
    file, and without data that is there or named. Models alone, such as a pull leaves, are no server's."""
    from proxy.config.sections import Config as Defaults

    is_named = config.source != Defaults().source or "VOXGATE_SERVER__DATA" in os.environ
    if not is_named and config.storage.url == "sqlite" and not (Path(config.data) / "voxgate.db").exists():
        raise CommandRefused(
            f"{Path.cwd()} has neither config.toml nor data/voxgate.db: it is no server's folder. Go to one, "
            "or name its file: --config. To begin here: voxgate serve, or voxgate accounts create NAME --new"
        )


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandRefused(f"{file}: {error.strerror}") from None


async def _read_rows(client: AdminClient, admin_request: AdminRequest, with_names: bool) -> Any:
    """Return rows, for tables also with the names of accounts whose ids are in them."""
    answer = await (
        _all_pages(client, admin_request.path, **admin_request.query)
        if admin_request.pages == "all"
        else client.request_json("GET", admin_request.path, **admin_request.query)
    )
    ids = sorted({row["account"] for row in answer["data"] if row.get("account")})
    if not with_names or not ids:
        return answer
    names: dict[str, str] = {}
    for start in range(0, len(ids), _MOST_IDS):
        found = await client.request_json("GET", "accounts", ids=",".join(ids[start : start + _MOST_IDS]))
        names |= {row["id"]: row["title"] for row in found["data"]}
    return {**answer, "account_names": names}


async def _all_pages(client: AdminClient, path: str, **query: str | int | None) -> Any:
    rows: list[Any] = []
    page = await client.request_json("GET", path, limit=_MOST_A_PAGE, **query)
    while page["has_more"]:
        rows += page["data"]
        page = await client.request_json("GET", path, limit=_MOST_A_PAGE, after=page["last_id"], **query)
    return {**page, "data": rows + page["data"]}


def _save_answer(config_file: Path | None, admin_request: AdminRequest, file: Path) -> dict[str, Any]:
    """Write an answer that is no JSON to a new file, which only its owner can read."""
    data = bytearray()
    write_answer_parts(config_file, admin_request.path, data.extend, **admin_request.query)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(data)
    except OSError as error:
        raise CommandRefused(f"{file}: {error.strerror}") from None
    return {"file": str(file), "bytes": len(data)}


def write_answer_parts(
    config_file: Path | None, path: str, write: Callable[[bytes], object], **query: str | int | None
) -> None:
    """Write an answer that is no JSON, as it comes."""
    import asyncio

    from proxy.processes.admin_client import admin_client

    async def write_parts() -> None:
        async with admin_client(data_folder_of(config_file), _LONG_SILENCE_S) as client:
            async with aclosing(client.stream_parts(path, **query)) as parts:
                async for part in parts:
                    write(part)

    asyncio.run(write_parts())


def shown_failures() -> tuple[type[Exception], ...]:
    """Return the exceptions that are shown to the operator as one line."""
    from proxy.config.config_toml import ConfigError
    from proxy.storage.store import StorageFailed

    return (ConfigError, CommandRefused, StorageFailed)


class _Suggesting(TyperGroup):
    instead: Mapping[str, str] = {}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in self.instead:
            ctx.fail(f"No such command '{args[0]}'. Did you mean {self.instead[args[0]]}?")
        return super().resolve_command(ctx, args)


def typer_group(group: Group) -> typer.Typer:
    cls = type("Suggesting", (_Suggesting,), {"instead": group.instead})
    app = typer.Typer(help=group.about, no_args_is_help=True, cls=cls)
    for name, function in group.typer_functions.items():
        app.command(name)(function)
    for command in group.commands:
        app.command(command.name, **command.settings)(typer_function(command))
    return app


def typer_function(command: Command) -> Callable[..., None]:
    """Return a function for typer, with the command's options, `--config` and `--json`."""

    def run(*, form: PrintForm, config_file: Path | None = None, **options: Any) -> None:
        here = CommandContext(config_file, form, load_config)
        if context_names:
            # It sends no request, so no server can refuse it because its feature is off.
            _refuse_off(command, here)
        status = _run_command(command, here, {**options, **dict.fromkeys(context_names, here)})
        if status:
            sys.exit(status)

    own = inspect.signature(command.function, eval_str=True).parameters.values()
    context_names = [each.name for each in own if each.annotation is CommandContext]
    shared = {"form": Printed} if command.without_config else {"config_file": ConfigFile, "form": Printed}
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        *(each.replace(kind=keyword) for each in own if each.name not in context_names),
        *(
            inspect.Parameter(name, keyword, default=None, annotation=option)
            for name, option in shared.items()
        ),
    ]
    run.__doc__ = command.function.__doc__
    # typer reads the options of a command from both.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _refuse_off(command: Command, here: CommandContext) -> None:
    _, _, name = command.function.__module__.partition("proxy.features.")
    feature = name.partition(".")[0]
    if feature and feature in here.config().features_off:
        raise CommandRefused(off_sentence(feature, how_to_turn_on(feature)))


def _run_command(command: Command, here: CommandContext, options: dict[str, Any]) -> int:
    """Send the request, print the answer, and return the command's status."""
    step = command.function(**options)
    if step is None:
        return 0
    if isinstance(step, CommandResult):
        then = step.then
        print_answer(step.answer, here.form, lambda answer: (*command.show(answer), *then))
        return step.status
    if isinstance(step, Generator):
        return _run_steps(command, here, step)
    try:
        answer = send_request(step, here.config_file, here.form)
    except shown_failures() as error:
        if step.failed_status == 1:
            raise
        typer.secho(str(error), fg="red", err=True)
        return step.failed_status
    print_answer(answer, here.form, command.show)
    return step.status(answer)


def _run_steps(
    command: Command, here: CommandContext, steps: Generator[AdminRequest, Any, int | None]
) -> int:
    answer = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as end:
            return end.value or 0
        try:
            answer = send_request(request, here.config_file, here.form)
        except shown_failures() as error:
            # A command may undo what its earlier requests have made, by one more.
            send_request(steps.throw(error), here.config_file, here.form)
            raise
        if request.is_shown(answer):
            print_answer(answer, here.form, command.show)
