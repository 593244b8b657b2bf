"""Bad requests of every kind, sent to a real server: each is refused, and the server goes on."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults.bad_requests import expect_every_bad_request_to_be_refused, mint_keys
from tests.server import Server

COUNT, SEED = 200, 7
ROUNDS, MANY = 10, 1_000


def test_no_bad_request_is_a_fault_of_the_server(server: Server) -> None:
    totals = expect_every_bad_request_to_be_refused(server, COUNT, SEED, mint_keys(server, 8))
    # They are as many things as they are meant to be.
    assert {200, 400, 404, 405, 413, 431} <= totals.statuses.keys()


@pytest.mark.soak
def test_no_bad_request_of_very_many_is_a_fault_of_the_server(server: Server) -> None:
    keys = mint_keys(server, 40)
    statuses, grown = Counter[int](), 0
    for seed in range(ROUNDS):
        totals = expect_every_bad_request_to_be_refused(server, MANY, seed, keys)
        statuses += totals.statuses
        grown += totals.grown_bytes
    print(
        f"{sum(statuses.values())} requests, {dict(sorted(statuses.items()))}, {grown / 2**20:.1f} MiB more"
    )
