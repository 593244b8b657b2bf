"""The check of the vault: the configured master keys open what is there, and every recording has its file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from proxy.config import addresses
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, ok, wrong
from proxy.diagnosis.doctor.databases import in_postgres, open_to_read
from proxy.features.all import all_tables
from proxy.kept.master_keys import FILE, MasterKeySource, VaultFailed
from proxy.kept.sealing import MasterKeys
from proxy.kept.vault import recording_path
from proxy.storage import blobs, wrapped_keys
from proxy.storage.disk_names import UnsafeName
from proxy.storage.sqlite_backup import DATABASE
from proxy.storage.store import StorageFailed
from proxy.storage.wrapped_keys import MasterUse

_WHAT = "vault"
_BRING = "bring that key back: name it in [vault] old_master_keys, or put it into the file that it was in"


def vault(config: Config) -> Iterator[Finding]:
    try:
        uses = wrapped_keys.sum_masters(_read(config, wrapped_keys.masters_sql(all_tables())))
        source = MasterKeySource(config.vault, Path(config.data))
        masters = source.read_if_any()
    except VaultFailed as error:
        yield wrong(_WHAT, str(error), _BRING)
        return
    except (sqlite3.Error, StorageFailed):
        return  # the check of the database says so, or it has no such tables yet
    if not uses:
        yield ok(_WHAT, "nothing is sealed yet")
        return
    yield from _of_masters(uses, masters)
    yield from _of_files(config)
    if source.is_beside_the_data:
        do = "keep a copy of it elsewhere, apart from copies of the data folder"
        yield note(_WHAT, f"the master key lies beside the data that it opens, in {FILE}", do)


def _of_masters(uses: list[MasterUse], masters: MasterKeys | None) -> Iterator[Finding]:
    for use in uses:
        if masters is None or not masters.knows(use.prefix):
            yield wrong(_WHAT, f"{use.rows} keys need master key {use.id}, which is not configured", _BRING)
        elif use.prefix != masters.newest.prefix:
            yield note(
                _WHAT, f"{use.rows} keys hang on old master key {use.id}", "voxgate keys rotate-master"
            )
    if masters is None:
        return
    used = {use.prefix for use in uses}
    if masters.newest.prefix in used:
        yield ok(_WHAT, f"master key {masters.newest.id.hex()} opens what it sealed")
    for old in masters.older:
        if old.prefix not in used:
            do = "remove it from [vault] old_master_keys; keep it as long as backups from its time"
            yield note(_WHAT, f"nothing needs old master key {old.id.hex()}", do)


def _of_files(config: Config) -> Iterator[Finding]:
    names = [(row["account"], row["digest"]) for row in _read(config, blobs.LIST)]
    try:
        missing = sum(not recording_path(config.vault, Path(config.data), *name).exists() for name in names)
    except UnsafeName as unsafe:
        do = "somebody else wrote that row: restore a backup that you made yourself"
        yield wrong(_WHAT, f"a row of the table blobs names no recording: {unsafe}", do)
        return
    if missing:
        do = "copy the folder of the recordings back from where it was kept"
        yield wrong(_WHAT, f"the files of {missing} of {len(names)} recordings are missing", do)
    else:
        yield ok(_WHAT, f"{len(names)} recordings have their files")


def _read(config: Config, sql: str) -> list[Mapping[str, Any]]:
    """Run a query, and change nothing. Without a database there are no rows."""
    if addresses.is_postgres(config.storage.url):
        return in_postgres(config.storage.url, lambda store: store.read_long(sql))
    file = Path(config.data) / DATABASE
    if not file.exists():
        return []
    with closing(open_to_read(file)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]
