"""The interface of the lexicons of accounts and of the operator. A feature stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from policies.lexicon import Words
from proxy.config.sections import Config
from proxy.errors import NotAllowed
from proxy.storage.rows import decode_json

WordRevisions = tuple[tuple[str, int, int], ...]
"""Name, revision and time of each lexicon of an account. Any change of them makes another value."""


class SavedWords(Protocol):
    """The saved words. These bodies are those of a server without the feature."""

    def configured(self, config: Config) -> Mapping[str, Words]:
        """Return the lexicons of a configuration, which count for every account."""
        del config
        return {}

    async def revisions(self, account: str) -> WordRevisions:
        """List the revisions of an account's lexicons. Empty: the account has none."""
        del account
        return ()

    async def texts(self, account: str) -> Mapping[str, str]:
        """Return each lexicon as the text that `read_words` reads: an account may have very many."""
        del account
        return {}

    async def add_words(self, account: str, name: str, words: Words) -> None:
        """Add words to a lexicon, which is made if the account has none of this name. Raises NotAllowed."""
        raise NotAllowed("This server stores no lexicons: its feature is off.", param="keep_words")


def read_words(text: str) -> Words:
    words: dict[str, str] = decode_json(text)
    return words
