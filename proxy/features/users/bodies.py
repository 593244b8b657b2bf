"""What clients and operators send about users, and what they get."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from proxy.features.users.records import User
from proxy.features.users.session_store import SessionRow
from proxy.http.body import AccountName
from proxy.http.lists import Listing, iso_time
from proxy.http.replies import struct_from
from speech_engine.redacted import Redacted

_Address = Annotated[
    str, Meta(min_length=3, max_length=254, description="an address of mail, such as ada@example.org")
]


class NewSignIn(Redacted, msgspec.Struct, frozen=True):
    """The address of a person who wants to sign in."""

    address: _Address


class PendingSignIn(msgspec.Struct, frozen=True, kw_only=True):
    """The answer is the same whether the address may sign in or not. The mail's code goes with this `id`."""

    object: Literal["sign_in"] = "sign_in"
    id: str
    expires: str


class Confirmation(Redacted, msgspec.Struct, frozen=True):
    """The token of a link, or the code of a mail."""

    token: Annotated[str, Meta(max_length=100, description="the token of a link")] = ""
    code: Annotated[str, Meta(max_length=100, description="the code of a mail")] = ""


class NewSession(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The session is in the cookie of this answer, and the person is signed in as `address`."""

    object: Literal["session"] = "session"
    id: str
    user: str
    account: str
    address: str


class ShownSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session by its sign-in and its last use, to the hour. It ends a week after that use."""

    id: str
    created: str
    seen: str
    is_current: bool


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first."""

    object: Literal["list"] = "list"
    data: list[ShownSession]


class EndedSession(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["session"] = "session"
    deleted: bool = True


class NewInvitation(Redacted, msgspec.Struct, frozen=True):
    """Without `account`, the person gets a new one. An operator may call /admin, after a fresh sign-in."""

    address: _Address
    account: AccountName | None = None
    operator: Annotated[bool, Meta(description="true or false")] = False


class Invitation(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The link is shown this once."""

    object: Literal["invitation"] = "invitation"
    id: str
    link: str
    expires: str


class ShownUser(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A person who signs in. `key` stands for the person in jobs, usage and the audit."""

    id: str
    account: str
    key: str
    address: str
    language: str
    is_operator: bool
    mails: bool
    created: str


class UserList(Listing, frozen=True, kw_only=True):
    """The newest first."""

    data: list[ShownUser]


class RemovedUser(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["user"] = "user"
    deleted: bool = True


class SignedOut(msgspec.Struct, frozen=True, kw_only=True):
    """How many sessions of the user have ended."""

    id: str
    sessions: int


def shown_session(row: SessionRow, current: str) -> ShownSession:
    created, seen = iso_time(row.created), iso_time(row.seen)
    return ShownSession(id=row.id, created=created, seen=seen, is_current=row.id == current)


def shown_user(user: User) -> ShownUser:
    return struct_from(ShownUser, user, created=iso_time(user.created))
