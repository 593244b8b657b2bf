"""The table of `voxgate engines`: what loads, and what a batched model does."""

from typing import Any

import pytest

from proxy.cli.engines import engine_table
from proxy.commands.tables import print_answer

ENGINE = {
    "name": "xtts",
    "plugin": "xtts",
    "state": "ready",
    "models": [],
    "running": 3,
    "slots": 24,
    "waiting": 0,
    "reason": "",
    "credentials": [],
    "budgets": [],
    "figures": {},
    "loaded": None,
    "licences": {},
    "device": "",
    "memory_gb": None,
}
FIGURES = {
    "step_width": 12.34,
    "step_width_limit": 16.0,
    "step_seconds": 0.0216,
    "realtime_factor": 24.44,
    "dry_listeners": 2.0,
}


CARD = {"device_memory_used_bytes": 3 * 1024**3, "device_memory_total_bytes": 8 * 1024**3}


def shown(capsys: pytest.CaptureFixture[str], **more: Any) -> str:
    print_answer({"data": [{**ENGINE, **more}], "faults": []}, None, engine_table)
    return capsys.readouterr().out


def test_what_runs_of_all_slots_is_called_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    columns, row = (line.split() for line in shown(capsys).splitlines())
    assert dict(zip(columns, row, strict=False))["jobs"] == "3/24"


def test_an_engine_that_loads_shows_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert "starting 40%" in shown(capsys, state="starting", loaded=0.4, reason="reading the weights")


def test_a_batched_model_shows_its_steps_its_speed_and_who_ran_dry(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = shown(capsys, figures=FIGURES)
    for figure in ("12.3 of 16", "22 ms", "24.4×"):
        assert figure in text
    assert "listeners dry" in text
    assert "listeners dry" not in shown(capsys)


def test_a_card_shows_its_memory_and_how_busy_it_is_as_far_as_it_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def wide(**figures: float) -> str:
        print_answer({"data": [{**ENGINE, "figures": figures}], "faults": []}, False, engine_table)
        return " ".join(capsys.readouterr().out.split())

    assert "3.0 of 8.0 GB, 63% busy" in wide(**CARD, device_utilisation=0.63)
    busy_unknown = wide(**CARD)
    assert "3.0 of 8.0 GB" in busy_unknown
    assert "busy" not in busy_unknown
    # It is no batch, which would have steps.
    assert "listeners dry" not in busy_unknown
