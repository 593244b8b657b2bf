"""What is in force without a config.toml: defaults.toml, and a layer above it that a feature may bring."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from proxy.config.model_names import hearing_model
from proxy.config.sections import EngineSection

HOW_TO_HEAR = "voxgate models pull whisper-base, then a restart, brings a model that hears."
_COMMENTS_AND_STRINGS = re.compile(
    r"""#[^\n]*|\"{3}(?:[^"\\]|\\.|\"(?!\"\"))*+(?:\"{3}|\\?\Z)|'{3}.*?(?:'{3}|\Z)"""
    r"""|\"(?:[^"\\\n]|\\[^\n])*+\"?|'[^'\n]*'?""",
    re.DOTALL,
)
"""These parts are removed before dots are counted: a dot in them does not separate keys."""


@cache
def shipped_defaults() -> Mapping[str, Any]:
    """Return the content of defaults.toml."""
    return tomllib.loads((Path(__file__).parent / "defaults.toml").read_text())


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a stranger's TOML. Raise ValueError and RecursionError as tomllib does."""
    # For a key of n parts, tomllib takes memory for n * n.
    squared_dots = sum(line.count(".") ** 2 for line in _COMMENTS_AND_STRINGS.sub("", text).split("\n"))
    if squared_dots > 4_000_000:
        raise ValueError("it has too many dots in a line")
    return tomllib.loads(text)


def hearing_candidates(engines: Mapping[str, EngineSection]) -> dict[str, list[str]]:
    """Return the candidates of each built-in name of a model that writes recordings down. An engine with an
    imported model does it with that one."""
    imported = {name: f"{name}/{id_}" for name, section in engines.items() if (id_ := hearing_model(section))}
    built_in = shipped_defaults()["hearing"].items()
    return {
        alias: [imported.get(full_name.partition("/")[0], full_name) for full_name in full_names]
        for alias, full_names in built_in
    }


class NoLayer:
    """The base type of settings above the shipped defaults and below config.toml: it has none.
    `proxy/features/models/natural.py` reads natural.toml."""

    def put_beneath(self, _raw: dict[str, Any], /) -> tuple[str, ...]:
        """Add the layer's sections to the tables of config.toml, and return those that were added."""
        return ()

    def candidates_by_alias(self, _engines: Mapping[str, EngineSection], /) -> dict[str, list[str]]:
        """Return the candidates of the aliases that need no config.toml."""
        return {alias: list(names) for alias, names in shipped_defaults()["models"].items()}
