"""This machine among the others: its row, its look at them, and the orders to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

import structlog
from prometheus_client import Gauge

from proxy import __version__
from proxy.config.addresses import is_memory
from proxy.config.config_toml import listener_of
from proxy.feature import AppContext
from proxy.features.cluster import machines
from proxy.features.cluster.machines import LIVES_S, RENEW_S, Machine
from proxy.features.cluster.orders import OrderRunner
from proxy.features.cluster.sharing import Sharing
from proxy.features.marks.ring_source import list_key_ids, needed_rings
from proxy.features.marks.stored_rings import StoredRings
from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage.rows import encode_json
from proxy.storage.schema import known_version
from proxy.storage.store import StorageFailed
from proxy.telemetry.background import repeat
from speech_engine.host.cluster_messages import ClusterNews

_log = structlog.get_logger()


class Membership:
    """One worker's part in its machine. `config` is that of the latest revision."""

    def __init__(self, context: AppContext) -> None:
        self.config = context.config_at_start
        self._context = context
        self._store, self._cluster = context.store, context.cluster
        # "" if this process is no machine.
        self._id = context.link.machine if context.link is not None else ""
        self._rings = context.find(StoredRings)
        self._sharing = Sharing(context.store, context.find(Vault), self._rings, self.config, self._describe)
        self._orders = None if context.link is None else OrderRunner(context.store, context.link)
        self._schema = known_version()
        self._looked_at = time.monotonic()
        self._living: list[Machine] = []
        self._is_renewing = False
        # The differences and the shared names of the last report, or None before the first one.
        self._reported: object = None
        registry = context.metrics.registry
        self._machines_gauge = Gauge(
            "voxgate_machines", "Living machines on the database.", ["kind"], registry=registry
        )
        self._differ_gauge = Gauge(
            "voxgate_machines_differ",
            "1 if machines differ in this: `version`, `config` or `keys`.",
            ["what"],
            registry=registry,
        )

    async def open(self) -> None:
        """Join the other machines. Raises StorageFailed."""
        if self._id:
            # The first look decides who leads.
            self._cluster.lead(False)
            await self._sharing.join()
        else:
            async with self._sharing.locked():
                await self._sharing.prepare()

    async def look(self) -> None:
        """Look at the keys and the machines, as every worker does. Raises StorageFailed."""
        try:
            await self._rings.refresh()
            if self._rings.lacks_key(needed := needed_rings(self.config)):
                async with self._sharing.locked():
                    await self._rings.ensure(needed)
            registered = await machines.list_all(self._store)
        except StorageFailed:
            if self._id and time.monotonic() - self._looked_at >= LIVES_S:
                self._cluster.lead(False)
            raise
        self._looked_at = time.monotonic()
        self._living = [each for each in registered if each.is_alive]
        self._cluster.others = frozenset(each.name for each in self._living if each.id != self._id)
        if self._id:
            self._cluster.lead(machines.leader_of(self._living) == self._id)
        if self._context.engines is not None and self._living:
            self._context.engines.divide_limits(machines.workers_of(self._living))

    async def run(self) -> None:
        """Renew the row of this machine and carry out orders, as worker 0 does."""
        self._is_renewing = bool(self._id)
        if self._is_renewing:
            await repeat("renewal of the machine", self._renew, RENEW_S, self._context.metrics)

    async def aclose(self) -> None:
        if not self._is_renewing:
            return
        try:
            await machines.remove_machine(self._store, self._id)
        except StorageFailed as error:
            _log.warning("machines.leave.failed", reason=str(error))

    async def _warn_of_connections(self) -> None:
        # Imported here: a server with SQLite needs no driver.
        from proxy.features.cluster.connections import connections_note

        workers, connections = machines.workers_of(self._living), self.config.storage.connections
        if note := await connections_note(self._store, connections, workers):
            _log.warning("storage.connections.scarce", reason=note)

    async def _renew(self) -> None:
        if is_first := self._reported is None:
            await self.look()
        # A row with older keys than the database has would keep others from starting.
        await self._rings.refresh()
        await machines.renew_machine(self._store, self._describe(self._living))
        if self._orders is not None:
            await self._orders.begin_orders(self._id)
        self._tell_clusters()
        self._report()
        if is_first:
            await self._warn_of_connections()

    def _tell_clusters(self) -> None:
        """Tell the supervisor which machines hosts must meet."""
        if self._context.link is not None and self._context.config_at_start.used_clusters:
            gateways = tuple(each.id for each in self._living if each.kind == "server" or each.takes_links)
            self._context.link.send(ClusterNews(gateways))

    def _report(self) -> None:
        """Report the machines as metrics, and as a warning when a difference is new."""
        for kind in ("server", "worker"):
            self._machines_gauge.labels(kind).set(sum(each.kind == kind for each in self._living))
        differing = dict(machines.differing(self._living))
        for what in ("version", "config", "keys"):
            self._differ_gauge.labels(what).set(what in differing)
        reported = (differing, sorted(machines.shared_names(self._living)))
        if reported != self._reported and any(reported):
            _log.warning("machines.differ", what=[*differing], same_names=reported[1])
        self._reported = reported

    def _describe(self, living: Sequence[Machine]) -> Machine:
        config, context = self.config, self._context
        if not self._cluster.machine:
            self._cluster.machine = self._name_among(living)
        engines = [] if context.engines is None else context.engines.items()
        return Machine(
            id=self._id,
            name=self._cluster.machine,
            kind="server" if config.serves else "worker",
            version=__version__,
            takes_links=int(listener_of(config) is not None),
            schema=self._schema,
            workers=config.server.workers,
            folder=config.data,
            limits="memory" if is_memory(config.limits.url) else "redis",
            keys=encode_json({"master": self._masters(), **list_key_ids(config, self._rings)}),
            config=config.digest,
            engines=encode_json({name: (engine.state, engine.reason) for name, engine in engines}),
        )

    def _name_among(self, living: Sequence[Machine]) -> str:
        """Return the host's name, with the data folder if another machine on this host has the name."""
        host, folder = socket.gethostname(), self.config.data
        own_names = [each.name for each in living if each.id == self._id]
        is_taken = any(each.name == host and each.folder != folder for each in living)
        return own_names[0] if own_names else f"{host}:{folder}" if is_taken else host

    def _masters(self) -> list[str]:
        try:
            masters = self._context.find(Vault).masters.read_if_any()
        except VaultFailed:
            masters = None
        return [] if masters is None else [key.id.hex() for key in (masters.newest, *masters.older)]
