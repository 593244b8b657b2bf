"""What an account, or the operator for it, saves and takes away: lexicons, and voices that are casts.

Whatever is spoken with it afterwards is spoken anew: the cache gives nothing of it out again.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Protocol

from policies import casting, lexicon
from policies.lexicon import MOST_LEXICONS, Words
from proxy.catalogue import Catalogue
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from proxy.library import Library
from proxy.storage import lexicons, voices
from proxy.storage.audit import Act
from proxy.storage.lexicons import LexiconRecord
from proxy.storage.store import AlreadyExists, Store
from proxy.storage.voices import VoiceRecord


class Purges(Protocol):
    """What the cache is asked for."""

    async def purge_voice(self, account: str | None, voice_id: str) -> None: ...

    async def purge_lexicon(self, account: str) -> None: ...


class Saving:
    """`configured` are the names of the voices of the configuration. `catalogue` is None where no engine
    runs: then nobody can say what voices there are beside."""

    def __init__(
        self,
        store: Store,
        library: Library,
        cache: Purges,
        configured: Container[str],
        catalogue: Catalogue | None = None,
    ) -> None:
        self.store = store
        self.library = library
        self._cache = cache
        self._configured = configured
        self._catalogue = catalogue

    def __repr__(self) -> str:
        return f"<Saving over {self.library!r}>"

    async def put_lexicon(
        self, account: str, name: str, words: Words, act: Act | None = None
    ) -> LexiconRecord:
        """In the place of the one that had this name. Raises InvalidRequest, NotAllowed past the limit."""
        if (wrong := lexicon.name_fault(name)) is not None:
            raise InvalidRequest(f"Invalid value for 'name': it must be {wrong}.", param="name")
        usual = lexicon.usual_name(name)
        record = await lexicons.put(self.store, account, usual, words, most=MOST_LEXICONS, act=act)
        if record is None:
            raise NotAllowed(
                f"An account has {MOST_LEXICONS} lexicons at most; delete one, or add the words to another.",
                param="name",
                code="too_many_lexicons",
            )
        await self._lexicons_changed(account)
        return record

    async def delete_lexicon(self, account: str, name: str, act: Act | None = None) -> str:
        """Gives its name; raises NotFound."""
        usual = lexicon.usual_name(name)
        if lexicon.name_fault(usual) is not None or not await lexicons.delete(
            self.store, account, usual, act
        ):
            raise no_lexicon(name)
        await self._lexicons_changed(account)
        return usual

    async def add_cast(
        self,
        account: str | None,
        name: str,
        cast: Mapping[str, str],
        *,
        most: int | None = None,
        act: Act | None = None,
    ) -> VoiceRecord:
        """Raises InvalidRequest for a member that cannot be spoken with, Conflict where the name is taken,
        NotAllowed where the plan has no room for one more voice. Without an account it is everybody's."""
        if (wrong := casting.fault(list(cast))) is not None:
            raise InvalidRequest(f"Invalid value for 'cast': {wrong}.", param="cast")
        await self._check_members(account, cast)
        if account is None and name in self._configured:
            raise _taken(name)
        try:
            record = await voices.add_cast(self.store, account, name, cast, most=most, act=act)
        except AlreadyExists:
            raise _taken(name) from None
        if record is None:
            raise NotAllowed(
                f"Your plan has room for {most} voices of your own, and you have them; delete one first.",
                param="name",
                code="too_many_voices",
            )
        self.library.forget(account)
        return record

    async def delete_voice(self, record: VoiceRecord, act: Act | None = None) -> None:
        """Raises NotFound where somebody else was quicker."""
        if not await voices.delete(self.store, record.id, act):
            raise no_voice(record.id)
        self.library.forget(record.account)
        await self._cache.purge_voice(record.account, record.id)

    async def _lexicons_changed(self, account: str) -> None:
        self.library.forget(account)
        await self._cache.purge_lexicon(account)

    async def _check_members(self, account: str | None, cast: Mapping[str, str]) -> None:
        if self._catalogue is None:
            return
        own = {} if account is None else (await self.library.own(account)).voices
        for who, wanted in cast.items():
            try:
                voice = self._catalogue.resolve_voice(wanted, own)
            except InvalidRequest as error:
                raise InvalidRequest(error.message, param=f"cast.{who}", code=error.code) from None
            if voice.cast:
                raise InvalidRequest(
                    f"Invalid value for 'cast.{who}': it must be one voice, and that is a cast itself.",
                    param=f"cast.{who}",
                )


def no_voice(id_: str) -> NotFound:
    return NotFound(f"The voice '{id_[:80]}' does not exist.", param="voice", code="voice_not_found")


def no_lexicon(name: str) -> NotFound:
    return NotFound(f"The account has no lexicon '{name[:80]}'.", param="lexicon", code="lexicon_not_found")


def _taken(name: str) -> Conflict:
    return Conflict(f"There is a voice with the name '{name[:80]}' already.", param="name")
