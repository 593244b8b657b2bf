"""All checks of the doctor. Each has a thread and a deadline, so that a dead network disk stops no other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from proxy.config.config_toml import Config, ConfigError
from proxy.config.finding import Finding, note, ok, wrong
from proxy.diagnosis.doctor import databases, installation, machine, server
from proxy.diagnosis.doctor.databases import missing_plans
from proxy.feature_list import all_features, load_config

DEADLINE_S = 15.0


Look = Callable[[], Iterator[Finding]]

_MACHINE_CHECKS = (
    ("python", installation.python),
    ("packages", installation.packages),
    ("open files", machine.open_files),
    ("confinement", machine.confinement),
    ("sockets", machine.sockets),
)

_CONFIG_CHECKS: tuple[tuple[str, Callable[[Config], Iterator[Finding]]], ...] = (
    ("data folder", machine.data_folder),
    ("disk", machine.disk),
    ("file system", machine.file_system),
    ("flushes", machine.flushes),
    ("server", server.server),
    ("port", server.port),
    ("metrics port", server.metrics_port),
    ("sqlite", databases.sqlite_version),
    ("database", databases.database),
    ("vault", databases.vault),
    *(check for feature in all_features() for check in feature.doctor),
    ("plans", missing_plans),
    ("limits", databases.limits),
    ("engines", installation.engines),
    ("models", installation.models),
    ("licences", installation.licences),
    ("retirements", installation.ending_models),
)


def examine(config_file: Path | None, deadline_s: float = DEADLINE_S) -> Iterator[Finding]:
    """Yield the findings, as they come."""
    for name, look in _MACHINE_CHECKS:
        yield from run_within(deadline_s, name, look)
    try:
        loaded = load_config(config_file)
    except ConfigError as error:
        yield from (wrong("config", fault, "mend that line of the file") for fault in str(error).splitlines())
        names = ", ".join(name for name, _ in _CONFIG_CHECKS)
        yield note("the rest", f"not checked: {names}", "mend the configuration first")
        return
    yield ok("config", loaded.source)
    off = {check for each in all_features() if each.name in loaded.features_off for check in each.doctor}
    for name, look_at in (each for each in _CONFIG_CHECKS if each not in off):
        yield from run_within(deadline_s, name, partial(look_at, loaded))


def run_within(deadline_s: float, name: str, look: Look) -> list[Finding]:
    """Return the findings of a check, or a finding that it is stuck. Its thread is not waited for."""
    answers: queue.Queue[list[Finding] | Exception] = queue.Queue()

    def answer() -> None:
        try:
            answers.put(list(look()))
        except Exception as error:  # noqa: BLE001 - the top of a background task: recorded as its finding
            answers.put(error)

    threading.Thread(target=answer, daemon=True, name=name).start()
    try:
        findings = answers.get(timeout=deadline_s)
    except queue.Empty:
        do = "examine what it needs: a disk or a network may not answer, a plugin may hang"
        return [wrong(name, f"no answer within {deadline_s:g} s", do)]
    if isinstance(findings, Exception):
        # Only the class is shown, because a message may quote a secret.
        do = "please report this with the version of voxgate and of Python"
        return [wrong(name, f"the check itself failed: {type(findings).__name__}", do)]
    return findings
