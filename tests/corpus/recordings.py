"""The recorded files, one a topic: a JSON list of steps, sorted so that a change reads well in a diff."""

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "recorded"


def names() -> set[str]:
    return {file.stem for file in _FOLDER.glob("*.json")}


def read(topic: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = json.loads((_FOLDER / f"{topic}.json").read_text())
    return steps


def write(topic: str, steps: list[dict[str, Any]]) -> None:
    text = json.dumps(steps, indent=1, sort_keys=True, ensure_ascii=False)
    (_FOLDER / f"{topic}.json").write_text(text + "\n")


def plain(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As it would be read back from a file: tuples are lists, and every key is a text."""
    same: list[dict[str, Any]] = json.loads(json.dumps(steps))
    return same
