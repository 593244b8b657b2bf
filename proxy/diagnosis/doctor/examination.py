"""All checks. Each has a thread and a deadline, so that a dead network disk does not stop the others."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from proxy.config.config_toml import Config, ConfigError
from proxy.config.finding import Finding, note, ok, wrong
from proxy.diagnosis.doctor import databases, installation, machine, server, vault
from proxy.diagnosis.doctor.databases import missing_plans
from proxy.features.all import all_features, load_config

DEADLINE_S = 15.0


class Check(NamedTuple):
    name: str
    look: Callable[[], Iterator[Finding]]


class ConfigCheck(NamedTuple):
    """A check that needs a valid configuration."""

    name: str
    look: Callable[[Config], Iterator[Finding]]


_OF_THE_MACHINE = (
    Check("python", installation.python),
    Check("packages", installation.packages),
    Check("open files", machine.open_files),
    Check("confinement", machine.confinement),
    Check("sockets", machine.sockets),
)

_OF_THE_CONFIG = (
    ConfigCheck("data folder", machine.data_folder),
    ConfigCheck("disk", machine.disk),
    ConfigCheck("file system", machine.file_system),
    ConfigCheck("server", server.server),
    ConfigCheck("port", server.port),
    ConfigCheck("metrics port", server.metrics_port),
    ConfigCheck("sqlite", databases.sqlite_version),
    ConfigCheck("database", databases.database),
    ConfigCheck("vault", vault.vault),
    *(ConfigCheck(name, look) for feature in all_features() for name, look in feature.doctor),
    ConfigCheck("plans", missing_plans),
    ConfigCheck("limits", databases.limits),
    ConfigCheck("engines", installation.engines),
    ConfigCheck("models", installation.models),
    ConfigCheck("licences", installation.licences),
    ConfigCheck("retirements", installation.ending_models),
)


def examine(config_file: Path | None, deadline_s: float = DEADLINE_S) -> Iterator[Finding]:
    """Yield the findings, as they come."""
    for check in _OF_THE_MACHINE:
        yield from within(deadline_s, check)
    try:
        loaded = load_config(config_file)
    except ConfigError as error:
        yield from (wrong("config", fault, "mend that line of the file") for fault in str(error).splitlines())
        names = ", ".join(check.name for check in _OF_THE_CONFIG)
        yield note("the rest", f"not checked: {names}", "mend the configuration first")
        return
    yield ok("config", loaded.source)
    for of_config in _OF_THE_CONFIG:
        yield from within(deadline_s, Check(of_config.name, partial(of_config.look, loaded)))


def within(deadline_s: float, check: Check) -> list[Finding]:
    """Return the findings of a check, or one that says that it is stuck. Its thread is not waited for."""
    answers: queue.Queue[list[Finding] | Exception] = queue.Queue()

    def look() -> None:
        try:
            answers.put(list(check.look()))
        except Exception as error:  # noqa: BLE001 - the top of a background task: recorded as its finding
            answers.put(error)

    threading.Thread(target=look, daemon=True, name=check.name).start()
    try:
        findings = answers.get(timeout=deadline_s)
    except queue.Empty:
        do = "examine what it needs: a disk or a network may not answer, a plugin may hang"
        return [wrong(check.name, f"no answer within {deadline_s:g} s", do)]
    if isinstance(findings, Exception):
        # Only the class: a message may quote a secret.
        do = "please report this with the version of voxgate and of Python"
        return [wrong(check.name, f"the check itself failed: {type(findings).__name__}", do)]
    return findings
