"""The hosts of a cluster that one gateway uses, if there are more than each gateway can watch.

All gateways compute the same answer without asking one another: each host belongs to the gateways with the
highest hash of both ids (rendezvous hashing). The hosts choose, and not the gateways, so that no host is left
without work.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

LEAST_GATEWAYS = 3
"""Each host belongs to so many gateways, if there are so many. With two, the hosts that both have three times
the requests of others are late at a load of 0.8 (`python -m bench.cluster 1000`)."""

_WHOLE = 2.0**64


def host_subset(
    gateways: Collection[str], gateway: str, hosts: Collection[str], most_hosts: int
) -> list[str]:
    """Return the hosts that `gateway` uses, in their order.

    It uses all of at most `most_hosts` hosts, and about `most_hosts` of more: more than that only where the
    gateways are too few for the hosts. `gateway` counts as one of the living `gateways`. A gateway
    or a host that comes or goes changes only few of the other pairs. It takes two microseconds for each pair
    of gateway and host, so call it only when either list has changed.
    """
    if len(hosts) <= most_hosts:
        return list(hosts)
    others = {*gateways} - {gateway}
    gateways_a_host = most_hosts * (len(others) + 1) / len(hosts)
    return [host for host in hosts if _belongs(host, gateway, others, gateways_a_host)]


def _belongs(host: str, gateway: str, others: Collection[str], gateways_a_host: float) -> bool:
    # Some hosts have one gateway more than others, so that the mean is exact and few pairs change with it.
    count = max(LEAST_GATEWAYS, int(gateways_a_host + _weight("", host)))
    own = _weight(gateway, host), gateway
    return sum((_weight(other, host), other) > own for other in others) < count


def _weight(gateway: str, host: str) -> float:
    """Return a number from 0 to 1 that is the same in every process and on every machine."""
    digest = blake2b(f"{len(gateway)}:{gateway}{host}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _WHOLE
