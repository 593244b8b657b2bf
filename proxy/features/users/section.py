"""[users]: whether people sign in, and which plan a new account has."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from proxy.config.reader import Section

_Link = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^\Z|^https?://[^\s\"'<>]+\Z", max_length=500, description='a link, "https://…", or ""'
    ),
]


class UsersSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[users]: with `sign_up = "closed"`, none of this is served. With "invite", users and invited people
    sign in; with "open", everyone with an address. New accounts have the `plan`; "" is `free`, or the first
    one. All servers together send `mails_a_minute` to sign in, those of users first. `terms`, `privacy` and
    `imprint` are links for visitors; the first two are also where people sign in."""

    sign_up: Annotated[
        Literal["closed", "invite", "open"], msgspec.Meta(description="one of closed, invite, open")
    ] = "closed"
    plan: Annotated[str, msgspec.Meta(max_length=100, description='a plan, or ""')] = ""
    mails_a_minute: Annotated[
        int, msgspec.Meta(ge=4, le=100_000, description="a number of sign-in mails, 4 to 100000")
    ] = 60
    terms: _Link = ""
    privacy: _Link = ""
    imprint: _Link = ""


SECTION = Section("users", UsersSection)
