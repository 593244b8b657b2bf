"""Which hosts a gateway uses: all of few, and of many a part that leaves no host without a gateway."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from policies.host_subset import LEAST_GATEWAYS, host_subset
from tests.tables import each_row

IDS = st.text(max_size=12)
Pairs = set[tuple[str, str]]


def names(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number}" for number in range(count)]


def pairs(gateways: list[str], hosts: list[str], most_hosts: int) -> Pairs:
    """Who uses whom, each gateway asked for itself."""
    return {
        (gateway, host) for gateway in gateways for host in host_subset(gateways, gateway, hosts, most_hosts)
    }


def used(found: Pairs, gateway: str) -> int:
    return sum(each == gateway for each, _ in found)


@given(st.lists(IDS, min_size=1, max_size=8, unique=True), st.lists(IDS, unique=True), st.integers(1, 12))
def test_no_host_is_without_gateways_and_few_hosts_are_used_by_all(
    gateways: list[str], hosts: list[str], most_hosts: int
) -> None:
    found = pairs(gateways, hosts, most_hosts)
    least = len(gateways) if len(hosts) <= most_hosts else min(LEAST_GATEWAYS, len(gateways))
    for host in hosts:
        assert sum(each == host for _, each in found) >= least


@given(
    st.lists(IDS, min_size=1, max_size=8, unique=True),
    st.lists(IDS, unique=True),
    st.integers(1, 12),
    st.randoms(use_true_random=False),
)
def test_every_view_is_the_same_whatever_its_order(
    gateways: list[str], hosts: list[str], most_hosts: int, random: Random
) -> None:
    found = pairs(gateways, hosts, most_hosts)
    others = random.sample(gateways, len(gateways)), random.sample(hosts, len(hosts))
    assert found == pairs(*others, most_hosts)
    # A gateway that has just started may not be in the list yet.
    own = gateways[0]
    assert set(host_subset(gateways[1:], own, hosts, most_hosts)) == {h for g, h in found if g == own}


@given(st.lists(IDS, max_size=40, unique=True), st.integers(1, 64))
def test_one_gateway_uses_all_hosts_and_keeps_their_order(hosts: list[str], most_hosts: int) -> None:
    assert host_subset([], "alone", hosts, most_hosts) == hosts


@each_row(
    ("gateways", "hosts", "most_hosts", "mean"),
    [
        (3, 64, 64, 64.0),
        (3, 65, 64, 64.0),
        (8, 100, 64, 64.0),
        (16, 150, 40, 40.0),
        # Too few gateways: each host has three all the same.
        (4, 300, 40, 225.0),
    ],
)
def test_a_gateway_uses_about_most_hosts(gateways: int, hosts: int, most_hosts: int, mean: float) -> None:
    found = pairs(names("gateway", gateways), names("host", hosts), most_hosts)
    sizes = [used(found, gateway) for gateway in names("gateway", gateways)]
    assert abs(sum(sizes) / gateways - mean) <= mean / 20 + 0.5
    spread = 4.0 * mean**0.5
    assert mean - spread <= min(sizes) <= max(sizes) <= mean + spread


@each_row(("gateways", "hosts"), [((12, 13), (200, 200)), ((12, 12), (200, 199)), ((12, 11), (200, 200))])
def test_what_comes_or_goes_moves_few_others(gateways: tuple[int, int], hosts: tuple[int, int]) -> None:
    before, after = (pairs(names("gateway", gateways[at]), names("host", hosts[at]), 40) for at in range(2))
    own = {f"gateway-{min(gateways)}"} if len(set(gateways)) > 1 else {f"host-{min(hosts)}"}
    moved = [pair for pair in before ^ after if not own & {*pair}]
    # Those that a newcomer takes from others, and those that make up for its part of the mean.
    assert len(moved) <= 2 * len(before) / (12 if len(set(gateways)) > 1 else 200)


def test_a_mean_that_passes_a_whole_number_moves_few_hosts() -> None:
    """A host has 3.5 gateways on average here: with a rounded number, all hosts would change at once."""
    gateways = names("gateway", 10)
    sizes = [len(pairs(gateways, names("host", count), 50)) for count in (141, 143, 145)]
    assert max(sizes) - min(sizes) <= 20


def test_the_answer_is_the_same_in_every_release() -> None:
    """Gateways of two versions must agree, so this table may not change."""
    gateways, hosts = names("gateway", 6), names("host", 12)
    assert {gateway: host_subset(gateways, gateway, hosts, 7) for gateway in gateways} == {
        "gateway-0": _hosts(0, 1, 3, 5, 7),
        "gateway-1": _hosts(1, 5, 7, 8, 9, 11),
        "gateway-2": _hosts(0, 3, 4, 5, 9),
        "gateway-3": _hosts(0, 2, 4, 6, 8, 10),
        "gateway-4": _hosts(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
        "gateway-5": _hosts(1, 2, 3, 6, 10, 11),
    }


def _hosts(*numbers: int) -> list[str]:
    return [f"host-{number}" for number in numbers]
