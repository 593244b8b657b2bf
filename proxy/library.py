"""What accounts have of their own: saved voices and lexicons, beside those of the operator.

Read at most every few seconds for an account, so a change elsewhere is seen within them; the worker that
makes one calls `forget`, and there it is seen at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from policies.lexicon import Lexicon, Lexicons, NotThere, Words
from policies.routing import Voice
from proxy.callers import KEPT_S
from proxy.errors import InvalidRequest
from proxy.storage import lexicons, voices
from proxy.storage.store import Store
from proxy.storage.voices import VoiceRecord

_MOST_KEPT = 10_000


class Own:
    """One account's: its voices and those that the operator saved for everybody, and its lexicons before the
    operator's. `voices` has them under their ids and their names: ids before names, its own before all."""

    def __init__(self, own: tuple[Voice, ...], shared: tuple[Voice, ...], lexicons: Lexicons) -> None:
        self.listed = (*own, *shared)
        names = {voice.name: voice for voice in reversed(self.listed)}
        self.voices: Mapping[str, Voice] = names | {voice.id: voice for voice in self.listed}
        self._lexicons = lexicons

    def __repr__(self) -> str:
        return f"<Own {len(self.listed)} voices, {self._lexicons!r}>"

    def lexicon(self, wanted: str | Words | None, tag: str) -> Lexicon:
        """What counts for a text in this language; `wanted` as the request says. Raises InvalidRequest."""
        try:
            return self._lexicons.for_text(wanted, tag)
        except NotThere as error:
            raise InvalidRequest(
                f"The lexicon '{str(error)[:80]}' does not exist. GET /v1/lexicons lists those that do.",
                param="lexicon",
                code="lexicon_not_found",
            ) from None


NOTHING = Own((), (), Lexicons({}))
"""Of a caller without an account, on a server without lexicons."""


class _Kept(NamedTuple):
    own: Own
    until: float


class Library:
    """One for each revision of the configuration, whose lexicons count for everybody. `clock` counts seconds
    and never goes back."""

    def __init__(
        self, store: Store, shared: Mapping[str, Words], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._clock = clock
        self._shared = Lexicons(shared)
        self._words = shared
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._asked: dict[str, asyncio.Task[Own]] = {}

    def __repr__(self) -> str:
        return f"<Library {len(self._kept)} accounts kept, {self._shared!r}>"

    async def own(self, account: str) -> Own:
        kept = self._kept.get(account)
        if kept is not None and self._clock() < kept.until:
            return kept.own
        # Shielded: whoever asked first may hang up, and the others still want the answer.
        return await asyncio.shield(self._ask_once(account))

    def forget(self, account: str | None) -> None:
        """Call it after the commit; None where it was the operator's, which everybody has."""
        if account is None:
            self._kept.clear()
            self._asked.clear()
        else:
            self._kept.pop(account, None)
            # A read under way may have seen the state before: no later request joins it, and it is not kept.
            self._asked.pop(account, None)

    def _ask_once(self, account: str) -> asyncio.Task[Own]:
        task = self._asked.get(account)
        if task is None:
            task = self._asked[account] = asyncio.create_task(self._ask(account))
            task.add_done_callback(lambda done: self._landed(account, done))
        return task

    def _landed(self, account: str, task: asyncio.Task[Own]) -> None:
        if self._asked.get(account) is task:
            del self._asked[account]
        # Looked at, so that a failed read whose requests have all hung up is not reported as lost.
        if not task.cancelled():
            task.exception()

    async def _ask(self, account: str) -> Own:
        asked_at = self._clock()
        saved, words = await asyncio.gather(
            voices.for_account(self._store, account), lexicons.of_account(self._store, account)
        )
        by_name = {record.name: record.words for record in words}
        found = Own(
            tuple(voice_of(record) for record in saved if record.account is not None),
            tuple(voice_of(record) for record in saved if record.account is None),
            Lexicons(self._words, by_name) if by_name else self._shared,
        )
        if self._asked.get(account) is asyncio.current_task():
            self._kept[account] = _Kept(found, asked_at + KEPT_S)
            self._kept.move_to_end(account)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found


def voice_of(record: VoiceRecord) -> Voice:
    return Voice(
        id=record.id,
        name=record.name,
        bindings=(),
        cast=tuple(record.members.items()),
        revision=str(record.revision),
        created=record.created,
    )
