"""Save and delete the lexicons of an account, for the account or for the operator.

After a change, the cache drops speech by the old words.
"""

from __future__ import annotations

from collections.abc import Iterable

from policies import lexicon
from policies.lexicon import MOST_LEXICONS, Words
from proxy.catalogue.erasing import Purges
from proxy.catalogue.library import Library
from proxy.config.reader import possible
from proxy.errors import InvalidRequest, NotAllowed, NotFound
from proxy.features.lexicons import records
from proxy.features.lexicons.records import LexiconSummary
from proxy.storage.audit import Act
from proxy.storage.store import Store


class LexiconStore:
    """The lexicons of all accounts, for one revision of the configuration."""

    def __init__(self, store: Store, library: Library, purges: Purges) -> None:
        self.store = store
        self._library = library
        self._purges = purges

    async def put(self, account: str, name: str, words: Words, act: Act | None = None) -> LexiconSummary:
        """Save or replace a lexicon. Raises InvalidRequest, or NotAllowed at the limit."""
        if (wrong := lexicon.name_fault(name)) is not None:
            raise InvalidRequest(f"Invalid value for 'name': it must be {wrong}.", param="name")
        usual = lexicon.usual_name(name)
        record = await records.put(self.store, account, usual, words, most=MOST_LEXICONS, act=act)
        if record is None:
            raise NotAllowed(
                f"An account has {MOST_LEXICONS} lexicons at most; delete one, or add the words to another.",
                param="name",
                code="too_many_lexicons",
            )
        await self._changed(account)
        return record

    async def delete(self, account: str, name: str, act: Act | None = None) -> str:
        """Delete a lexicon and return its usual name. Raises NotFound."""
        usual = lexicon.usual_name(name)
        if lexicon.name_fault(usual) is not None or not await records.delete(self.store, account, usual, act):
            raise no_lexicon(name, [each for each, *_ in await records.revisions(self.store, account)])
        await self._changed(account)
        return usual

    async def _changed(self, account: str) -> None:
        self._library.forget(account)
        await self._purges.purge_lexicon(account)


def no_lexicon(name: str, known: Iterable[str]) -> NotFound:
    message = f"The account has no lexicon '{name[:80]}'. {possible(name, known, 'lexicons')}"
    return NotFound(message, param="lexicon", code="lexicon_not_found")
