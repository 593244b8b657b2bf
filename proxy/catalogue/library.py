"""What accounts have of their own: saved voices and lexicons, beside those of the operator.

An account's library is read again after some seconds, so that every worker sees a change after them. The
worker that makes a change calls `forget`, so that it sees the change at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from policies.lexicon import Lexicon, Lexicons, UnknownLexicon, Words
from policies.routing import Voice
from proxy.access.callers import KEPT_S
from proxy.errors import InvalidRequest
from proxy.storage import lexicons, voices
from proxy.storage.read_cache import ReadCache
from proxy.storage.store import Store
from proxy.storage.voices import VoiceRecord

_MOST_KEPT = 50_000_000
"""Characters of all lexicons together; an account without any counts as some, too."""
_NO_WORDS = 1000


class AccountLibrary:
    """One account's: its voices and those that the operator saved for everybody, and its lexicons before the
    operator's. `voices` has them under their ids and their names: ids before names, its own before all."""

    def __init__(self, own: tuple[Voice, ...], shared: tuple[Voice, ...], lexicons: Lexicons) -> None:
        self.listed = (*own, *shared)
        self.voices = _by_id_and_name(self.listed)
        self._singles = _by_id_and_name([voice for voice in self.listed if not voice.cast])
        self._casts = frozenset(voice.id for voice in own if voice.cast)
        self._lexicons = lexicons

    def __repr__(self) -> str:
        return f"<AccountLibrary {len(self.listed)} voices, {self._lexicons!r}>"

    def members(self, cast: Voice | None = None) -> Mapping[str, Voice]:
        """What a member's name may stand for before the catalogue's voices: in a cast of the account's own,
        and in one that came with a text (None). What the operator says means the same for every account, and
        a cast is never a member."""
        return self._singles if cast is None or cast.id in self._casts else {}

    def lexicon(self, wanted: str | Words | None, tag: str) -> Lexicon:
        """What counts for a text in this language; `wanted` as the request says. Raises InvalidRequest."""
        try:
            return self._lexicons.for_text(wanted, tag)
        except UnknownLexicon as error:
            raise InvalidRequest(
                f"The lexicon '{str(error)[:80]}' does not exist. GET /v1/lexicons lists those that do.",
                param="lexicon",
                code="lexicon_not_found",
            ) from None


def _by_id_and_name(voices: Sequence[Voice]) -> Mapping[str, Voice]:
    return {voice.name: voice for voice in reversed(voices)} | {voice.id: voice for voice in voices}


NOTHING = AccountLibrary((), (), Lexicons({}))
"""The library of a caller without an account, on a server without lexicons."""


class _Texts(Mapping[str, Words]):
    """Lexicons that are read when a text needs them: most accounts with many need few."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._read: dict[str, Words] = {}
        self.characters = sum(map(len, texts.values()))

    def __repr__(self) -> str:
        return f"<_Texts {len(self)}>"

    def __getitem__(self, name: str) -> Words:
        found = self._read.get(name)
        if found is None:
            found = self._read[name] = lexicons.read_words(self._texts[name])
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


class _Worded(NamedTuple):
    """An account's lexicons, and how they stood when they were read. `weight` is what keeping them takes."""

    lexicons: Lexicons
    standing: tuple[tuple[str, int, int], ...] = ()
    weight: int = _NO_WORDS


class _Read(NamedTuple):
    own: AccountLibrary
    worded: _Worded


class Library:
    """The libraries of all accounts. There is one Library for each revision of the configuration, whose
    lexicons count for everybody. `clock` counts seconds and never goes back."""

    def __init__(
        self, store: Store, shared: Mapping[str, Words], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._shared = _Worded(Lexicons(shared))
        self._words = shared
        self._accounts: ReadCache[str, _Read] = ReadCache(
            self._read,
            lambda _read: KEPT_S,
            most=_MOST_KEPT,
            weight=lambda read: read.worded.weight,
            clock=clock,
        )

    def __repr__(self) -> str:
        return f"<Library {len(self._accounts)} accounts kept, {self._shared.lexicons!r}>"

    async def own(self, account: str) -> AccountLibrary:
        return (await self._accounts.get(account)).own

    def forget(self, account: str | None) -> None:
        """Call it after the commit. None: the operator's part has changed, which every account has."""
        if account is None:
            self._accounts.forget_if(lambda _read: True)
        else:
            self._accounts.forget(account)

    async def _read(self, account: str) -> _Read:
        saved, standing = await asyncio.gather(
            voices.for_account(self._store, account), lexicons.revisions(self._store, account)
        )
        worded = await self._worded(account, standing)
        found = AccountLibrary(
            tuple(voice_of(record) for record in saved if record.account is not None),
            tuple(voice_of(record) for record in saved if record.account is None),
            worded.lexicons,
        )
        return _Read(found, worded)

    async def _worded(self, account: str, standing: tuple[tuple[str, int, int], ...]) -> _Worded:
        """Return the account's lexicons. They are read and put together again only if one has changed."""
        if not standing:
            return self._shared
        before = self._accounts.last(account)
        if before is not None and before.worded.standing == standing:
            return before.worded
        texts = _Texts(await lexicons.texts(self._store, account))
        return _Worded(Lexicons(self._words, texts), standing, _NO_WORDS + texts.characters)


def voice_of(record: VoiceRecord) -> Voice:
    return Voice(
        id=record.id,
        name=record.name,
        bindings=(),
        tags=record.tags,
        description=record.description,
        cast=tuple(record.members.items()),
        revision=str(record.revision),
        created=record.created,
    )
