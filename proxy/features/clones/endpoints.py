"""/admin/voices/{id}/clones and /admin/clones: the clones of a voice, and the differences between the clones
at providers and the rows of the database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools
from proxy.catalogue.clones import ENGINES_FIELD
from proxy.catalogue.library import Library
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound, RequestFailed, UpstreamFailed
from proxy.features.clones import records, rules
from proxy.features.clones.clone_tasks import LOST, CloneTasks
from proxy.features.clones.orders import CloneOrders
from proxy.features.clones.records import CloneRecord, CloneTask
from proxy.features.clones.rules import State
from proxy.features.own_voices.requested import find_voice, terms_in_force
from proxy.http.body import Label, Name, read_body
from proxy.http.lists import iso_time, iso_time_or_none
from proxy.http.replies import reply, struct_from
from proxy.http.resource import Resource, endpoint
from proxy.storage.store import Store
from speech_engine import CloneInfo, EngineCannot, EngineError


class CloneDifferences(msgspec.Struct, frozen=True, kw_only=True):
    """The differences at one account of a provider.

    `unknown` are voices at the provider with a name of this database, but without a row. `lost` are clones
    that the provider should have, and has not. `recordings` are uploads that no attempt needs any more. If
    there is an `error`, the provider did not answer.
    """

    engine: str
    credential: str
    unknown: tuple[CloneInfo, ...] = ()
    lost: tuple[CloneRecord, ...] = ()
    recordings: tuple[CloneInfo, ...] = ()
    error: str = ""


async def compare_clones(store: Store, clone_tasks: CloneTasks) -> list[CloneDifferences]:
    """Compare the clones at every account of every provider with the rows. It changes nothing."""
    found = []
    for engine, credential in sorted(clone_tasks.targets.list_credentials()):
        info = clone_tasks.targets.cloning_model(engine)
        if info is not None and not info.is_local:
            found.append(await _compare(store, clone_tasks, engine, credential))
    return found


async def clone_again(store: Store, clone_tasks: CloneTasks, lost: CloneRecord) -> bool:
    """Order a lost clone anew, and tell whether it was ordered. The provider may charge its fee again.

    The provider's list may have been out of date, so this asks for the clone first. Without an answer it is
    not ordered.
    """
    try:
        provider = clone_tasks.clones_at(lost.engine, lost.credential)
        if await provider.find_clone_id(lost.name) == lost.engine_voice:
            return False
    except EngineError:
        return False
    # The lease ends at once. Its fence is enough for the one write that follows.
    leased = await records.take(store, lost, lease_us=0)
    if leased is None:
        return False
    await records.change_state(store, leased, "expired", error=LOST)
    task = CloneTask(
        voice=leased.voice,
        account=leased.account,
        revision=leased.revision,
        engine=leased.engine,
        credential=leased.credential,
    )
    await clone_tasks.order_clone(task, pays_again=True)
    return True


async def _compare(store: Store, clone_tasks: CloneTasks, engine: str, credential: str) -> CloneDifferences:
    began = await store.now()
    try:
        listed = await clone_tasks.clones_at(engine, credential).list_clones(await clone_tasks.name_prefix())
    except EngineCannot:
        return CloneDifferences(engine=engine, credential=credential, error="It does not list its clones.")
    except EngineError as error:
        return CloneDifferences(engine=engine, credential=credential, error=error.reason)
    # The rows are read after the provider's answer, so that a clone which was made meanwhile has a row.
    rows = await records.list_of_place(store, engine, credential)
    # A row with the id of its voice does not match others of its name: a lost answer may have made a second
    # one.
    known = {row.engine_voice or row.name for row in rows}
    in_work = {row.name for row in rows if row.lease > began or (row.made or 0) > began}
    listed_ids = {clone.id for clone in listed.clones}
    return CloneDifferences(
        engine=engine,
        credential=credential,
        unknown=tuple(each for each in listed.clones if not {each.id, each.name} & known),
        lost=tuple(row for row in rows if _is_lost(row, listed_ids, began)),
        recordings=tuple(each for each in listed.recordings if each.name not in in_work),
    )


def _is_lost(row: CloneRecord, listed_ids: Collection[str], began: int) -> bool:
    """Tell whether a list that was requested at `began` should have this clone, and has not."""
    is_listed = row.engine_voice in listed_ids
    return (row.made or began) < began and not is_listed and rules.is_expected(row, began)


class NewClone(msgspec.Struct, frozen=True, kw_only=True):
    """The engine whose provider is to have the voice. Without `credential`, it is `default` or the first."""

    engine: Name
    credential: Label = ""


class ShownClone(msgspec.Struct, frozen=True, kw_only=True):
    """A voice at a provider. `engine_voice` is its id there. `error` says why it failed or has to wait."""

    id: str
    voice: str
    account: str
    engine: str
    credential: str
    state: State
    name: str
    engine_voice: str
    tries: int
    due: str | None
    made: str | None
    used: str | None
    error: str


class ShownClones(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ShownClone]


class UnknownClone(msgspec.Struct, frozen=True, kw_only=True):
    """A voice or a recording that a provider has under a name of this database, and should not have."""

    id: str
    name: str


class ShownDifferences(msgspec.Struct, frozen=True, kw_only=True):
    """The differences at one account of a provider.

    `recordings` are uploads that were not deleted. `fee_usd` is what one clone costs, if that is known.
    """

    engine: str
    credential: str
    unknown: list[UnknownClone]
    lost: list[ShownClone]
    recordings: list[UnknownClone]
    fee_usd: float | None
    error: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What providers have, compared with what the database says. `recloned` counts what is made anew."""

    object: Literal["list"] = "list"
    data: list[ShownDifferences]
    recloned: int = 0


class Recloning(msgspec.Struct, frozen=True, kw_only=True):
    """To have lost clones made anew costs money, so it must be said: `reclone` has to be true."""

    reclone: bool


class Clones(Resource):
    def __init__(self, admin_tools: AdminTools, library: Library, orders: CloneOrders) -> None:
        self._admin_tools = admin_tools
        self._library = library
        self._orders = orders

    @endpoint("GET", "/admin/voices/{id}/clones", ShownClones, queries=(ACCOUNT_QUERY,), failures=(NotFound,))
    async def list_clones(self, request: Request) -> Response:
        """The clones of a voice at providers"""
        record = await find_voice(self._admin_tools, self._library, request)
        listed = await records.list_of_voices(self._admin_tools.store, [record.id])
        return reply(ShownClones(data=[_clone_body(row) for row in listed.get(record.id, [])]))

    @endpoint(
        "POST",
        "/admin/voices/{id}/clones",
        ShownClone,
        status=201,
        body=NewClone,
        queries=(ACCOUNT_QUERY,),
        failures=(NotAllowed, NotFound, Conflict, UpstreamFailed),
    )
    async def clone_voice(self, request: Request) -> Response:
        """Have a voice cloned by an engine's provider. That may cost money"""
        new = await read_body(request, NewClone)
        record = await find_voice(self._admin_tools, self._library, request)
        owner = None if record.account is None else await self._admin_tools.find_account(record.account)
        terms = None if owner is None else terms_in_force(self._admin_tools, owner)
        try:
            targets = await self._orders.check_saved(record, [new.engine], terms, credential=new.credential)
        except RequestFailed as refusal:
            if refusal.param == ENGINES_FIELD:
                refusal.param = "engine"
            raise
        act = await self._admin_tools.audit_row(
            request,
            "voice.cloned",
            record.id,
            record.account or "",
            engine=targets[0].engine,
            credential=targets[0].credential,
        )
        (row,) = await self._orders.order(record, targets, act=act, pays_again=True)
        return reply(_clone_body(row), 201)

    @endpoint("GET", "/admin/clones/differences", Comparison, failures=(Conflict,))
    async def compare_clones(self, _request: Request) -> Response:
        """What providers have and the database does not know, and what they have lost"""
        return reply(Comparison(data=[self._differences(each) for each in await self._compared()]))

    @endpoint("POST", "/admin/clones/differences", Comparison, body=Recloning, failures=(Conflict,))
    async def reclone_lost(self, request: Request) -> Response:
        """Have all lost clones made anew. That costs money"""
        if not (await read_body(request, Recloning)).reclone:
            raise InvalidRequest("'reclone' must be true: new clones cost money.", param="reclone")
        found = await self._compared()
        lost = [row for each in found for row in each.lost]
        store, clone_tasks = self._admin_tools.store, self._orders.clone_tasks
        recloned = sum([await clone_again(store, clone_tasks, row) for row in lost])
        return reply(Comparison(data=[self._differences(each) for each in found], recloned=recloned))

    async def _compared(self) -> list[CloneDifferences]:
        return await compare_clones(self._admin_tools.store, self._orders.clone_tasks)

    def _differences(self, found: CloneDifferences) -> ShownDifferences:
        fee = self._orders.clone_tasks.fee_micro_usd(found.engine)
        return ShownDifferences(
            engine=found.engine,
            credential=found.credential,
            unknown=[UnknownClone(id=each.id, name=each.name) for each in found.unknown],
            lost=[_clone_body(row) for row in found.lost],
            recordings=[UnknownClone(id=each.id, name=each.name) for each in found.recordings],
            fee_usd=None if fee is None else fee / 1e6,
            error=found.error,
        )


def _clone_body(row: CloneRecord) -> ShownClone:
    times = {"made": iso_time_or_none(row.made), "used": iso_time_or_none(row.used)}
    return struct_from(ShownClone, row, due=iso_time(row.due) if row.due else None, **times)
