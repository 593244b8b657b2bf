"""The entry of the feature cluster in the list of feature_list.py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager

from policies.tasks import SECOND_US
from proxy.config.addresses import is_postgres
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, ok, wrong
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.cluster import machines, orders, text_verdicts
from proxy.features.cluster.machines import RENEW_S, Machine
from proxy.storage.store import StorageFailed
from proxy.telemetry.background import RepeatingTask

_ANSWER_S = 4.0
_MOST_CLOCK_OFFSET_S = 60.0
_CHECK_NAME = "machines"
_REMEDIES: dict[machines.Differing, str] = {
    "version": "roll the new version out to all of them",
    "config": "give all servers the same configuration, and reload or restart them",
    "keys": "a new key joins the old ones on all machines, then becomes the newest, then the old one goes",
}


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.cluster.endpoints import MachineList, MachineOrders
    from proxy.features.cluster.link_endpoint import LinkEndpoint
    from proxy.features.cluster.membership import Membership
    from proxy.features.cluster.text_verdicts import sharing_verdicts

    endpoints = [*MachineList(context.store).endpoints]
    for_commands = MachineOrders(context.store).endpoints
    config = context.config_at_start
    links = [LinkEndpoint(config.data, config.used_clusters.keys()).endpoint]
    if context.engines is None or not context.store.is_shared:  # a command, or a server on SQLite
        yield FeatureInstance(context, lambda _revision: Additions(endpoints, for_commands, sockets=links))
        return
    membership = Membership(context)
    await membership.open()
    looking = RepeatingTask("look at other machines", membership.look, RENEW_S, context.metrics)

    def additions_for(revision: RevisionContext) -> Additions:
        membership.config = revision.config
        return Additions(endpoints, for_commands, sockets=links)

    async with aclosing(membership), aclosing(looking), sharing_verdicts(context):
        yield FeatureInstance(context, additions_for, tasks_of_each_server=(membership.run,))


def _check_machines(config: Config) -> Iterator[Finding]:
    """Compare the machines, and the clocks."""
    if not is_postgres(config.storage.url):
        return
    try:
        found, clock_offset_s, connections_warning = asyncio.run(_read_machines(config))
    except StorageFailed:
        return  # the check of the database reports it, or the tables do not exist yet
    living = [each for each in found if each.is_alive]
    if abs(clock_offset_s) > _MOST_CLOCK_OFFSET_S:
        yield wrong(
            _CHECK_NAME,
            f"the clock here is {clock_offset_s:.0f} s off that of PostgreSQL",
            "let both follow NTP",
        )
    for name in sorted(machines.shared_names(living)):
        yield wrong(
            _CHECK_NAME, f"two machines have the name {name}", "give their hosts different names", name=name
        )
    for what, values in machines.differing(living):
        yield note(_CHECK_NAME, f"they differ in {what}: {' | '.join(values)}", _REMEDIES[what], name=what)
    if connections_warning:  # "what was found; what to do"
        yield note("database", *connections_warning.split("; "))
    names = ", ".join(each.name for each in living)
    yield ok(_CHECK_NAME, f"{len(living)} on this database{names and ': '}{names}")


async def _read_machines(config: Config) -> tuple[list[Machine], float, str]:
    from proxy.features.cluster.connections import connections_note
    from proxy.storage.postgres import PostgresStore

    store = await PostgresStore.open(config.storage.url, _ANSWER_S)
    try:
        found, clock_offset_s = await machines.list_all(store), time.time() - await store.now() / SECOND_US
        others = [each for each in found if each.is_alive and each.folder != config.data]
        workers = config.server.workers + machines.workers_of(others)
        return found, clock_offset_s, await connections_note(store, config.storage.connections, workers)
    finally:
        await store.close()


FEATURE = Feature(
    "cluster",
    _open,
    tables=(machines.TABLE, machines.SHARED_THINGS, orders.TABLE, text_verdicts.TABLE),
    paths=("/admin/machines", "/cluster/link"),
    doctor=((_CHECK_NAME, _check_machines),),
)
