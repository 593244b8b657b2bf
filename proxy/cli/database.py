"""`voxgate database upgrade`, and `voxgate migrate`, the former name of two commands.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.cli.admin_requests import refuse_new_data
from proxy.cli.from_openai import Url, from_openai, show_changes
from proxy.commands.command import Command, CommandContext, CommandResult, Group
from proxy.commands.tables import Line, Part

if TYPE_CHECKING:
    from proxy.config.sections import Config


def _show_schema(answer: dict[str, Any]) -> list[Part]:
    return [Line(f"The database has schema {answer['schema']}.")]


DATABASE = Group("database", "The server's database.")


@DATABASE.command("upgrade", _show_schema)
def upgrade(here: CommandContext) -> CommandResult:
    """Bring the database to the schema of this version.

    Servers may run beside it, except on SQLite.
    """
    refuse_new_data(config := here.config())
    return CommandResult({"schema": _bring_up_to_date(config)})


def _bring_up_to_date(config: Config) -> int:
    """Apply the migrations that the database lacks, and return its version."""
    import asyncio

    import msgspec

    from proxy import storage
    from proxy.config.addresses import is_postgres
    from proxy.feature_list import all_tables
    from proxy.file_store import data_folder
    from proxy.storage import schema

    async def migrate() -> int:
        section = msgspec.structs.replace(config.storage, migrate=True)
        async with storage.open_store(section, Path(config.data), all_tables()) as store:
            return await schema.read_version(store)

    lock = (
        nullcontext() if is_postgres(config.storage.url) else data_folder.lock_data_folder(Path(config.data))
    )
    with lock:
        return asyncio.run(migrate())


def _migrate(
    here: CommandContext,
    path: Annotated[Path | None, typer.Argument(exists=True, show_default=False)] = None,
    url: Url = "http://127.0.0.1:8000/v1",
) -> CommandResult:
    """Run voxgate database upgrade, or with a PATH voxgate from-openai."""
    notice = "voxgate migrate is now voxgate database upgrade, and with a PATH voxgate from-openai PATH"
    typer.echo(f"{notice}; the next version has only the new names", err=True)
    return upgrade(here) if path is None else from_openai(path, url)


def _show_either(answer: dict[str, Any]) -> list[Part]:
    return _show_schema(answer) if "schema" in answer else show_changes(answer)


MIGRATE = Command("migrate", _migrate, _show_either, settings={"hidden": True})
