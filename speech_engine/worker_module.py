"""Reads a worker module: inside a host, and in the server for engines that may run in-process."""

from __future__ import annotations

import importlib
from typing import Any

import msgspec

from speech_engine.plugin import Create, Hosted, Plugin


class WorkerModuleError(Exception):
    """The module named by `Hosted` does not give an engine plugin."""


def worker_engine(module: str) -> tuple[type[msgspec.Struct], Create[Any]]:
    """Import a worker module, and return the settings and the `create` of its engine."""
    register = getattr(importlib.import_module(module), "voxgate_register", None)
    plugins = register() if callable(register) else ()
    for plugin in plugins:
        if isinstance(plugin, Plugin) and plugin.kind == "engine" and not isinstance(plugin.create, Hosted):
            return plugin.settings, plugin.create
    raise WorkerModuleError(f"{module} has no voxgate_register() that gives an engine with its own create")
