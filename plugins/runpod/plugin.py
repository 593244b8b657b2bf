"""Declare the runpod plugin: it begins work on machines of Runpod, and ends what bills without need."""

from __future__ import annotations

from plugins.runpod.settings import RunpodSettings
from speech_engine.plugin import Plugin, created_late


def voxgate_register() -> tuple[Plugin[RunpodSettings], ...]:
    create = created_late("plugins.runpod.runner")
    return (Plugin(kind="runner", name="runpod", settings=RunpodSettings, create=create),)
