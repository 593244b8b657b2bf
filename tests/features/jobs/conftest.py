"""A queue whose pauses are short: what a test waits for comes when it is due, and not at the next look."""

import pytest


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what must pass. What must not pass (leases, limits of work) stays as it is."""
    monkeypatch.setattr("policies.tasks.FIRST_DELAY_S", 0.1)
    monkeypatch.setattr("proxy.queue.tasks._LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr("proxy.queue.tasks.LEASE_CHECK_S", 0.1)
    monkeypatch.setattr("proxy.features.jobs.remote.runs._LONGEST_PAUSE_S", 0.1)
