"""Runs the cases that need torch, in the environment that has it."""

from pathlib import Path

import pytest

from tests.plugins.neural import interpreter, run_cases, run_module

pytestmark = pytest.mark.slow

CASES = Path(__file__).parent / "in_environment"


def test_the_cases_hold_where_torch_is(tmp_path: Path) -> None:
    run_cases("pocket", CASES, tmp_path)


@pytest.mark.soak
def test_memory_stays_flat_over_five_hundred_texts() -> None:
    interpreter("pocket")
    run_module("pocket", "tests.plugins.pocket.many_texts", "500")
