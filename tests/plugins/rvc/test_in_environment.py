"""Runs the cases that need torch, in the environment that has it."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.neural import run_cases

CASES = Path(__file__).parent / "in_environment"


def test_the_cases_hold_where_torch_is(tmp_path: Path) -> None:
    run_cases("rvc", CASES, tmp_path)
