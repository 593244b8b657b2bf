"""Two versions of voxgate on one database: `scripts/upgrade_check`."""

import subprocess

import pytest

from tests.faults import upgrades


def last_release() -> str:
    """The last tag whose version lets an older one work on its database; "" before there is one."""
    tags = subprocess.run(
        ["git", "tag", "--sort=-creatordate"], cwd=upgrades.ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for tag in tags:
        command = ["git", "grep", "-q", "readable_from", tag, "--", "proxy/storage/schema.py"]
        if not subprocess.run(command, cwd=upgrades.ROOT, check=False).returncode:
            return tag
    return ""


@pytest.mark.soak
def test_two_versions_serve_on_one_database_in_both_orders_and_back() -> None:
    upgrades.main()
    if ref := last_release():
        upgrades.main(ref)
