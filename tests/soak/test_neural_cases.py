"""The long cases that need torch: with every size, seed and text, many rows at once, and many joins."""

from pathlib import Path

import pytest

from tests.plugins import neural


@pytest.mark.parametrize("plugin", ["f5tts", "pocket", "xtts"])
def test_long_cases_hold_where_torch_is(plugin: str, tmp_path: Path) -> None:
    cases = Path(neural.__file__).parent / plugin / "in_environment"
    neural.run_cases(plugin, cases, tmp_path, "soak")
