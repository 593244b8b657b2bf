"""All hostile recordings to every door that takes recordings, and thousands of odd forms."""

from __future__ import annotations

from pathlib import Path

from tests.faults import hostile_uploads
from tests.faults.hostile_uploads import CONFIG, DOORS, MOST_CHILD_MB, MOST_GROWTH_MB
from tests.server import running

CHANGES, SEED = 1500, 6


def test_no_hostile_upload_is_a_fault_of_the_server(tmp_path: Path) -> None:
    with running(tmp_path, CONFIG) as server:
        all_totals = [
            hostile_uploads.send_recordings(server, hostile_uploads.recordings(), first_door)
            for first_door in range(len(DOORS))
        ]
        all_totals.append(hostile_uploads.send_forms(server, CHANGES, SEED))
        for totals in all_totals:
            print(f"{dict(totals.statuses)}, a decoder {totals.child_mb} MB, {totals.growth_mb} MB more")
            assert totals.child_mb < MOST_CHILD_MB
            assert totals.growth_mb < MOST_GROWTH_MB
        hostile_uploads.expect_nothing_left(server)
