"""`voxgate backup` and `voxgate restore`: copies of the SQLite database.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli.options import ConfigFile, Form, Printed
from proxy.cli.tables import Line, print_answer
from proxy.errors import CommandRefused, DataHeld

if TYPE_CHECKING:
    from proxy.config.config_toml import Config
    from proxy.storage.sqlite_backup import Copy

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


def backup(file: _File, config_file: ConfigFile = None, form: Printed = None) -> None:
    """Back up the database, also while the server runs. An older backup in FILE is replaced."""
    from proxy.processes import runtime
    from proxy.storage import sqlite_backup

    config = _config(config_file, f"pg_dump --format=custom --file={file} ADDRESS")
    data = Path(config.data)
    database = data / sqlite_backup.DATABASE
    if not database.exists():
        raise CommandRefused(f"there is no database {database} yet")
    try:
        # No server may start in the middle: it would bring the schema up to date.
        with runtime.locked(data):
            copy = sqlite_backup.back_up(database, file)
    except DataHeld:
        copy = sqlite_backup.back_up(database, file)
    _print(
        copy,
        form,
        "Keep data/voices, data/erasures.log, the master key, the config file and its secrets, too.",
    )


def restore(file: _File, config_file: ConfigFile = None, form: Printed = None) -> None:
    """Put a backup in the place of the database. The server must not run. The old database is kept."""
    import asyncio

    from proxy.processes import runtime
    from proxy.processes.admin_direct import replay_erasures
    from proxy.storage import sqlite_backup

    config = _config(config_file, f"pg_restore --no-owner --dbname=ADDRESS {file}")
    data = Path(config.data)
    with runtime.locked(data):
        is_replaced = (data / sqlite_backup.DATABASE).exists()
        copy = sqlite_backup.restore(file, data)
        # What was erased since the backup must not come back with it.
        replayed = asyncio.run(replay_erasures(config))
    again = f"Erased since the backup, and erased again: {replayed}. " if replayed else ""
    kept = f"The old database is {data / sqlite_backup.REPLACED}. " if is_replaced else ""
    _print(copy, form, f"{again}{kept}Now run voxgate ledger verify.")


def _config(config_file: Path | None, instead: str) -> Config:
    """Return the configuration. Raise CommandRefused if its database is PostgreSQL's."""
    from proxy.config import config_toml
    from proxy.config.addresses import is_postgres

    config: Config = config_toml.load(config_file)
    if is_postgres(config.storage.url):
        raise CommandRefused(f"the database is PostgreSQL's, whose own tool copies it: {instead}")
    return config


def _print(copy: Copy, form: Form, then: str) -> None:
    import msgspec

    said = f"{copy.file}: {copy.bytes / 1e6:,.2f} MB, schema {copy.schema}."
    print_answer(msgspec.structs.asdict(copy), form, lambda _: [Line(said), Line(then, "dim")])
