"""`voxgate backup` and `voxgate restore`: copies of the SQLite database, or of all data.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli.options import ConfigFile, Printed
from proxy.commands.options import Sure, confirm_or_refuse, must_ask, require_yes
from proxy.commands.tables import Line, PrintForm, print_answer
from proxy.errors import CommandRefused
from proxy.feature_list import load_config

if TYPE_CHECKING:
    from proxy.config.config_toml import Config
    from proxy.processes.whole_backup import BackupSummary
    from proxy.storage.sqlite_backup import BackupCopy

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
_All = Annotated[
    bool, typer.Option("--all", help="The keys, recordings and configuration too, in one tar file.")
]


def backup(file: _File, is_whole: _All = False, config_file: ConfigFile = None, form: Printed = None) -> None:
    """Back up the database, also while the server runs. An older backup in FILE is replaced."""
    from proxy.processes import whole_backup

    if is_whole:
        _print_whole(whole_backup.back_up(load_config(config_file), file), form)
        return
    config = _sqlite_config(config_file, f"pg_dump --format=custom --file={file} ADDRESS")
    _print_copy(
        whole_backup.back_up_database(Path(config.data), file),
        form,
        "Keep data/voices, data/erasures.log, the master key, the config file and its secrets, too: "
        "voxgate backup --all puts them into one file.",
    )


def restore(file: _File, is_sure: Sure = False, config_file: ConfigFile = None, form: Printed = None) -> None:
    """Put a backup in the place of the data. The server must not run. The old database is kept."""
    import asyncio

    from proxy.feature_list import all_tables
    from proxy.file_store import data_folder
    from proxy.processes import whole_backup
    from proxy.processes.admin_direct import replay_erasures
    from proxy.storage import sqlite_backup

    if whole_backup.is_whole_backup(file):
        _restore_whole(file, is_sure, config_file, form)
        return
    config = _sqlite_config(config_file, f"pg_restore --no-owner --dbname=ADDRESS {file}")
    if not file.is_file():
        raise CommandRefused(f"{file}: there is no such file; name one that voxgate backup has made")
    data = Path(config.data)
    with data_folder.lock_data_folder(data):
        is_replaced = (data / sqlite_backup.DATABASE).exists()
        copy = sqlite_backup.restore(file, data, all_tables())
        # Voices that were erased since the backup must not come back.
        replayed = asyncio.run(replay_erasures(config))
    _print_copy(copy, form, _next_steps(data, is_replaced, replayed))
    _ask_about_unsigned(config, is_sure)


def _restore_whole(file: Path, is_sure: bool, config_file: Path | None, form: PrintForm) -> None:
    import asyncio

    from proxy.file_store import data_folder
    from proxy.processes import whole_restore
    from proxy.processes.admin_direct import replay_erasures
    from proxy.storage import sqlite_backup

    def confirm_settings(settings: Sequence[str]) -> None:
        if settings:
            typer.echo("\n".join(("The backup brings these settings:", *settings)), err=True)
            require_yes(is_sure)
            confirm_or_refuse(is_sure, "Shall they count from the next start?")

    with whole_restore.restored_config(file, config_file) as (config, content):
        data = Path(config.data)
        with (
            whole_restore.removed_on_failure(data / data_folder.LOCK_FILE),
            data_folder.lock_data_folder(data),
        ):
            is_replaced = (data / sqlite_backup.DATABASE).exists()
            whole = whole_restore.restore_whole(file, config, content, confirm_settings)
            replayed = asyncio.run(replay_erasures(config))
    _print_whole(whole, form, _next_steps(data, is_replaced, replayed))
    _ask_about_unsigned(config, is_sure)


def _ask_about_unsigned(config: Config, is_sure: bool) -> None:
    """Ask at a terminal whether erasures count that no master key has signed. Otherwise they do not."""
    from proxy.processes.admin_client import ask_once

    if config.vault.is_shared and (number := len(ask_once(config, "GET", "erasures")["unsigned"])):
        typer.echo(f"No master key has signed {number} line(s) of the vault's journal of erasures.", err=True)
        if must_ask(is_sure) and typer.confirm("Shall they count, and erase what they name?", err=True):
            ask_once(config, "POST", "erasures/accept")
        else:
            typer.echo("They do not count: see voxgate erasures list.", err=True)


def _next_steps(data: Path, is_replaced: bool, replayed: int) -> str:
    from proxy.storage import sqlite_backup

    again = f"Erased since the backup, and erased again: {replayed}. " if replayed else ""
    old = f"The old database is {data / sqlite_backup.REPLACED_DATABASE}. " if is_replaced else ""
    return f"{again}{old}Now run voxgate ledger verify."


def _sqlite_config(config_file: Path | None, instead: str) -> Config:
    """Return the configuration. Raise CommandRefused if its database is PostgreSQL's."""
    from proxy.config.addresses import is_postgres

    config: Config = load_config(config_file)
    if is_postgres(config.storage.url):
        raise CommandRefused(f"the database is PostgreSQL's, whose own tool copies it: {instead}")
    return config


def _print_copy(copy: BackupCopy, form: PrintForm, then: str) -> None:
    import msgspec

    line = f"{copy.file}: {copy.bytes / 1e6:,.2f} MB, schema {copy.schema}."
    print_answer(msgspec.structs.asdict(copy), form, lambda _: [Line(line), Line(then, "dim")])


def _print_whole(whole: BackupSummary, form: PrintForm, after_restore: str = "") -> None:
    import msgspec

    from proxy.file_store import master_keys

    lines = [
        f"{whole.file}: {whole.bytes / 1e6:,.2f} MB, {whole.recordings} recordings, {', '.join(whole.files)}."
    ]
    if master_keys.MASTER_KEY_FILE in whole.files and not after_restore:
        lines.append("This file has every recording and the master key that opens them: keep it as a secret.")
    if not whole.schema:
        lines.append("The database is PostgreSQL's: copy it with pg_dump and pg_restore, before this.")
    if whole.store:
        lines.append(
            f"The recordings stay in {whole.store}: copy that bucket with its own tools, after this."
        )
    if not after_restore:
        outside = f"the variables {', '.join(whole.variables)}, " if whole.variables else ""
        lines.append(f"Not in it: {outside}files that `file:` settings name, models and environments.")
    lines += [after_restore] if after_restore else []
    first, *rest = lines
    print_answer(
        msgspec.structs.asdict(whole), form, lambda _: [Line(first), *(Line(each, "dim") for each in rest)]
    )
