"""Restore a whole backup: it is unpacked and checked beside its place, then put in place file by file.

The backup may come from a stranger. A member must have a known name or that of a recording; all but databases
and recordings have a bounded size. Anything else refuses the whole backup. A replaced file stays under its
name with `.before`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxy.config.addresses import is_postgres
from proxy.config.config_toml import Config, ConfigError
from proxy.config.defaults import parse_toml
from proxy.errors import DataHeld
from proxy.feature_list import all_features, all_tables, load_config
from proxy.file_store import data_folder, key_ring, master_keys
from proxy.file_store.objects import is_recording, recordings_folder
from proxy.processes import plain_tar
from proxy.processes.plain_tar import ArchivedFile
from proxy.processes.whole_backup import (
    ABOUT,
    CONFIG,
    FORMAT,
    RECORDINGS,
    BackupFacts,
    BackupSummary,
    open_private,
)
from proxy.storage import sqlite_backup
from proxy.storage.disk_names import UnsafeName, flush
from proxy.storage.sqlite_backup import DATABASE, CheckedCopy
from proxy.storage.store import StorageFailed

BEFORE = ".before"
_MOST_CONFIG_BYTES = 1024 * 1024
_STAGE_PREFIX = ".restore-"

_BACKED_UP = [each for feature in all_features() for each in feature.backed_up]
_MERGES = {each.name: each.merge for each in _BACKED_UP if each.merge is not None}
_SETTINGS = {each.name: each.settings_in for each in _BACKED_UP if each.settings_in is not None}
_CHECKS: dict[str, Callable[[bytes, str], object]] = {
    master_keys.MASTER_KEY_FILE: key_ring.check_ring,
    **{each.name: each.check for each in _BACKED_UP if each.check is not None},
}
_MOST_BYTES_BY_NAME = {
    **dict.fromkeys((master_keys.MASTER_KEY_FILE, CONFIG), _MOST_CONFIG_BYTES),
    **{each.name: each.most_bytes for each in _BACKED_UP},
    DATABASE: 2**62,
}
"""The members besides recordings, with the largest size of each. Only the tar bounds a database."""


class ArchivedRecording(NamedTuple):
    account: str
    digest: str


class Unpacked(NamedTuple):
    """A backup that was unpacked: its files into `stage` in the data folder, and its recordings into
    `recordings_stage` in their folder."""

    facts: BackupFacts
    files: tuple[str, ...]
    recordings: tuple[ArchivedRecording, ...]
    stage: Path
    recordings_stage: Path


def restore_whole(
    file: Path, config: Config, toml: bytes | None, confirm_settings: Callable[[Sequence[str]], None]
) -> BackupSummary:
    """Replace the content of a data folder by a whole backup. The caller holds the folder.

    `toml` is the text of the configuration if it comes from the backup. `confirm_settings` gets the settings
    that the backup brings, and raises if the operator refuses them. Raises StorageFailed without a change,
    unless a disk failed in the middle: a second restore repairs that.
    """
    data = Path(config.data)
    recordings = recordings_folder(config.vault, data)
    try:
        with _stages(data, recordings) as (stage, recordings_stage), ExitStack() as stack:
            unpacked = _unpack(file, stage, recordings_stage)
            database = _check_unpacked(unpacked, file, config, stack)
            if config.vault.store and unpacked.recordings:
                raise StorageFailed(
                    f"{file} has recordings in files, and vault.store names a bucket; restore without it, "
                    "then run voxgate vault move"
                )
            confirm_settings([*_new_settings(unpacked, file, data, toml)])
            _put_files_in_place(unpacked, data, recordings)
            if database is not None:
                database.install()
    except OSError as error:
        raise StorageFailed(f"{file} cannot be put back: {error.filename}: {error.strerror}") from None
    return BackupSummary(
        file=str(file),
        bytes=file.stat().st_size,
        schema=unpacked.facts.schema,
        recordings=len(unpacked.recordings),
        files=unpacked.files,
        variables=config.secrets,
    )


@contextmanager
def _open_members(file: Path) -> Iterator[Iterator[ArchivedFile]]:
    try:
        with file.open("rb") as archive:
            yield plain_tar.read_members(archive)
    except StorageFailed as error:
        raise type(error)(f"{file} is refused, and nothing was changed: {error}") from None


@contextmanager
def removed_on_failure(path: Path) -> Iterator[None]:
    """After a failure, remove this file or folder and the folders above it, if they are new and empty."""
    new = [each for each in (path, *path.parents) if not each.exists()]
    try:
        yield
    except DataHeld:
        raise  # the files belong to another process
    except BaseException:
        for each in new:
            with suppress(OSError):
                each.rmdir() if each.is_dir() else each.unlink()
        raise


@contextmanager
def _stages(data: Path, recordings: Path) -> Iterator[tuple[Path, Path]]:
    """Yield two empty folders on the disks of the data and of the recordings. Remove them at the end."""
    stages = [folder / f"{_STAGE_PREFIX}{os.getpid()}" for folder in (data, recordings)]
    with removed_on_failure(recordings):
        recordings.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            for folder, stage in zip((data, recordings), stages, strict=True):
                for leftover in folder.glob(f"{_STAGE_PREFIX}*"):  # of a restore that was killed
                    shutil.rmtree(leftover)
                stage.mkdir(mode=0o700)
            yield stages[0], stages[1]
        finally:
            for stage in stages:
                shutil.rmtree(stage, ignore_errors=True)


def _unpack(file: Path, stage: Path, recordings_stage: Path) -> Unpacked:
    files: list[str] = []
    recordings: list[ArchivedRecording] = []
    facts = None
    with _open_members(file) as members:
        for member in members:
            if facts is None:
                facts = _read_facts(member)
            elif member.name in _MOST_BYTES_BY_NAME:
                if member.size > (most := _MOST_BYTES_BY_NAME[member.name]):
                    raise StorageFailed(
                        f"{member.name} has {member.size} bytes, and at most {most} are right"
                    )
                plain_tar.copy_member(member, stage / member.name, open_private)
                files.append(member.name)
            else:
                recording = _recording_named(member.name)
                (recordings_stage / recording.account).mkdir(mode=0o700, exist_ok=True)
                plain_tar.copy_member(member, recordings_stage.joinpath(*recording), open_private)
                recordings.append(recording)
        if facts is None:
            raise StorageFailed("it is empty")
    return Unpacked(facts, tuple(files), tuple(recordings), stage, recordings_stage)


def _read_facts(member: ArchivedFile) -> BackupFacts:
    if member.name != ABOUT:
        raise StorageFailed(f"it does not begin with {ABOUT}")
    try:
        facts = msgspec.json.decode(member.read(_MOST_CONFIG_BYTES), type=BackupFacts)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise StorageFailed(f"{ABOUT} makes no sense") from None
    if facts.format != FORMAT:
        raise StorageFailed(f"it has format {facts.format}, and this voxgate knows {FORMAT}")
    return facts


def _recording_named(member: str) -> ArchivedRecording:
    """Return the recording that a member is. Raise UnsafeName."""
    parts = member.split("/")
    if len(parts) != 3 or parts[0] != RECORDINGS:
        raise UnsafeName(f"{ascii(member)[:100]} is no file of a backup")
    recording = ArchivedRecording(parts[1], parts[2])
    if not is_recording("/".join(recording)):
        raise UnsafeName(f"{ascii(member)[:100]} cannot name a file of a vault")
    return recording


def _check_unpacked(unpacked: Unpacked, file: Path, config: Config, stack: ExitStack) -> CheckedCopy | None:
    """Check the unpacked files. Return the checked database, which is open until the end of `stack`, or None
    if it is PostgreSQL's."""
    kind = "postgresql" if is_postgres(config.storage.url) else "sqlite"
    if unpacked.facts.database != kind:
        raise StorageFailed(
            f"{file} is of a server with {unpacked.facts.database}, and [storage] url names {kind}; "
            "nothing was changed"
        )
    try:
        for name, check in _CHECKS.items():
            if name in unpacked.files:
                check((unpacked.stage / name).read_bytes(), name)
    except StorageFailed as error:
        raise StorageFailed(f"{file} is refused, and nothing was changed: {error}") from None
    if kind == "postgresql":
        return None
    if DATABASE not in unpacked.files:
        raise StorageFailed(f"{file} has no {DATABASE}; nothing was changed")
    try:
        return stack.enter_context(
            sqlite_backup.open_checked_copy(unpacked.stage / DATABASE, Path(config.data), all_tables())
        )
    except StorageFailed as error:
        # The folder of the unpacked file is gone when the operator reads this.
        reason = str(error).replace(str(unpacked.stage / DATABASE), f"{DATABASE} in {file}")
        raise StorageFailed(reason) from None


def _new_settings(unpacked: Unpacked, file: Path, data: Path, toml: bytes | None) -> Iterator[str]:
    """Yield lines for the settings that are new here. Raise StorageFailed for forbidden settings."""
    if toml is not None:
        yield from shown_lines(CONFIG, parse_toml(toml.decode()))
    for name, settings_in in _SETTINGS.items():
        try:
            settings = settings_in(unpacked.stage)
        except ConfigError as error:
            problem = str(error).replace(f"{unpacked.stage}/", "")
            problem += f"; to restore without it: tar --delete -f {file} {name}"
            raise StorageFailed(f"{file} is refused, and nothing was changed: {problem}") from None
        if not _have_same_content(unpacked.stage / name, data / name):
            yield from shown_lines(name, settings)


def _put_files_in_place(unpacked: Unpacked, data: Path, recordings: Path) -> None:
    """Put every file in place except the database and the configuration, which come last: a second restore
    repairs a kill."""
    for each in unpacked.recordings:
        (recordings / each.account).mkdir(mode=0o700, exist_ok=True)
        unpacked.recordings_stage.joinpath(*each).replace(recordings.joinpath(*each))
    for account in {each.account for each in unpacked.recordings}:
        flush(recordings / account)
    data_folder.give_to_owner(recordings, data.stat())
    for name in unpacked.files:
        if name in _MERGES:
            _MERGES[name](unpacked.stage / name, data / name)
        elif name not in (DATABASE, CONFIG):
            _put_in_place(unpacked.stage / name, data / name)
    flush(recordings)
    flush(data)


def _put_in_place(unpacked_file: Path, target: Path) -> None:
    """Put a file in its place. A different old file stays as `.before`."""
    if _have_same_content(unpacked_file, target):
        return  # a second restore must not lose the first one's `.before`, and a link stays one
    if target.exists() or target.is_symlink():
        target.replace(target.with_name(target.name + BEFORE))
    unpacked_file.replace(target)


def _have_same_content(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and other.read_bytes() == one.read_bytes()


_SECRET_NAME = re.compile(r"(^|_)(key|token|secret|password|auth)\Z")
_SECTIONS_WITHOUT_SECRETS = ("models", "routes", "voices", "plans", "webhooks")
"""Their keys are names of accounts and aliases, such as "token"."""
_USER_IN_URL = re.compile(r"(?<=://)[^/?#]*@")
_QUERY_IN_URL = re.compile(r"(?<=\?).+")


def shown_lines(file: str, tables: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each entry, in printable ASCII and without secrets: a stranger may have written it."""
    for section, table in tables.items():
        for name, value in table.items() if isinstance(table, dict) else [("", table)]:
            line_fields = {
                f"{section}.{name}".strip("."): value
                if section in _SECTIONS_WITHOUT_SECRETS
                else _without_secrets(name, value)
            }
            yield f"{file}: {json.dumps(line_fields, default=str)[1:-1]}".replace("\x7f", "\\u007f")


def _without_secrets(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(name, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets(key, each) for each in value]
    if not isinstance(value, str) or value.startswith(("env:", "file:")):
        return value
    return (
        "(not shown)"
        if _SECRET_NAME.search(key.lower())
        else _QUERY_IN_URL.sub("(not shown)", _USER_IN_URL.sub("", value))
    )


@contextmanager
def restored_config(file: Path, config_file: Path | None) -> Iterator[tuple[Config, bytes | None]]:
    """Yield the configuration of this machine. Without one, yield the backup's, with its text.

    The backup's configuration is put in place when the block ends without a failure. Raises ConfigError, and
    StorageFailed if the backup's data would lie outside of its folder: its author must not choose which
    folders are replaced.
    """
    config_path = Path(config_file or os.environ.get("VOXGATE_CONFIG") or CONFIG)
    content = None if config_path.exists() else _read_config(file)
    if content is None:
        yield load_config(config_file), None
        return
    temporary_file = sqlite_backup.temporary_path(config_path)
    try:
        with open(temporary_file, "xb", opener=open_private) as opened:
            opened.write(content)
        config = load_config(temporary_file)
        _check_folders(file, config, config_path)
        yield config, content
        sqlite_backup.move_into_place(temporary_file, config_path)
    except OSError as error:
        raise StorageFailed(f"{config_path} cannot be written: {error.strerror}") from None
    except RecursionError:
        raise StorageFailed(f"the {CONFIG} in {file} has tables in tables without end") from None
    finally:
        sqlite_backup.remove_if_there(temporary_file)


def _read_config(file: Path) -> bytes | None:
    """Return the text of the configuration, which comes first after ABOUT, or None. Raise StorageFailed."""
    with _open_members(file) as members:
        for member in members:
            if member.name == CONFIG:
                return member.read(_MOST_CONFIG_BYTES)
            if member.name != ABOUT:
                return None
    return None


def _check_folders(file: Path, config: Config, config_path: Path) -> None:
    config_folder, data = config_path.parent.resolve(), Path(config.data)
    folders = [] if "VOXGATE_SERVER__DATA" in os.environ else [data]
    folders += [recordings_folder(config.vault, data)] if config.vault.folder else []
    for folder in folders:
        if not folder.resolve().is_relative_to(config_folder):
            raise StorageFailed(
                f"the {CONFIG} in {file} keeps its data in {folder}; if you mean that, take it out first: "
                f"tar -xf {file} {CONFIG}"
            )
