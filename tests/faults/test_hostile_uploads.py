"""Hostile recordings and forms on a real server: each is refused by its field, and nothing is left of it.

Each file costs a process, so most of them are left to `make soak`.
"""

from pathlib import Path

import pytest

from tests.faults import hostile_uploads
from tests.faults.hostile_uploads import CONFIG, DOORS, MOST_CHILD_MB, MOST_GROWTH_MB
from tests.server import Server, live_server, running

pytestmark = pytest.mark.slow

EVERY, CHANGES, SEED = 61, 15, 5

server = live_server(CONFIG)


def test_many_hostile_uploads_are_refused_and_leave_nothing(server: Server) -> None:
    files = hostile_uploads.send_recordings(server, hostile_uploads.recordings(EVERY))
    forms = hostile_uploads.send_forms(server, CHANGES, SEED)
    assert files.statuses.total() + forms.statuses.total() >= 150
    assert max(files.child_mb, forms.child_mb) < MOST_CHILD_MB
    assert max(files.growth_mb, forms.growth_mb) < MOST_GROWTH_MB
    hostile_uploads.expect_nothing_left(server)


def test_the_largest_file_is_looked_at_and_a_larger_one_is_not(server: Server) -> None:
    hostile_uploads.send_largest(server)


def test_a_playlist_opens_no_address_and_no_file(server: Server) -> None:
    with hostile_uploads.listener() as (address, was_called):
        lures = hostile_uploads.lures(address, server.config)
        hostile_uploads.send_recordings(server, lures[::7])
        assert not was_called()


@pytest.mark.soak
def test_no_hostile_upload_of_all_is_a_fault_of_the_server(tmp_path: Path) -> None:
    with running(tmp_path, CONFIG) as server:
        all_totals = [
            hostile_uploads.send_recordings(server, hostile_uploads.recordings(), first_door)
            for first_door in range(len(DOORS))
        ]
        all_totals.append(hostile_uploads.send_forms(server, 1_500, 6))
        for totals in all_totals:
            print(f"{dict(totals.statuses)}, a decoder {totals.child_mb} MB, {totals.growth_mb} MB more")
            assert totals.child_mb < MOST_CHILD_MB
            assert totals.growth_mb < MOST_GROWTH_MB
        hostile_uploads.expect_nothing_left(server)
