"""The cases that need torch and are long: every size, seed and text, many rows at once, and many joins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins import neural


@pytest.mark.parametrize("plugin", ["audioseal", "f5tts", "pocket", "xtts"])
def test_the_long_cases_hold_where_torch_is(plugin: str, tmp_path: Path) -> None:
    neural.run_cases(plugin, Path(neural.__file__).parent / plugin / "in_environment", tmp_path, "soak")
