"""What providers have, compared with what the database says they have."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from proxy.features.clones import records, rules
from proxy.features.clones.maker import LOST, CloneMaker
from proxy.features.clones.records import CloneRecord, CloneWish
from proxy.storage.store import Store
from speech_engine import CloneInfo, EngineCannot, EngineError


class CloneDifferences(msgspec.Struct, frozen=True, kw_only=True):
    """The differences at one account of a provider.

    `unknown` are voices there under a name of this database, of which no row knows. `lost` are clones that
    should be there and are not. `recordings` are uploads that nobody works with any more. With an `error`,
    the provider could not be asked.
    """

    engine: str
    credential: str
    unknown: tuple[CloneInfo, ...] = ()
    lost: tuple[CloneRecord, ...] = ()
    recordings: tuple[CloneInfo, ...] = ()
    error: str = ""


async def compare_clones(store: Store, maker: CloneMaker) -> list[CloneDifferences]:
    """Ask every account of every provider. Nothing is changed, neither here nor there."""
    found = []
    for engine, credential in sorted(maker.places.configured()):
        info = maker.places.info(engine)
        if info is not None and not info.is_local:
            found.append(await _compare(store, maker, engine, credential))
    return found


async def clone_again(store: Store, maker: CloneMaker, lost: CloneRecord) -> bool:
    """Have a lost clone made anew, and tell whether that is so. The provider may take its fee again.

    The list may have been late, so ask for this clone first. Without an answer nothing is spent.
    """
    try:
        if await maker.clones_at(lost.engine, lost.credential).find(lost.name) == lost.engine_voice:
            return False
    except EngineError:
        return False
    held = await records.take(store, lost, 0)
    if held is None:
        return False
    await records.move(store, held, "expired", error=LOST)
    wish = CloneWish(
        voice=held.voice,
        account=held.account,
        revision=held.revision,
        engine=held.engine,
        credential=held.credential,
    )
    await maker.want(wish, pays_again=True)
    return True


async def _compare(store: Store, maker: CloneMaker, engine: str, credential: str) -> CloneDifferences:
    began = await store.now()
    try:
        listed = await maker.clones_at(engine, credential).list_(await maker.prefix())
    except EngineCannot:
        return CloneDifferences(engine=engine, credential=credential, error="It does not list its clones.")
    except EngineError as error:
        return CloneDifferences(engine=engine, credential=credential, error=error.reason)
    # The rows are read after the answer: what was made meanwhile has one.
    rows = await records.list_of_place(store, engine, credential)
    # A row that knows its clone knows no other of that name: a request without an answer may make a second.
    known = {row.engine_voice or row.name for row in rows}
    in_work = {row.name for row in rows if row.lease > began or (row.made or 0) > began}
    there = {clone.id for clone in listed.clones}
    return CloneDifferences(
        engine=engine,
        credential=credential,
        unknown=tuple(each for each in listed.clones if not {each.id, each.name} & known),
        lost=tuple(row for row in rows if _is_lost(row, there, began)),
        recordings=tuple(each for each in listed.recordings if each.name not in in_work),
    )


def _is_lost(row: CloneRecord, there: Collection[str], began: int) -> bool:
    """Tell whether a list read at `began` should have this clone, and has not."""
    return (row.made or began) < began and row.engine_voice not in there and rules.is_expected(row, began)
