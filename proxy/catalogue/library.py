"""The saved voices and lexicons of accounts, beside those of the operator.

An account's library is read again after some seconds, so that every worker sees a change after that time.
The worker that makes a change calls `forget`, so that it sees the change at once. What another worker has
just saved is found as well: a name that is unknown is looked for once more, by `read_again`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from policies.lexicon import Lexicon, Lexicons, UnknownLexicon, Words
from policies.routing import Voice
from proxy.access.callers import KEPT_S
from proxy.catalogue.saved_voices import NONE, LibraryVoice, read_saved_voices
from proxy.config.reader import possible
from proxy.errors import InvalidRequest
from proxy.kept.vault import Vault
from proxy.storage import lexicons
from proxy.storage.read_cache import ReadCache
from proxy.storage.store import Store

SAVED_THINGS = ("voice_not_found", "lexicon_not_found")
"""The codes of failures that name something which another worker may have saved a moment ago."""

_MOST_KEPT = 50_000_000
"""The most characters of all lexicons together. An account without lexicons counts as `_NO_WORDS`."""
_NO_WORDS = 1000


class AccountLibrary:
    """The library of one account: its voices and lexicons, and those of the operator after them.

    `voices` has the voices by id and by name. An id comes before a name, and the account's own before both.
    `saved` has what was saved of them, by id.
    """

    def __init__(
        self,
        own: tuple[Voice, ...],
        shared: tuple[Voice, ...],
        lexicons: Lexicons,
        saved: Mapping[str, LibraryVoice] = NONE,
    ) -> None:
        self.saved = saved
        self._own, self._shared = own, shared
        self.listed = (*own, *shared)
        self.voices = _by_id_and_name(self.listed)
        self._singles = _by_id_and_name([voice for voice in self.listed if not voice.cast])
        self._composed = frozenset(voice.id for voice in own if voice.cast or voice.mix)
        self._lexicons = lexicons

    def __repr__(self) -> str:
        return f"<AccountLibrary {len(self.listed)} voices, {self._lexicons!r}>"

    def having(self, voice: Voice) -> AccountLibrary:
        """Return a library with one voice more, which comes first."""
        return AccountLibrary((voice, *self._own), self._shared, self._lexicons)

    def members(self, composed: Voice | None = None) -> Mapping[str, Voice]:
        """Return the saved voices that may be members of a cast or a mix, before the catalogue's voices.

        One of the account, or of a request (None), has them. One of the operator has none: it means the same
        for every account. A cast is never a member.
        """
        return self._singles if composed is None or composed.id in self._composed else {}

    def lexicon(self, requested: str | Words | None, tag: str) -> Lexicon:
        """Return the lexicon for a text in this language and a request's `lexicon`. Raises InvalidRequest."""
        try:
            return self._lexicons.for_text(requested, tag)
        except UnknownLexicon as error:
            name = str(error)
            raise InvalidRequest(
                f"The lexicon '{name[:80]}' does not exist. "
                f"{possible(name, self._lexicons.names, 'lexicons')}",
                param="lexicon",
                code="lexicon_not_found",
            ) from None


def _by_id_and_name(voices: Sequence[Voice]) -> Mapping[str, Voice]:
    return {voice.name: voice for voice in reversed(voices)} | {voice.id: voice for voice in voices}


NOTHING = AccountLibrary((), (), Lexicons({}))
"""The library of a caller without an account, on a server without lexicons."""


class _Texts(Mapping[str, Words]):
    """Lexicons that are parsed when a text needs them: an account with many lexicons seldom needs all."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._parsed: dict[str, Words] = {}
        self.characters = sum(map(len, texts.values()))

    def __getitem__(self, name: str) -> Words:
        words = self._parsed.get(name)
        if words is None:
            words = self._parsed[name] = lexicons.read_words(self._texts[name])
        return words

    def __contains__(self, name: object) -> bool:
        return name in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


class _AccountLexicons(NamedTuple):
    """An account's lexicons with their revisions when they were read. `weight` is their size in memory."""

    lexicons: Lexicons
    revisions: tuple[tuple[str, int, int], ...] = ()
    weight: int = _NO_WORDS


class _LibraryRead(NamedTuple):
    library: AccountLibrary
    lexicons: _AccountLexicons


class Library:
    """The libraries of all accounts, for one revision of the configuration.

    The configured lexicons count for every account. `clock` counts seconds and never goes back.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        shared: Mapping[str, Words],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._vault = vault
        self._shared = _AccountLexicons(Lexicons(shared))
        self._words = shared
        self._accounts: ReadCache[str, _LibraryRead] = ReadCache(
            self._read,
            lambda _read: KEPT_S,
            max_weight=_MOST_KEPT,
            weight=lambda read: read.lexicons.weight,
            clock=clock,
        )

    def __repr__(self) -> str:
        return f"<Library {len(self._accounts)} accounts kept, {self._shared.lexicons!r}>"

    async def get(self, account: str) -> AccountLibrary:
        return (await self._accounts.get(account)).library

    async def read_again(self, account: str) -> AccountLibrary | None:
        """Read a library once more, because a name is not in it. None: no other worker can have saved it."""
        if not self._store.is_shared:
            return None
        self.forget(account)
        return await self.get(account)

    def forget(self, account: str | None) -> None:
        """Forget a library, or all of them (None). Call this after the commit.

        None is for a change of the operator's part, which is in every library.
        """
        if account is None:
            self._accounts.forget_if(lambda _read: True)
        else:
            self._accounts.forget(account)

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        """Forget every library: one that is being read now may have the voice that was erased."""
        del voice, digests
        self.forget(None)

    async def _read(self, account: str) -> _LibraryRead:
        before = self._accounts.last_known(account)
        known = NONE if before is None else before.library.saved
        saved, revisions = await asyncio.gather(
            read_saved_voices(self._store, self._vault, account, known),
            lexicons.revisions(self._store, account),
        )
        account_lexicons = await self._lexicons(account, revisions)
        library = AccountLibrary(
            tuple(each.voice for each in saved if each.row.account is not None),
            tuple(each.voice for each in saved if each.row.account is None),
            account_lexicons.lexicons,
            {each.row.id: each for each in saved},
        )
        return _LibraryRead(library, account_lexicons)

    async def _lexicons(self, account: str, revisions: tuple[tuple[str, int, int], ...]) -> _AccountLexicons:
        """Return the account's lexicons. They are read and put together again only if one has changed."""
        if not revisions:
            return self._shared
        before = self._accounts.last_known(account)
        if before is not None and before.lexicons.revisions == revisions:
            return before.lexicons
        texts = _Texts(await lexicons.texts(self._store, account))
        return _AccountLexicons(Lexicons(self._words, texts), revisions, _NO_WORDS + texts.characters)
