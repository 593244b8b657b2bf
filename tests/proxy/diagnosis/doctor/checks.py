"""A configuration in a folder of the test's own, and the one finding of a check."""

from collections.abc import Iterable
from pathlib import Path

from proxy.config.config_toml import Config
from proxy.config.finding import Finding
from proxy.feature_list import load_config


def configured(folder: Path, text: str = "[engines.tone]\n") -> Config:
    """Write a configuration whose data folder, `folder/data`, is not there yet."""
    file = folder / "config.toml"
    file.write_text(text)
    return load_config(file, {})


def only(results: Iterable[Finding]) -> Finding:
    """Return the one finding of a check. A finding that is not ok must say what to do."""
    (result,) = results
    assert bool(result.do) == (result.verdict != "ok"), result
    return result
