"""Users, requests to sign in and sessions as rows. Addresses are not sealed: they are looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from proxy.access.sessions import COOKIE
from proxy.access.windows import Limit
from proxy.catalogue.people import People, UserEntry
from proxy.errors import InvalidRequest
from proxy.features.mail.records import Rank
from proxy.storage.disk_names import account_name
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import in_list
from proxy.storage.store import ALWAYS, Condition, Params, Row, Statement, Store, Value
from proxy.storage.tables import Erasable, PathColumn, Table
from speech_engine.redacted import Redacted

_DELETE_MAILS = "DELETE FROM mails WHERE subject IN (SELECT id FROM sign_ins WHERE {of})"
_OF_USER = "address = (SELECT address FROM users WHERE id = :subject)"
_OF_ACCOUNT = "(account = :id OR address IN (SELECT address FROM users WHERE account = :id))"
USERS = Table(
    "users",
    personal=True,
    paths=(PathColumn("account", account_name),),
    erasable=Erasable(
        "usr_",
        digests="SELECT '' AS digest FROM users WHERE id = :subject AND 1 = 0",  # a user has no recordings
        deletes=(
            "DELETE FROM sessions WHERE user_id = :subject",
            _DELETE_MAILS.format(of=_OF_USER),
            f"DELETE FROM sign_ins WHERE {_OF_USER}",
            "UPDATE keys SET revoked = coalesce(revoked, :began) "
            "WHERE kind = 'user' AND id = (SELECT key FROM users WHERE id = :subject)",
            "DELETE FROM users WHERE id = :subject",
        ),
        lock="UPDATE users SET id = id WHERE id = :subject",
    ),
)
SIGN_INS = Table(
    "sign_ins",
    personal=True,
    closed_with=(_DELETE_MAILS.format(of=_OF_ACCOUNT), f"DELETE FROM sign_ins WHERE {_OF_ACCOUNT}"),
    # The address of a user that was erased since the backup may be here, and its journal has no address.
    restored_with=(_DELETE_MAILS.format(of="1 = 1"), "DELETE FROM sign_ins"),
)
# Counts by network and by keyed digest of a mailbox, for a day.
COUNTS = Table("sign_in_counts", key=("name", "created", "sign_in"), owner="''")
SESSIONS = Table(
    "sessions",
    owner="(SELECT account FROM users WHERE users.id = user_id)",
    closed_with=("DELETE FROM sessions WHERE user_id IN (SELECT id FROM users WHERE account = :id)",),
    # A session may have ended since the backup.
    restored_with=("DELETE FROM sessions",),
)
ENDED_COOKIE = f"{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict"


class User(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A person who signs in, whose `key` is the caller of its sessions. The address is in its folded form."""

    id: str
    account: str
    key: str
    address: str
    language: str
    is_operator: bool
    mails: bool
    created: int

    @property
    def entry(self) -> UserEntry:
        return UserEntry(self.id, self.address, self.language, self.mails)


class SignIn(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A request to sign in, or an invitation. See the migration for its columns."""

    id: str
    address: str
    language: str
    network: str
    token: str
    code: str
    created: int
    until: int
    is_invite: int = 0
    account: str = ""
    is_operator: int = 0


SIGN_IN_ROWS = ListedTable("sign_ins", SignIn)


def mail_ceilings(mails_a_minute: int) -> Mapping[int, Limit]:
    """Return the limits of sign-in mails by rank. They count in one window, of which strangers get three
    quarters."""
    most = {Rank.OF_USER: mails_a_minute, Rank.OF_STRANGER: mails_a_minute * 3 // 4}
    return {rank: Limit("sign-in-mails", "", each) for rank, each in most.items()}


def _user(row: Row) -> User:
    flags = {name: bool(row[name]) for name in ("is_operator", "mails")}
    return msgspec.convert({**row, **flags}, User)


ROWS = ListedTable("users", User, read=_user)
_CHANGE = """
UPDATE users SET mails = coalesce(CAST(:mails AS BIGINT), mails),
    language = coalesce(CAST(:language AS TEXT), language)
WHERE id = :id
"""


def change_statement(user: str, mails: bool | None, language: str | None) -> Statement:
    """Return the statement that changes a user. None leaves a field as it is."""
    return Statement(
        _CHANGE, {"id": user, "mails": None if mails is None else int(mails), "language": language}
    )


_IS_BELOW = """
(SELECT count(*) FROM sign_in_counts
WHERE name = CAST(:name_{n} AS TEXT) AND created > CAST(:since AS BIGINT)) < CAST(:most_{n} AS BIGINT)
"""
_COUNT = """
INSERT INTO sign_in_counts (name, created, sign_in)
SELECT name, CAST(:now AS BIGINT), CAST(:sign_in AS TEXT) FROM ({names}) AS counted WHERE {only_if}
"""


def counts_below(max_counts: Mapping[str, int], since: int) -> Condition:
    """Return the condition that each name was counted less often than `max_counts` says."""
    sql, params = [ALWAYS.sql], dict[str, Value](since=since)
    for n, (name, number) in enumerate(max_counts.items()):
        sql.append(_IS_BELOW.format(n=n))
        params |= {f"name_{n}": name, f"most_{n}": number}
    return Condition(" AND ".join(sql), params)


def count_statements(
    max_counts: Mapping[str, int], sign_in: str, now: int, only_if: Condition
) -> tuple[Statement, ...]:
    """Return the statement that counts each name of `max_counts` once, or none without names."""
    names = " UNION ALL ".join(f"SELECT CAST(:name_{n} AS TEXT) AS name" for n in range(len(max_counts)))
    params: Params = {**only_if.params, **{f"name_{n}": name for n, name in enumerate(max_counts)}}
    sql = _COUNT.format(names=names, only_if=only_if.sql)
    return (Statement(sql, {**params, "sign_in": sign_in, "now": now}),) if max_counts else ()


async def find_by_address(store: Store, address: str) -> User | None:
    rows = await store.read(f"{ROWS.select} address = :address", {"address": address})
    return _user(rows[0]) if rows else None


_ADDRESSES = "SELECT account, address FROM users WHERE account IN ({names}) ORDER BY created, id"
_ADDRESS_BEGINS = "id IN (SELECT account FROM users WHERE address LIKE :address ESCAPE '!')"


class UserDirectory(People):
    """The users of accounts, for other features. See `People`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def user(self, id_: str) -> UserEntry | None:
        user = await ROWS.get(self._store, None, id_)
        return None if user is None else user.entry

    async def users_of(self, account: str) -> Sequence[UserEntry]:
        return [each.entry for each in await ROWS.of_account(self._store, account)]

    async def account_of(self, address: str) -> str | None:
        user = await find_by_address(self._store, address.casefold()) if address.isprintable() else None
        return None if user is None else user.account

    async def addresses(self, accounts: Sequence[str]) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        if not accounts:
            return {}
        names, params = in_list(accounts)
        for row in await self._store.read(_ADDRESSES.format(names=names), params):
            found.setdefault(row["account"], []).append(row["address"])
        return found

    def condition_address_like(self, pattern: str) -> Condition:
        return Condition(_ADDRESS_BEGINS, {"address": pattern})

    async def recipients(self, account: str) -> Sequence[tuple[str, str]]:
        """Return addresses and languages of the users who want mails. See `Mails.recipients`."""
        return [(each.address, each.language) for each in await self.users_of(account) if each.mails]


class SignInFailed(InvalidRequest):
    """400: the link or code is wrong, used, or too old. The answer does not tell which."""

    default_code = "sign_in_failed"

    def __init__(self) -> None:
        super().__init__("This link or code is wrong, was used, or is too old. Ask for a new one.")
