"""Tests that were written for one server, with two of them behind nginx: their clients do not notice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PER_MACHINE = (
    "test_a_client_that_leaves_ends_its_search",
    "test_the_command_asks_the_server_that_runs",
    "test_the_command_needs_no_server",
)
"""The metrics are each machine's own. Keys of the database need no `voxgate reload`, and are in no file."""
ROOT = Path(__file__).parents[3]
TESTS = (
    "tests/features/jobs/batches/test_batches_sdk.py",
    "tests/features/jobs/test_commands.py",
    "tests/features/marks/test_detection_served.py",
    "tests/features/marks/test_manifests_served.py",
    "tests/features/own_voices/test_commands.py",
    "tests/features/console/test_voices.py",
)


@pytest.mark.soak
@pytest.mark.parametrize("vault", ["folder", "bucket"])
def test_tests_of_one_server_pass_with_two(vault: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.features.cluster.beside", *TESTS]
    command += ["-k", " and ".join(f"not {name}" for name in PER_MACHINE)]
    environ = {**os.environ, "VOXGATE_TEST_VAULT": vault}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-6000:]
