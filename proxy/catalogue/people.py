"""Facts about accounts that features know: their users, and what they paid.

A feature shares a subclass of these with `AppContext.sharing`. Where no feature does, an account has no users
and has paid nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from speech_engine.redacted import Redacted


class UserEntry(Redacted, msgspec.Struct, frozen=True):
    """A person who signs in. With `mails`, the person hears of trainings and jobs by mail."""

    id: str
    address: str
    language: str
    mails: bool


SignIn = Literal["closed", "invitation", "mail"]


class People:
    """The users of accounts. `sign_in` tells how they sign in: by a mailed link, or only by an invitation. If
    it is closed, an API key is needed. `terms` and `privacy` are links for those who sign in, or ""."""

    sign_in: SignIn = "closed"
    terms = ""
    privacy = ""

    async def user(self, id_: str) -> UserEntry | None:
        del id_
        return None

    async def users_of(self, account: str) -> Sequence[UserEntry]:
        del account
        return ()


class Income:
    """The payments of accounts."""

    async def sums_paid(self, account: str) -> Mapping[str, int]:
        """Return what an account paid, without what was given back, by currency in its minor unit."""
        del account
        return {}
