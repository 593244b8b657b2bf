"""Very many bad requests, with another seed for each thousand."""

from __future__ import annotations

from collections import Counter

from tests.faults.bad_requests import expect_every_bad_request_to_be_refused, mint_keys
from tests.server import Server

ROUNDS, COUNT = 10, 1_000


def test_no_bad_request_is_a_fault_of_the_server(server: Server) -> None:
    keys = mint_keys(server, 40)
    statuses, grown = Counter[int](), 0
    for seed in range(ROUNDS):
        totals = expect_every_bad_request_to_be_refused(server, COUNT, seed, keys)
        statuses += totals.statuses
        grown += totals.grown_bytes
    print(
        f"{sum(statuses.values())} requests, {dict(sorted(statuses.items()))}, {grown / 2**20:.1f} MiB more"
    )
