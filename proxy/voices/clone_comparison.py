"""What providers have, compared with what the database says they have."""

from __future__ import annotations

import msgspec

from policies import bindings as rules
from proxy.storage import bindings
from proxy.storage.bindings import BindingRecord, BindingWish
from proxy.storage.store import Store
from proxy.voices.binding_maker import LOST, BindingMaker
from speech_engine import CloneInfo, EngineCannot, EngineError


class CloneDifferences(msgspec.Struct, frozen=True, kw_only=True):
    """The differences at one account of a provider.

    `unknown` are voices there under a name of this database, of which no row knows. `lost` are clones that
    should be there and are not. With an `error`, the provider could not be asked.
    """

    engine: str
    credential: str
    unknown: tuple[CloneInfo, ...] = ()
    lost: tuple[BindingRecord, ...] = ()
    error: str = ""


async def compare_clones(store: Store, maker: BindingMaker) -> list[CloneDifferences]:
    """Ask every account of every provider. Nothing is changed, neither here nor there."""
    found = []
    for engine, credential in sorted(maker.places.configured()):
        info = maker.places.info(engine)
        if info is not None and not info.is_local:
            found.append(await _compare(store, maker, engine, credential))
    return found


async def clone_again(store: Store, maker: BindingMaker, lost: BindingRecord) -> None:
    """Have a lost clone made anew. The provider may take its fee again."""
    held = await bindings.take(store, lost, 0)
    if held is None:
        return
    await bindings.move(store, held, "expired", error=LOST)
    wish = BindingWish(
        voice=held.voice,
        account=held.account,
        revision=held.revision,
        engine=held.engine,
        credential=held.credential,
    )
    await maker.want(wish, pays_again=True)


async def _compare(store: Store, maker: BindingMaker, engine: str, credential: str) -> CloneDifferences:
    try:
        listed = await maker.clones_at(engine, credential).list_(await maker.prefix())
    except EngineCannot:
        return CloneDifferences(engine=engine, credential=credential, error="It does not list its clones.")
    except EngineError as error:
        return CloneDifferences(engine=engine, credential=credential, error=error.reason)
    # The rows are read after the answer: what was made meanwhile has one.
    rows = await bindings.list_of_place(store, engine, credential)
    now = await store.now()
    known = {row.engine_voice for row in rows} | {row.name for row in rows}
    there = {clone.id for clone in listed.clones}
    return CloneDifferences(
        engine=engine,
        credential=credential,
        unknown=tuple(each for each in listed.clones if not {each.id, each.name} & known),
        lost=tuple(row for row in rows if row.engine_voice not in there and rules.is_expected(row, now)),
    )
