"""Declare the runpod plugin: it runs work on Runpod's machines, and ends machines that are not needed."""

from __future__ import annotations

from plugins.runpod.settings import RunpodSettings
from speech_engine.plugin import Plugin, created_late


def voxgate_register() -> tuple[Plugin[RunpodSettings], ...]:
    create = created_late("plugins.runpod.pod_runner")
    return (Plugin(kind="runner", name="runpod", settings=RunpodSettings, create=create),)
