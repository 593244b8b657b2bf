"""POST /cluster/hosts: a `voxgate host` announces itself, again and again. It becomes a row of `machines`.

Such a row has the kind `host`, and counts as no machine: only clusters with `announced = true` read it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from policies.network_addresses import host_fault, port_fault
from policies.tasks import SECOND_US
from proxy import __version__
from proxy.access.callers import caller_of
from proxy.config.clusters import parse_address
from proxy.errors import Conflict, InvalidRequest, NoPlace
from proxy.features.cluster.machines import LIVES_S, NOW_SQL
from proxy.http.body import Name, read_body
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage.rows import decode_json, encode_json
from proxy.storage.store import Statement, Store
from speech_engine.host.cluster_messages import AnnouncedHost

MOST_LIVING = 1000
MOST_OF_KEY = 900
"""The most living hosts of one key, so that it leaves places for others."""

_ALIVE = f"seen > {NOW_SQL} - {LIVES_S * SECOND_US}"
_LIST = f"SELECT name, engines FROM machines WHERE kind = 'host' AND {_ALIVE} ORDER BY id"
_COUNT = f"SELECT count(*) FROM machines WHERE kind = 'host' AND {_ALIVE} AND id <> :id"
# One after the other, so that two announcements cannot both be the last one that has a place.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('voxgate announced hosts'))"
_PUT = f"""
INSERT INTO machines
    (id, name, kind, version, schema, workers, folder, limits, keys, config, engines,
     announced_by, began, seen)
SELECT :id, :name, 'host', :version, 0, 0, '', '', '{{}}', '', :engines, :key, {NOW_SQL}, {NOW_SQL}
WHERE ({_COUNT}) < {MOST_LIVING} AND ({_COUNT} AND announced_by = :key) < {MOST_OF_KEY}
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, engines = excluded.engines, seen = excluded.seen, announced_by = :key
WHERE machines.kind = 'host' AND coalesce(machines.announced_by, :key) = :key RETURNING id
"""
_OF_OTHER = "SELECT id FROM machines WHERE id = :id AND kind = 'host' AND announced_by <> :key"
_FORGET = f"DELETE FROM machines WHERE kind = 'host' AND NOT {_ALIVE}"


class HostAnnouncement(msgspec.Struct, frozen=True, kw_only=True):
    """A host: the address of its agent, the id of this start of it, and its engines."""

    address: Annotated[str, Meta(max_length=300, description='a "NAME:PORT" that gateways can reach')]
    machine: Annotated[
        str, Meta(pattern=r"^mch_[0-9a-f]{24}\Z", description="the id of a machine, mch_ and 24 hex digits")
    ]
    engines: Annotated[
        tuple[Name, ...], Meta(min_length=1, max_length=100, description="a list of 1 to 100 engines")
    ]


class KnownHost(msgspec.Struct, frozen=True, kw_only=True):
    """The host counts as alive for `lives_s` seconds. Clusters with `announced = true` use it."""

    address: str
    lives_s: int = LIVES_S


class AnnouncedHosts(Resource):
    """With `may_be_local`, a host on this machine may announce itself, as in a trial."""

    def __init__(self, store: Store, *, may_be_local: bool) -> None:
        self._store = store
        self._may_be_local = may_be_local

    @endpoint(
        "POST", "/cluster/hosts", KnownHost, body=HostAnnouncement, pace="own", failures=(Conflict, NoPlace)
    )
    async def announce_host(self, request: Request) -> Response:
        """Announce a host with engines"""
        host = await read_body(request, HostAnnouncement)
        self._check_address(host.address)
        if not self._store.is_shared:
            raise Conflict("Hosts announce themselves to gateways on PostgreSQL; this one is on SQLite.")
        identity = {"id": host.machine, "key": caller_of(request.scope).key}
        known = {**identity, "name": host.address, "version": __version__}
        row = Statement(_PUT, {**known, "engines": encode_json(host.engines)})
        _, _, stored = await self._store.write(Statement(_LOCK), Statement(_FORGET), row)
        if not stored and await self._store.read(_OF_OTHER, identity):
            raise Conflict("Another key has announced this 'machine'.", param="machine")
        if not stored:
            raise NoPlace("announced hosts")
        return reply(KnownHost(address=host.address))

    def _check_address(self, address: str) -> None:
        """Raise InvalidRequest if gateways cannot, or must not, reach a host there."""
        try:
            name, port = parse_address(address)
        except ValueError:
            raise InvalidRequest("'address' must be NAME:PORT, such as gpu1:7070.", param="address") from None
        fault = host_fault(name, may_be_local=self._may_be_local) or port_fault(port)
        if fault is not None:
            raise InvalidRequest(f"Invalid value for 'address': {fault}.", param="address")


async def list_living(store: Store) -> list[AnnouncedHost]:
    """Return the hosts that have announced themselves in the last seconds."""
    rows = await store.read(_LIST)
    return [AnnouncedHost(row["name"], tuple(decode_json(row["engines"]))) for row in rows]
