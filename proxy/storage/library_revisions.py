"""The revisions of libraries as rows. While the number is the same, a library has not changed.

Each change of a voice or a lexicon raises the number in its own commit. Changes of clones, recordings and
consents of an account's voices do not.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.storage.rows import in_list
from proxy.storage.store import Statement, Store

OPERATOR = ""

_READ = "SELECT account, number FROM library_revisions WHERE account IN ({accounts})"
_RAISE = """
INSERT INTO library_revisions (account, number) VALUES (:account, 1)
ON CONFLICT (account) DO UPDATE SET number = library_revisions.number + 1
"""


def raise_statement(account: str | None) -> Statement:
    """Return the statement that raises the revision of an account's library, or of the operator's (None).

    It comes last in the commit of the change, because it locks its row until then.
    """
    return Statement(_RAISE, {"account": account or OPERATOR})


async def read_revisions(store: Store, accounts: Sequence[str]) -> dict[str, int]:
    """Return the numbers of these libraries in one query; an account that has none is left out.

    Read them before the libraries, so that a library may be newer than its number, but never older.
    """
    names, params = in_list(accounts)
    rows = await store.read(_READ.format(accounts=names), params)
    return {row["account"]: row["number"] for row in rows}
