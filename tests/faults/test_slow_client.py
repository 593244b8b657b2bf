"""A client that stops reading: the slot is free all the same, memory is bounded, and it is cut off."""

from pathlib import Path

import pytest

from proxy.config.sections import Server as Section
from tests.faults.clouds import ENVIRON, KINDS, clouds
from tests.faults.stalls import (
    CONFIG,
    expect_endless_answers_that_nobody_reads_to_hold_no_slot,
    expect_stalled_clients_of_a_provider_to_hold_no_slot,
    expect_stalled_clients_to_be_cut_off,
)
from tests.server import running
from tests.tables import soak

pytestmark = pytest.mark.slow

STALL_S = 3.0
FEW = 5
"""With more sound than the worker's memory may grow by."""


def test_a_stalled_client_holds_no_slot_little_memory_and_is_cut_off(folder: Path) -> None:
    with running(folder, CONFIG, environ={"VOXGATE_SERVER__STALL_S": str(STALL_S)}) as server:
        expect_stalled_clients_to_be_cut_off(server, STALL_S, FEW)


@pytest.mark.soak
def test_a_stalled_client_is_cut_off_after_half_a_minute_as_shipped(tmp_path: Path) -> None:
    assert Section().stall_s == 30.0
    with running(tmp_path, CONFIG) as server:
        expect_stalled_clients_to_be_cut_off(server, 30.0)


@pytest.mark.parametrize("count", [1, *soak(2)])
def test_an_answer_that_fits_no_memory_holds_no_slot_either(folder: Path, count: int) -> None:
    # A second one waits while a quarter of an hour of sound is made for the first.
    with running(folder, CONFIG, environ={"VOXGATE_SERVER__FIRST_AUDIO_S": "60"}) as server:
        expect_endless_answers_that_nobody_reads_to_hold_no_slot(server, count)


def test_a_stalled_client_of_a_provider_holds_no_slot(folder: Path) -> None:
    model = KINDS["openai"].model
    with clouds() as providers:
        section = providers.engine("far", "openai").replace("concurrency = 64", "concurrency = 1")
        config = f'{section}\n[voices.alloy]\nfar = "alloy"\n'
        with running(folder, config, environ=ENVIRON) as server:
            expect_stalled_clients_of_a_provider_to_hold_no_slot(server, "far", model)
