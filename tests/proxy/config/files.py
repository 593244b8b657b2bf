"""Reads a text as the configuration file of a folder: what it comes to, or its faults."""

from pathlib import Path

import pytest

from proxy.config.config_toml import Config, ConfigError
from proxy.feature_list import load_config


def load(folder: Path, text: str, **environ: str) -> Config:
    file = folder / "config.toml"
    file.write_text(text)
    return load_config(file, environ)


def faults(folder: Path, text: str, **environ: str) -> list[str]:
    """One for each line, without the file's name, which every one of them must begin with."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    lines = str(caught.value).split("\n")
    named = f"{folder / 'config.toml'}: "
    assert all(line.startswith(named) for line in lines)
    return [line.removeprefix(named) for line in lines]
