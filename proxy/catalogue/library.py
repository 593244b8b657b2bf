"""The saved voices and lexicons of accounts, over those of the operator.

The operator's voices are read once for each of their revisions, and all accounts share them. An account's own
voices are read again when the revision of its library has changed. Revisions are read again after some
seconds, many accounts at once, so every worker sees a change after that time. The worker that makes a change
calls `forget`, so it sees the change at once. An unknown name is looked up once more, by `read_again`,
because another worker may just have saved it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import ChainMap
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from typing import NamedTuple

from policies.lexicon import Lexicon, Lexicons, Words, WordsBeside
from policies.routing import Voice
from proxy.catalogue.own_voices import NO_VOICES, LibraryVoice, OwnVoices, VoicesById
from proxy.catalogue.saved_words import SavedWords, WordRevisions, read_words
from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.reader import names_hint
from proxy.errors import InvalidRequest
from proxy.storage import library_revisions
from proxy.storage.library_revisions import OPERATOR
from proxy.storage.read_cache import MOST_TOGETHER, ReadCache, read_singly
from proxy.storage.store import Store

MAY_BE_JUST_SAVED = ("voice_not_found", "lexicon_not_found")
"""The codes of errors about a name that another worker may have saved a moment ago."""

_CACHED_S = 5.0
"""The age at which the saved data of an account is read again."""
_MOST_BYTES = 32_000_000
"""The most bytes of all libraries together, with the operator's."""
_LIBRARY_BYTES = 1000
"""The bytes of a library without voices and words of its own."""
_TRUSTED_S = 60.0
"""How long a revision is trusted on a shared database. During an upgrade, a server of a version without
revisions may use the database, too. It changes libraries and does not raise their revisions."""


class _Names:
    """Voices by id, by name, and by both: an id hides an equal name, and an earlier voice a later one."""

    def __init__(self, voices: Sequence[Voice]) -> None:
        self.by_id = {voice.id: voice for voice in voices}
        self.by_name = {voice.name: voice for voice in reversed(voices)}
        self.by_both = self.by_name | self.by_id

    def over(self, others: _Names) -> Mapping[str, Voice]:
        """Return these voices by id and name, and the others after them. Nothing is copied: there may be very
        many."""
        if not others.by_id:
            return self.by_both
        if not self.by_id:
            return others.by_both
        return ChainMap(self.by_id, others.by_id, self.by_name, others.by_name)


class VoiceCache:
    """Voices with their names, shared by libraries. `saved` has the records. `singles` has no casts."""

    def __init__(self, listed: tuple[Voice, ...] = (), saved: VoicesById = NO_VOICES) -> None:
        self.listed = listed
        self.saved = saved
        self.weight = sum(each.weight for each in saved.values())
        self.names = _Names(listed)
        singles = [voice for voice in listed if not voice.cast]
        self.singles = self.names if len(singles) == len(listed) else _Names(singles)

    @classmethod
    def of(cls, saved: Sequence[LibraryVoice]) -> VoiceCache:
        return cls(tuple(each.voice for each in saved), {each.row.id: each for each in saved})

    def row_named(self, name: str) -> VoiceRecord | None:
        """Return the row of a voice by its name, also if the row has the name only sealed."""
        return next((each.row for each in self.saved.values() if each.record.name == name), None)

    def renewed(self, saved: Sequence[LibraryVoice]) -> VoiceCache:
        """Return this cache if it has exactly these voices, else a new one."""
        is_same = len(saved) == len(self.saved) and all(self.saved.get(each.row.id) is each for each in saved)
        return self if is_same else VoiceCache.of(saved)


_EMPTY = VoiceCache()


class AccountLibrary:
    """The library of one account: its voices and lexicons, and those of the operator after them.

    `voices` has the voices by id and by name. An id hides an equal name, and the account's own voice one of
    the operator.
    """

    def __init__(self, own: VoiceCache, shared: VoiceCache, lexicons: Lexicons) -> None:
        self.own = own
        self._shared = shared
        self.voices = own.names.over(shared.names)
        self._singles = own.singles.over(shared.singles)
        self._composed = frozenset(voice.id for voice in own.listed if voice.cast or voice.mix)
        self._lexicons = lexicons

    @property
    def operator_voices(self) -> Mapping[str, Voice]:
        """The operator's voices by id and name, without casts."""
        return self._shared.singles.by_both

    @property
    def listed(self) -> tuple[Voice, ...]:
        return (*self.own.listed, *self._shared.listed) if self.own.listed else self._shared.listed

    def saved(self, id_: str) -> LibraryVoice | None:
        return self.own.saved.get(id_) or self._shared.saved.get(id_)

    @property
    def has_lexicons(self) -> bool:
        return self._lexicons.has_own

    def with_voice(self, voice: Voice) -> AccountLibrary:
        """Return a library with this voice before all others."""
        own = VoiceCache((voice, *self.own.listed), self.own.saved)
        return AccountLibrary(own, self._shared, self._lexicons)

    def members(self, composed: Voice | None = None) -> Mapping[str, Voice]:
        """Return the saved voices that may be members of a cast or a mix, by id and name. A cast is never a
        member.

        `composed` is the cast or mix, None for that of a request. The operator's own has no saved members,
        because it means the same for every account.
        """
        return self._singles if composed is None or composed.id in self._composed else {}

    def lexicon(self, requested: str | Words | None, tag: str) -> Lexicon:
        """Return the lexicon for a text in this language and a request's `lexicon`. Raises InvalidRequest."""
        lexicon = self._lexicons.for_text(requested, tag)
        if lexicon is None:
            name = requested.beside if isinstance(requested, WordsBeside) else requested
            name = str(name)
            raise InvalidRequest(
                f"The lexicon '{name[:80]}' does not exist. "
                f"{names_hint(name, self._lexicons.names, 'lexicons')}",
                param="lexicon",
                code="lexicon_not_found",
            )
        return lexicon


EMPTY_LIBRARY = AccountLibrary(_EMPTY, _EMPTY, Lexicons({}))
"""The library of a caller without an account, on a server without lexicons."""


class _LazyLexicons(Mapping[str, Words]):
    """Lexicons, each of which is parsed when a text first needs it. An account with many seldom needs all."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._parsed: dict[str, Words] = {}
        self.characters = sum(map(len, texts.values()))

    def __getitem__(self, name: str) -> Words:
        words = self._parsed.get(name)
        if words is None:
            words = self._parsed[name] = read_words(self._texts[name])
        return words

    def __contains__(self, name: object) -> bool:
        return name in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


class _OwnPart(NamedTuple):
    """An account's own saved data, at this revision of its library, read at `read_at`.

    Sealed voices may have clones and recordings, which have no revision, so they are read each time. `words`
    are the revisions of its lexicons.
    """

    revision: int
    voices: VoiceCache
    lexicons: Lexicons
    words: WordRevisions = ()
    characters: int = 0
    read_at: float = 0.0

    def has_same_data(self, other: _OwnPart) -> bool:
        """Tell whether the other part has the same voices and lexicons. Its revision may differ."""
        return self.voices is other.voices and self.lexicons is other.lexicons

    @property
    def is_sealed(self) -> bool:
        return any(each.row.is_sealed for each in self.voices.saved.values())


class _LibraryRead(NamedTuple):
    library: AccountLibrary
    own: _OwnPart
    shared: VoiceCache

    @property
    def weight(self) -> int:
        return _LIBRARY_BYTES + self.own.voices.weight + self.own.characters


class Library:
    """The libraries of all accounts, for one revision of the configuration.

    The configured lexicons, `shared`, count for every account. `clock` returns seconds and never goes back. A
    saved voice of the operator is hidden if a `configured` voice has its name.
    """

    def __init__(
        self,
        store: Store,
        own_voices: OwnVoices,
        saved_words: SavedWords,
        shared: Mapping[str, Words],
        clock: Callable[[], float] = time.monotonic,
        configured: Container[str] = (),
    ) -> None:
        self._store = store
        self._configured = configured
        self._own_voices = own_voices
        self._saved_words = saved_words
        self._configured_words = shared
        self._empty_part = _OwnPart(0, _EMPTY, Lexicons(shared))
        self._operators = _EMPTY
        self._clock = clock
        self._trusted_s = _TRUSTED_S if store.is_shared else math.inf
        # The operator's voices at their last revision. They are read after the revision, so they are not
        # older.
        self._by_revision: ReadCache[int, VoiceCache] = ReadCache(
            read_singly(self._read_operators), lambda _voices: self._trusted_s, max_weight=1, clock=clock
        )
        self._accounts: ReadCache[str, _LibraryRead] = ReadCache(
            self._read,
            lambda _read: _CACHED_S,
            max_weight=_MOST_BYTES,
            weight=lambda read: read.weight,
            most_together=MOST_TOGETHER,
            clock=clock,
        )

    def __repr__(self) -> str:
        cached_count, words = len(self._accounts), self._empty_part.lexicons
        return f"<Library {cached_count} accounts kept, {self.weight} bytes, {words!r}>"

    @property
    def weight(self) -> int:
        """The approximate size of all libraries in bytes, with the operator's."""
        return int(self._accounts.weight) + self._operators.weight

    async def get(self, account: str) -> AccountLibrary:
        return (await self._accounts.get(account)).library

    async def read_newest(self, account: str) -> AccountLibrary:
        """Return a library with all that other workers and machines have saved until now."""
        return await self.read_again(account) or await self.get(account)

    async def read_again(self, account: str) -> AccountLibrary | None:
        """Read a library once more for an unknown name. None: no other worker can have saved it."""
        if not self._store.is_shared:
            return None
        self.forget(account)
        return await self.get(account)

    async def find_record(self, account: str | None, id_or_name: str) -> VoiceRecord | None:
        """Return the row of a saved voice of this account (None: the operator) by its id or its name.

        Whether another account has such a voice changes neither the answer nor the rows that are read.
        """
        if not id_or_name.isprintable():
            return None
        row = await self._own_voices.find_record(account, id_or_name)
        if row is not None or account is None:
            return row
        # The name of a sealed voice is in no column. Another worker may have saved it a moment ago.
        row = (await self.get(account)).own.row_named(id_or_name)
        newer = None if row is not None else await self.read_again(account)
        return row if newer is None else newer.own.row_named(id_or_name)

    async def find_any(self, account: str | None, id_or_name: str) -> VoiceRecord | None:
        """Return a voice of any account by its id, or one of this account by its name. It is for operators.

        If its texts cannot be opened, they are empty.
        """
        row = await self._own_voices.get(id_or_name) if id_or_name.isprintable() else None
        row = row or await self.find_record(account, id_or_name)
        return None if row is None else self._own_voices.open(row)

    def forget(self, account: str | None) -> None:
        """Forget the library of an account. Call this after the commit of a change. None forgets all
        libraries, after a change of the operator's voices, which are in each of them."""
        if account is None:
            self._accounts.forget_if(lambda _read: True)
        else:
            self._accounts.forget(account)

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        """Forget every library: a library that is being read now may have the erased voice."""
        del voice, digests
        self.forget(None)

    async def _read(self, accounts: Sequence[str]) -> dict[str, _LibraryRead]:
        """Read libraries. One with an unchanged revision stays the same object, and its plans stay valid."""
        revisions = await library_revisions.read_revisions(self._store, (OPERATOR, *accounts))
        shared = await self._by_revision.get(revisions.get(OPERATOR, 0))
        found: dict[str, _LibraryRead] = {}
        for account in accounts:
            before = self._accounts.last_known(account)
            if before is not None and self._is_due(before.own) and account != accounts[0]:
                continue  # reading it takes several queries, and the first account must not wait for them
            own = await self._read_own(account, revisions.get(account, 0), before)
            if before is not None and before.own.has_same_data(own) and before.shared is shared:
                found[account] = before._replace(own=own)  # its revision may be newer
            else:
                found[account] = _LibraryRead(AccountLibrary(own.voices, shared, own.lexicons), own, shared)
        return found

    def _is_due(self, own: _OwnPart) -> bool:
        """Tell whether a part must be read again although its revision is the same."""
        return own.is_sealed or self._clock() - own.read_at >= self._trusted_s

    async def _read_operators(self, revision: int) -> VoiceCache:
        if not revision and not self._store.is_shared:
            return _EMPTY
        found = await self._own_voices.of_operator(self._operators.saved)
        saved = [each for each in found if each.record.name not in self._configured]
        voices = await asyncio.to_thread(self._operators.renewed, saved)
        self._operators = voices
        # The libraries of all accounts share the bytes that the operator's voices leave.
        self._accounts.max_weight = max(_MOST_BYTES // 4, _MOST_BYTES - voices.weight)
        return voices

    async def _read_own(self, account: str, revision: int, before: _LibraryRead | None) -> _OwnPart:
        if account == OPERATOR or not (revision or self._store.is_shared):
            return self._empty_part
        known, now = None if before is None else before.own, self._clock()
        if known is not None and known.revision == revision and not self._is_due(known):
            return known
        saved, words = await asyncio.gather(
            self._own_voices.of_account(account, NO_VOICES if known is None else known.voices.saved),
            self._saved_words.revisions(account),
        )
        part = await self._with_lexicons(account, words, known)
        voices = VoiceCache.of(saved) if known is None else known.voices.renewed(saved)
        if known is not None and voices is known.voices and part is known:
            return known._replace(revision=revision, read_at=now)
        return part._replace(revision=revision, voices=voices, read_at=now)

    async def _with_lexicons(self, account: str, words: WordRevisions, known: _OwnPart | None) -> _OwnPart:
        """Return a part with the account's lexicons, which are read only if one has changed."""
        if not words:
            return self._empty_part if known is None or known.words else known
        if known is not None and known.words == words:
            return known
        texts = _LazyLexicons(await self._saved_words.texts(account))
        return _OwnPart(0, _EMPTY, Lexicons(self._configured_words, texts), words, texts.characters)
