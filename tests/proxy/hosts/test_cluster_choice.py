"""The choice among many hosts that die: how many calls wait, and what becomes of those of a dead host."""

import pytest

from bench import cluster
from bench.cluster import LATE_S, Result, Scenario, Simulation
from bench.cluster_times import Times

pytestmark = pytest.mark.slow

CARD = Times("a card", 32, ((2.0, 0.2), (4.0, 0.2), (6.0, 0.2)))
MANY = Scenario(hosts=30, gateways=6, dies_every_s=30.0, seconds=100.0)


def simulated(scenario: Scenario, hears_others: bool, load: float) -> Result:
    return Simulation(scenario, CARD, hears_others, load).run()


def test_few_wait_though_hosts_die_and_gateways_are_uneven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "MOST_HOSTS", 20)
    found = simulated(MANY, hears_others=True, load=0.7)
    assert found.requests > 15_000
    assert found.late < 0.01
    assert found.p99_s < LATE_S
    assert found.least_busy > 0.5, "a host is without work"
    assert found.deaths == 3
    # What has no sound begins again at another host. The rest is broken off.
    assert 0 < found.repeated < found.broken
    alone = simulated(MANY, hears_others=False, load=0.7)
    assert alone.late > 5 * found.late


def test_calls_wait_if_there_are_too_many() -> None:
    """So the figures above are no accident of a simulation that makes no call wait."""
    found = simulated(Scenario(4, 2, 1e9, 60.0), hears_others=False, load=1.2)
    assert found.late > 0.5
    assert found.repeated == found.broken == found.deaths == 0
    assert found.least_busy > 0.8
