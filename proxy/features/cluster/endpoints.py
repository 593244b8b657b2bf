"""/admin/machines and /admin/hosts: the machines on this database, and the hosts that have joined this one.
Orders to machines are for commands only."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.server import ServerLink
from proxy.errors import InvalidRequest, UpstreamFailed
from proxy.features.cluster import machines, orders
from proxy.features.cluster.machines import Machine
from proxy.features.cluster.orders import NewMachineOrder, OrderOutcome
from proxy.http.body import read_body
from proxy.http.lists import iso_time
from proxy.http.replies import reply, struct_from
from proxy.http.resource import Resource, endpoint
from proxy.storage.store import Store
from speech_engine.host.cluster_messages import HostsListed, HostsQuestion

_ANSWER_S = 5.0


class MachineEngine(msgspec.Struct, frozen=True):
    name: str
    state: str
    reason: str


class ShownMachine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine, alive or dead. The machine that `leads` does the work that is done once for all. `keys` are
    the ids of its keys, the newest first, and `config` is a digest of its configuration."""

    id: str
    name: str
    kind: machines.Kind
    version: str
    schema: int
    workers: int
    is_alive: bool
    leads: bool
    keys: dict[str, list[str]]
    config: str
    engines: list[MachineEngine]
    began: str
    seen: str


class ShownMachines(msgspec.Struct, frozen=True, kw_only=True):
    """The machines on this database, the oldest first, and in what they differ. On SQLite there are none."""

    object: Literal["list"] = "list"
    data: list[ShownMachine]
    differing: list[machines.Differing]


class OrderOutcomes(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[OrderOutcome]


class MachineList(Resource):
    def __init__(self, store: Store) -> None:
        self._store = store

    @endpoint("GET", "/admin/machines", ShownMachines)
    async def list_machines(self, _request: Request) -> Response:
        """The machines on this database"""
        registered = await machines.list_all(self._store)
        living = [each for each in registered if each.is_alive]
        leader = machines.leader_of(living)
        differing = [what for what, _ in machines.differing(living)]
        return reply(ShownMachines(data=[_shown(each, leader) for each in registered], differing=differing))


class ShownHost(msgspec.Struct, frozen=True, kw_only=True):
    """A `voxgate host` that has joined this gateway: from where, since when and by which key. `trouble` says
    why it is not watched."""

    machine: str
    cluster: str
    address: str
    key: str
    version: str
    engines: list[str]
    joined: str
    is_watched: bool
    trouble: str


class ShownHosts(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ShownHost]


class HostList(Resource):
    """`ask` is how a worker asks its supervisor. A command has none."""

    def __init__(self, link: ServerLink | None) -> None:
        self._link = link

    @endpoint("GET", "/admin/hosts", ShownHosts, failures=(UpstreamFailed,))
    async def list_hosts(self, _request: Request) -> Response:
        """The hosts that have joined this gateway"""
        if self._link is None:
            return reply(ShownHosts(data=[]))
        try:
            answer = await self._link.ask(HostsQuestion, _ANSWER_S)
        except TimeoutError:
            raise UpstreamFailed("The server has not listed its hosts yet; see its log.") from None
        assert isinstance(answer, HostsListed), "the number is of this question"
        hosts = [
            struct_from(ShownHost, each, engines=list(each.engines), joined=iso_time(each.joined))
            for each in answer.hosts
        ]
        return reply(ShownHosts(data=hosts))


class MachineOrders(Resource):
    def __init__(self, store: Store) -> None:
        self._store = store

    @endpoint(
        "POST", "/admin/machines/orders", OrderOutcomes, body=NewMachineOrder, failures=(InvalidRequest,)
    )
    async def give_order(self, request: Request) -> Response:
        """Let machines load, unload or restart an engine, or reload"""
        order = await read_body(request, NewMachineOrder)
        chosen = orders.find_living(await machines.list_all(self._store), order.machines)
        unknown = [each.name for each in chosen if order.engine and order.engine not in each.engine_states]
        if unknown:
            raise InvalidRequest(f"{', '.join(unknown)} has no engine {order.engine!r}.", param="engine")
        return reply(OrderOutcomes(data=await orders.give_order(self._store, order, chosen)))


def _shown(machine: Machine, leader: str) -> ShownMachine:
    return struct_from(
        ShownMachine,
        machine,
        is_alive=machine.is_alive,
        leads=machine.id == leader,
        keys=dict(machine.key_ids),
        engines=[MachineEngine(name, *state) for name, state in machine.engine_states.items()],
        began=iso_time(machine.began),
        seen=iso_time(machine.seen),
    )
