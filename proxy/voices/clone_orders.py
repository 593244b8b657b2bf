"""Orders of clones, by owners and operators: what can be refused is refused before anything is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from policies.plans import Terms
from proxy.errors import Conflict, InvalidRequest
from proxy.storage import consents, samples
from proxy.storage.audit import Act
from proxy.storage.bindings import BindingRecord, BindingWish
from proxy.storage.store import Store
from proxy.storage.voices import VoiceRecord
from proxy.voices.binding_maker import BindingMaker
from proxy.voices.clone_places import PARAM, ClonePlace
from proxy.voices.clone_recordings import CloneRights, check_seconds


class CloneOrders:
    """The orders of one worker. Without a `maker`, on the command line without a server, there are none."""

    def __init__(self, store: Store, maker: BindingMaker | None = None) -> None:
        self._store = store
        self._maker = maker

    def __repr__(self) -> str:
        return f"<CloneOrders for {self._maker!r}>"

    @property
    def maker(self) -> BindingMaker:
        """Return the maker. Raises Conflict without a server."""
        if self._maker is None:
            raise Conflict("Only a running server makes clones; start it first.", param=PARAM)
        return self._maker

    def find_places(self, engines: Iterable[str], credential: str = "") -> list[ClonePlace]:
        """Return where to clone. Raises InvalidRequest, and UpstreamFailed while an engine is starting."""
        return [self.maker.places.find(engine, credential) for engine in dict.fromkeys(engines)]

    def check(self, places: Iterable[ClonePlace], seconds: Sequence[float], rights: CloneRights) -> None:
        """Refuse places that may not have the recordings, or could not use them.

        Raises NotAllowed and InvalidRequest.
        """
        for place in places:
            rights.check(place)
            check_seconds(place, seconds)

    async def check_saved(
        self, record: VoiceRecord, engines: Iterable[str], terms: Terms | None, *, credential: str = ""
    ) -> list[ClonePlace]:
        """Return where to clone a saved voice, after the same checks. A voice of nobody has no `terms`."""
        places = self.find_places(engines, credential)
        if places and (record.kind != "sample" or terms is None):
            raise InvalidRequest("Only a voice of a recording can be cloned.", param=PARAM)
        if places and terms is not None:
            recordings = await samples.of_voice(self._store, record.id)
            id_ = record.consent
            consent = None if id_ is None else await consents.get(self._store, record.account, id_)
            rights = CloneRights.under(terms, consents.allowed_providers(id_, consent))
            self.check(places, [each.seconds for each in recordings], rights)
        return places

    async def order(
        self,
        record: VoiceRecord,
        places: Iterable[ClonePlace],
        act: Act | None = None,
        *,
        pays_again: bool = False,
    ) -> list[BindingRecord]:
        """Have a voice cloned at places that were checked. Raises NotFound if it is gone."""
        wishes = wishes_of(record, places)
        return [await self.maker.want(wish, act, pays_again=pays_again) for wish in wishes]

    def begin(self, record: VoiceRecord) -> None:
        """Begin the clones of a voice whose wishes were committed with it."""
        self.maker.begin(record.account or "")


def wishes_of(record: VoiceRecord, places: Iterable[ClonePlace]) -> list[BindingWish]:
    """Return the wishes for a voice at places that were checked."""
    return [
        BindingWish(
            voice=record.id,
            account=record.account or "",
            revision=record.revision,
            engine=place.engine,
            credential=place.credential,
        )
        for place in places
    ]
