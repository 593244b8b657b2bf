"""Asks one check, on a configuration in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from proxy.config import config_toml
from proxy.config.config_toml import Config
from proxy.diagnosis.finding import Finding


def configured(folder: Path, text: str = "[engines.tone]\n") -> Config:
    """Its data folder is `folder/data`, which is not there yet."""
    file = folder / "config.toml"
    file.write_text(text)
    return config_toml.load(file, {})


def only(results: Iterable[Finding]) -> Finding:
    """The one thing that a check says; what is not fine must come with something to do."""
    (result,) = results
    assert bool(result.do) == (result.verdict != "ok"), result
    return result
