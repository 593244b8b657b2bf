"""How fair a host's queue is, in simulated time: `python -m bench.fairness`.

The same jobs in three orders: as they came, in turns by job, and in turns by seconds over the share, as
hosts serve them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping

from bench.simulated_host import Job, SimulatedHost, counted, not_counted

SEED = 20261120
SLOTS = 4
ACCOUNTS = 1000
SHARES = (1.0, 2.0, 5.0)
BACKLOG_S = 60.0
"""What is served, for each account and unit of its share."""
FLOOD = 10_000
FLOOD_JOB_S = 8.0
OTHERS = 20
OTHER_JOB_S = 4.0

Rule = Callable[[str, float, float, float], Job]


def _as_they_came(_account: str, real_s: float, _estimated_s: float, _share: float) -> Job:
    return Job("everyone", real_s)


def _by_job(account: str, real_s: float, _estimated_s: float, _share: float) -> Job:
    return Job(account, real_s, estimated_s=0.0)


RULES: Mapping[str, Rule] = {"as they came": _as_they_came, "by job": _by_job, "by seconds": Job}


def jain(served: Iterable[float]) -> float:
    """1 when all got the same, 1/n when one got everything."""
    values = list(served)
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def backlogged(rule: str = "by seconds", accounts: int = ACCOUNTS) -> tuple[float, float]:
    """Jain's index of served over entitled seconds, and the least of them over their mean, while each account
    has work. Shares, lengths of jobs, amounts brought and errors of the estimates are mixed."""
    host, work = _host(rule), _work(random.Random(SEED), accounts)
    owners = {host.comes(RULES[rule](*offer)): offer for offer in work}
    shares = {account: share for account, _, _, share in work}
    host.run(BACKLOG_S * sum(shares.values()) / SLOTS)
    served = dict.fromkeys(shares, 0.0)
    for job in host.ended:
        served[owners[job][0]] += job.real_s
    entitled = [served[account] / share for account, share in shares.items()]
    return jain(entitled), min(entitled) * len(entitled) / sum(entitled)


def _work(rng: random.Random, accounts: int) -> list[tuple[str, float, float, float]]:
    """Account, real seconds, estimated seconds and share of each job, in the order in which they come."""
    work = []
    for number in range(accounts):
        share, usual_s = rng.choice(SHARES), rng.uniform(1.0, 20.0)
        left_s = BACKLOG_S * share * rng.uniform(1.5, 6.0)
        while left_s > 0.0:
            real_s = usual_s * rng.uniform(0.5, 1.5)
            work.append((f"acc_{number}", real_s, real_s * rng.uniform(0.8, 1.6), share))
            left_s -= real_s
    rng.shuffle(work)
    return work


def flooded(rule: str = "by seconds") -> tuple[float, float]:
    """One account brings 10,000 jobs at once, later another brings twenty: how long the first of
    these waits, and how long all take over what they would take on an idle host."""
    host, make = _host(rule), RULES[rule]
    for _ in range(FLOOD):
        host.comes(make("flood", FLOOD_JOB_S, FLOOD_JOB_S, 1.0))
    host.run(FLOOD_JOB_S * 12.5)
    came_at = host.now
    others = [host.comes(make("other", OTHER_JOB_S, OTHER_JOB_S, 1.0)) for _ in range(OTHERS)]
    while not all(job.ended_at >= 0.0 for job in others):
        host.step()
    alone_s = OTHERS * OTHER_JOB_S / SLOTS
    return others[0].began_at - came_at, (host.now - came_at) / alone_s


def _host(rule: str) -> SimulatedHost:
    return SimulatedHost(SLOTS, counted if rule == "by seconds" else not_counted)


def main() -> None:
    print("| order | Jain's index | least over mean | first wait behind a flood s | twenty behind a flood |")
    print("|---|---|---|---|---|")
    for rule in RULES:
        (index, least), (first_s, factor) = backlogged(rule), flooded(rule)
        print(f"| {rule} | {index:.4f} | {least:.2f} | {first_s:.1f} | {factor:.1f} × alone |")


if __name__ == "__main__":
    main()
