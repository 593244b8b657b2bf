"""The interfaces of features that know the users of accounts, and what accounts paid.

A feature shares a subclass with `AppContext.with_shared`. Without it, accounts have no users and have paid
nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from policies.plans import Minutes
from proxy.storage.store import Condition
from speech_engine.redacted import Redacted

_MADE_UP = re.compile(r"account-[0-9a-f]{12}")


def made_up_name() -> str:
    """Return a name for the account of a person who signs in for the first time."""
    return f"account-{secrets.token_hex(6)}"


def account_title(name: str, addresses: Sequence[str]) -> str:
    """Return the name of an account for people: an address of its users, if its own name was made up."""
    return addresses[0] if addresses and _MADE_UP.fullmatch(name) else name


class UserEntry(Redacted, msgspec.Struct, frozen=True):
    """A person who signs in. With `mails`, the person gets mails about trainings and jobs."""

    id: str
    address: str
    language: str
    mails: bool


SignIn = Literal["closed", "invitation", "mail"]


class People:
    """The users of accounts. `sign_in` says how they sign in: by a mailed link, only by an invitation, or not
    at all, so that an API key is needed. If `may_sign_up`, everybody with an address gets an account, which
    begins with the `plan`. `terms`, `privacy` and `imprint` are links for visitors, or ""."""

    sign_in: SignIn = "closed"
    may_sign_up = False
    plan = ""
    terms = privacy = imprint = ""

    async def user(self, id_: str) -> UserEntry | None:
        del id_
        return None

    async def users_of(self, account: str) -> Sequence[UserEntry]:
        del account
        return ()

    async def account_of(self, address: str) -> str | None:
        del address
        return None

    async def addresses(self, accounts: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the addresses of the users of accounts. Those of each come in the order of their joining."""
        del accounts
        return {}

    def condition_address_like(self, pattern: str) -> Condition:
        """Return the SQL condition of accounts with a user whose address is LIKE a pattern. `!` escapes."""
        del pattern
        return Condition("1 = 0", {})


class Offered(Protocol):
    """An offer, as GET /v1/plans shows it."""

    @property
    def object(self) -> Literal["plan", "pack"]: ...
    @property
    def name(self) -> str: ...
    @property
    def amount(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def providers(self) -> Sequence[str]: ...
    @property
    def features(self) -> Sequence[str]: ...
    @property
    def credits(self) -> float | None: ...
    @property
    def minutes(self) -> Minutes | None: ...
    @property
    def limits(self) -> msgspec.Struct | None: ...


class Income:
    """The payments of accounts, and what is sold to them."""

    def sold_offers(self) -> Sequence[Offered]:
        return ()

    async def sums_paid(self, accounts: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        """Return what each account paid, less refunds, by currency in its minor unit."""
        del accounts
        return {}
