"""Reads a worker module: inside a host, and in the server for engines that may run in-process."""

from __future__ import annotations

import importlib
from typing import Any

import msgspec

from speech_engine.plugin import Create, Hosted, Kind, Plugin


class WorkerModuleError(Exception):
    """The module named by `Hosted` does not give a plugin of the kind that it stands for."""


def worker_plugin(module: str, kind: Kind = "engine") -> tuple[type[msgspec.Struct], Create[Any]]:
    """Import a worker module, and return the settings and the `create` of its plugin of this kind."""
    register = getattr(importlib.import_module(module), "voxgate_register", None)
    plugins = register() if callable(register) else ()
    for plugin in plugins:
        if isinstance(plugin, Plugin) and plugin.kind == kind and not isinstance(plugin.create, Hosted):
            return plugin.settings, plugin.create
    raise WorkerModuleError(
        f"{module} has no voxgate_register() that gives a plugin of the kind {kind} with its own create"
    )
