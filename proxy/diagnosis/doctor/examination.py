"""All checks, each in a thread of its own with a deadline: a dead network disk must not stop the others."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from proxy.config import config_toml
from proxy.config.config_toml import Config, ConfigError
from proxy.diagnosis.doctor import addresses, database, folder, installation, limits, machine, plugins, server
from proxy.diagnosis.doctor.result import Result, note, ok, wrong

DEADLINE_S = 15.0


class Check(NamedTuple):
    name: str
    look: Callable[[], Iterator[Result]]


class ConfigCheck(NamedTuple):
    """One that needs a configuration which can be read."""

    name: str
    look: Callable[[Config], Iterator[Result]]


_OF_THE_MACHINE = (
    Check("python", installation.python),
    Check("packages", installation.packages),
    Check("open files", machine.open_files),
    Check("sockets", machine.sockets),
)

_OF_THE_CONFIG = (
    ConfigCheck("data folder", folder.writable),
    ConfigCheck("disk", folder.room),
    ConfigCheck("file system", folder.file_system),
    ConfigCheck("server", server.server),
    ConfigCheck("port", addresses.port),
    ConfigCheck("metrics port", addresses.metrics_port),
    ConfigCheck("sqlite", database.sqlite_version),
    ConfigCheck("database", database.database),
    ConfigCheck("limits", limits.limits),
    ConfigCheck("engines", plugins.engines),
)


def examine(config_file: Path | None, deadline_s: float = DEADLINE_S) -> Iterator[Result]:
    """The results, as they come."""
    for check in _OF_THE_MACHINE:
        yield from within(deadline_s, check)
    try:
        loaded = config_toml.load(config_file)
    except ConfigError as error:
        yield from (wrong("config", fault, "mend that line of the file") for fault in str(error).splitlines())
        names = ", ".join(check.name for check in _OF_THE_CONFIG)
        yield note("the rest", f"not looked at: {names}", "mend the configuration first")
        return
    yield ok("config", loaded.source)
    for of_config in _OF_THE_CONFIG:
        yield from within(deadline_s, _bound(of_config, loaded))


def within(deadline_s: float, check: Check) -> list[Result]:
    """What a check says; that it is stuck, if it is: nobody waits for its thread at the end."""
    said: queue.Queue[list[Result] | Exception] = queue.Queue()

    def look() -> None:
        try:
            said.put(list(check.look()))
        except Exception as error:  # noqa: BLE001 - the top of a background task: recorded as its result
            said.put(error)

    threading.Thread(target=look, daemon=True, name=check.name).start()
    try:
        results = said.get(timeout=deadline_s)
    except queue.Empty:
        do = "look at what it needs: a disk or a network that does not answer, a plugin that hangs"
        return [wrong(check.name, f"no answer within {deadline_s:g} s", do)]
    if isinstance(results, Exception):
        # Its class alone: a message may quote what is secret.
        where = "please report this with the version of voxgate and of Python"
        return [wrong(check.name, f"the check itself failed: {type(results).__name__}", where)]
    return results


def _bound(check: ConfigCheck, loaded: Config) -> Check:
    return Check(check.name, lambda: check.look(loaded))
