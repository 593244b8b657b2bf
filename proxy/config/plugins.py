"""[front_ends.NAME] and [detectors.NAME]: settings of plugins that are opened once, under their own names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from proxy.config.engines import checked_settings
from proxy.config.reader import Reader
from proxy.config.sections import PluginSection


def read_plugins(
    reader: Reader, value: object, kind: str, environ: Mapping[str, str], folder: Path
) -> dict[str, PluginSection]:
    """What is not the plugin's is told where its settings are known: by `voxgate check`, and at start."""
    found: dict[str, PluginSection] = {}
    for name, written in reader.table(value, kind).items():
        key = f"{kind}.{name}"
        settings, fault = checked_settings(reader, reader.table(written, key), key, environ, folder)
        found[name] = PluginSection(fault, settings)
    return found
