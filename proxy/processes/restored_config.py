"""The configuration for a restore: the one that is there, or, on an empty machine, the one in the backup."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxy.config.config_toml import Config
from proxy.features.all import load_config
from proxy.kept.vault import recordings_folder
from proxy.processes import whole_restore
from proxy.processes.whole_backup import CONFIG, private
from proxy.storage import sqlite_backup
from proxy.storage.store import StorageFailed


@contextmanager
def of(file: Path, config_file: Path | None) -> Iterator[tuple[Config, bytes | None]]:
    """Give the configuration, and its text if it is the backup's. That has its place when the block ends
    without a failure.

    Raises ConfigError, and StorageFailed if the backup's would put its data elsewhere: whoever wrote it may
    not choose whose folders are replaced.
    """
    place = Path(config_file or os.environ.get("VOXGATE_CONFIG") or CONFIG)
    content = None if place.exists() else whole_restore.read_config(file)
    if content is None:
        yield load_config(config_file), None
        return
    part = sqlite_backup.part_of(place)
    try:
        with open(part, "xb", opener=private) as opened:
            opened.write(content)
        config = load_config(part)
        _check_folders(file, config, place)
        yield config, content
        sqlite_backup.put(part, place)
    except OSError as error:
        raise StorageFailed(f"{place} cannot be written: {error.strerror}") from None
    except RecursionError:
        raise StorageFailed(f"the {CONFIG} in {file} has tables in tables without end") from None
    finally:
        sqlite_backup.remove(part)


def _check_folders(file: Path, config: Config, place: Path) -> None:
    here, data = place.parent.resolve(), Path(config.data)
    folders = [] if "VOXGATE_SERVER__DATA" in os.environ else [data]
    folders += [recordings_folder(config.vault, data)] if config.vault.folder else []
    for folder in folders:
        if not folder.resolve().is_relative_to(here):
            raise StorageFailed(
                f"the {CONFIG} in {file} keeps its data in {folder}; if you mean that, take it out first: "
                f"tar -xf {file} {CONFIG}"
            )
