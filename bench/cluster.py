"""A cluster's hosts in simulated time: `python -m bench.cluster`, or `python -m bench.cluster 10 card`.

The order of turns in a host, the choice of a host and the subsets of hosts are the real ones. A call takes as
long as piper took, which is measured first on this machine with all its slots in use. With `card`, the times
are chosen: nobody has measured a card yet. The clock, the listeners and hosts that vanish are simulated.

Each size has two rows. In the first, a gateway takes the host with the least of its own calls. In the second,
as gateways do, it adds what another gateway has there on average, which the host reports each second.
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bench.cluster_times import Times, chosen, measured
from bench.simulated_host import Job, SimulatedHost
from policies.host_subset import host_subset
from proxy.hosts.process_choice import ProcessChoice, jobs_of_another

SEED = 20261125
MOST_HOSTS = 64
LOAD = 0.8
WEIGHTS = (3.0, 1.0)
"""Every second gateway has a third of the requests of its neighbour."""
VOICES, ACCOUNTS = 200, 300
SHARES = (1.0, 2.0, 5.0)
LATE_S = 0.3
AWAY_S = 60.0
"""A host that has died is ready again after this."""
TICK_S = 1.0
NOTICED_S = (3.0, 4.0)
"""Three ticks are missing, at any moment between two."""
SETTLED_S = 30.0
"""Lives that are shorter say little of how busy a host is."""


class Scenario(NamedTuple):
    hosts: int
    gateways: int
    dies_every_s: float
    seconds: float


SCENARIOS = (
    Scenario(10, 2, 600.0, 3_600.0),
    Scenario(100, 8, 60.0, 1_200.0),
    Scenario(1000, 32, 60.0, 300.0),
)


class Host(SimulatedHost):
    """One life of a host. Its calls stay where they are when it dies: nobody has told the gateways."""

    def __init__(self, name: str, slots: int, now: float) -> None:
        super().__init__(slots)
        self.name = name
        self.now = self.born_at = now
        self.is_alive = True
        self.calls: dict[Call, None] = {}
        self.busy_s = 0.0


class Process:
    """A host as one gateway sees it: its own calls there, and what the host has reported of the others'."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.place = host.name
        self.own = 0
        self.of_another = 0.0
        self.tenants: Counter[str] = Counter()

    @property
    def load(self) -> float:
        return self.own + self.of_another

    def add(self, call: Call, count: int) -> None:
        self.own += count
        self.tenants[call.tenant] += count


class Call(Job):
    """A request under way at a process."""

    def __init__(self, tenant: str, share: float, times: tuple[float, float], voice: int) -> None:
        super().__init__(tenant, times[0], share=share)
        self.first_s = times[1]
        self.voice = voice
        self.requested_at = 0.0
        self.gateway: Gateway | None = None
        self.process: Process | None = None

    @property
    def wait_s(self) -> float:
        return self.began_at - self.requested_at


class Gateway:
    """The choice of one worker among the hosts that it watches."""

    def __init__(self, name: str, slots: int, clock: Callable[[], float]) -> None:
        self.name = name
        self.processes: dict[str, Process] = {}
        self._slots = slots
        self._choice = ProcessChoice(clock)

    def watch(self, host: Host) -> None:
        self.processes[host.name] = Process(host)

    def forget(self, host: Host) -> None:
        if (process := self.processes.get(host.name)) is not None and process.host is host:
            del self.processes[host.name]

    def choose(self, call: Call) -> Process:
        self._choice.note(call.tenant)
        process = self._choice.choose(
            self.processes.values(), call.tenant, self._slots, is_patient=False, voice=lambda: str(call.voice)
        )
        assert process is not None
        return process


class Result(NamedTuple):
    requests: int
    late: float
    p99_s: float
    deaths: int
    repeated: int
    broken: int
    least_busy: float
    most_busy: float


class Simulation:
    """Discrete events on a heap, each a function that is called at its time."""

    def __init__(self, scenario: Scenario, times: Times, hears_others: bool, load: float = LOAD) -> None:
        self.now = 0.0
        self._scenario, self._times, self._hears_others = scenario, times, hears_others
        self._rng = random.Random(SEED)
        self._events: list[tuple[float, int, Callable[..., None], Any]] = []
        self._numbers = itertools.count()
        self._rate = scenario.hosts * times.slots * load / times.mean_s
        names = [f"host-{number}" for number in range(scenario.hosts)]
        self._hosts = {name: Host(name, times.slots, 0.0) for name in names}
        self._past: list[Host] = []
        gateways = [f"gateway-{number}" for number in range(scenario.gateways)]
        self._gateways = [Gateway(name, times.slots, lambda: self.now) for name in gateways]
        self._watching: dict[str, list[Gateway]] = {name: [] for name in names}
        for gateway in self._gateways:
            for name in host_subset(gateways, gateway.name, names, MOST_HOSTS):
                self._watching[name].append(gateway)
                gateway.watch(self._hosts[name])
        count = scenario.gateways
        self._weights = list(itertools.accumulate(WEIGHTS[number % len(WEIGHTS)] for number in range(count)))
        self._voices = list(itertools.accumulate(1.0 / rank for rank in range(1, VOICES + 1)))
        self._accounts = list(itertools.accumulate(1.0 / rank for rank in range(1, ACCOUNTS + 1)))
        self._waits: list[float] = []
        self._repeated = self._broken = self._deaths = 0

    def run(self) -> Result:
        self._at(0.0, self._arrive, None)
        self._at(self._scenario.dies_every_s / 2, self._die, None)
        for name in self._hosts if self._hears_others else ():
            self._at(self._rng.uniform(0.0, TICK_S), self._tick, name)
        while self._events and self._events[0][0] < self._scenario.seconds:
            self.now, _, what, value = heapq.heappop(self._events)
            what(value)
        return self._result()

    def _at(self, moment: float, what: Callable[..., None], value: object) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), what, value))

    def _draw(self, sums: list[float]) -> int:
        return self._rng.choices(range(len(sums)), cum_weights=sums)[0]

    def _arrive(self, _: None) -> None:
        self._at(self.now + self._rng.expovariate(self._rate), self._arrive, None)
        account = self._draw(self._accounts)
        times = self._rng.choice(self._times.calls)
        call = Call(f"account-{account}", SHARES[account % len(SHARES)], times, self._draw(self._voices))
        call.requested_at = self.now
        self._send(self._gateways[self._draw(self._weights)], call)

    def _send(self, gateway: Gateway, call: Call) -> None:
        process = gateway.choose(call)
        process.add(call, 1)
        call.gateway, call.process, call.began_at = gateway, process, -1.0
        process.host.calls[call] = None
        if process.host.is_alive:
            process.host.run(self.now)
            process.host.comes(call)
            self._note(process.host)

    def _turn(self, host: Host) -> None:
        if host.is_alive:
            host.run(self.now)
            self._note(host)

    def _note(self, host: Host) -> None:
        """Note what has ended and begun at a host just now."""
        for call in host.ended:
            assert isinstance(call, Call)
            assert call.process is not None
            del host.calls[call]
            call.process.add(call, -1)
            host.busy_s += call.real_s
            self._waits.append(call.wait_s)
        host.ended.clear()
        for call in host.begun:
            self._at(call.began_at + call.real_s, self._turn, host)
        host.begun.clear()

    def _tick(self, name: str) -> None:
        """A host reports its calls to its gateways."""
        self._at(self.now + TICK_S, self._tick, name)
        host, gateways = self._hosts[name], self._watching[name]
        for gateway in gateways if host.is_alive else ():
            process = gateway.processes[name]
            process.of_another = jobs_of_another(len(host.calls), process.own, len(gateways))

    def _die(self, _: None) -> None:
        """One host vanishes. What is sent to it is lost too, until its gateways notice."""
        self._at(self.now + self._scenario.dies_every_s, self._die, None)
        host = self._hosts[self._rng.choice([name for name, host in self._hosts.items() if host.is_alive])]
        self._turn(host)
        host.is_alive = False
        self._deaths += 1
        self._past.append(host)
        for gateway in self._watching[host.name]:
            self._at(self.now + self._rng.uniform(*NOTICED_S), self._lose, (gateway, host))
        self._at(self.now + AWAY_S, self._return, host.name)

    def _lose(self, lost: tuple[Gateway, Host]) -> None:
        """A gateway knows now: it repeats what had no sound, and the rest is broken off."""
        gateway, host = lost
        gateway.forget(host)
        for call in [each for each in host.calls if each.gateway is gateway]:
            del host.calls[call]
            if 0.0 <= call.began_at <= host.now - call.first_s:
                self._broken += 1
                self._waits.append(call.wait_s)
            else:
                self._repeated += 1
                self._send(gateway, call)

    def _return(self, name: str) -> None:
        host = self._hosts[name] = Host(name, self._times.slots, self.now)
        for gateway in self._watching[name]:
            gateway.watch(host)

    def _result(self) -> Result:
        lives = [*self._past, *(host for host in self._hosts.values() if host.is_alive)]
        # A call that waits at the end has waited too.
        waiting = [call for host in lives for call in host.calls if call.began_at < 0.0]
        waits = sorted([*self._waits, *(self.now - call.requested_at for call in waiting)])
        busy = [
            host.busy_s / age_s / host.slots
            for host in lives
            if (age_s := (self.now if host.is_alive else host.now) - host.born_at) >= SETTLED_S
        ]
        late = sum(wait_s > LATE_S for wait_s in waits) / len(waits)
        p99_s = waits[int(0.99 * len(waits))]
        return Result(
            len(waits), late, p99_s, self._deaths, self._repeated, self._broken, min(busy), max(busy)
        )


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:] if word.isdigit()]
    times = chosen() if "card" in sys.argv else measured()
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{times}; a load of {LOAD}")
    print("|hosts, gateways|calls that count|requests|late|p99, s|repeated, broken off, deaths|busy|")
    print("|---|---|---|---|---|---|---|")
    for each in SCENARIOS:
        for hears_others in (False, True) if not sizes or each.hosts in sizes else ():
            found = Simulation(each, times, hears_others).run()
            print(_row(each, hears_others, found), flush=True)


def _row(scenario: Scenario, hears_others: bool, found: Result) -> str:
    cells = (
        f"{scenario.hosts}, {scenario.gateways}",
        "own and others'" if hears_others else "own",
        found.requests,
        f"{found.late:.2%}",
        f"{found.p99_s:.2f}",
        f"{found.repeated}, {found.broken}, {found.deaths}",
        f"{found.least_busy:.0%} to {found.most_busy:.0%}",
    )
    return f"|{'|'.join(map(str, cells))}|"


if __name__ == "__main__":
    main()
