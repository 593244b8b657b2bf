"""Runs the cases that need torch, in the environment that has it."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.neural import run_cases

CASES = Path(__file__).parent / "in_environment"


def test_the_cases_hold_where_torch_is(tmp_path: Path) -> None:
    run_cases("rvc", CASES, tmp_path, "not soak and not signal")


def test_the_cases_of_the_way_of_a_sound_hold_there(tmp_path: Path) -> None:
    """They are quick, and apart: each fault of the mathematics that is made on purpose runs them."""
    run_cases("rvc", CASES, tmp_path, "signal")
