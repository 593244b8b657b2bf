"""Requests to sign in, and their confirmation: one commit spends the token and makes the session.

A request asks the store the same for each address, so that neither its answer nor its time tells whether the
address has a user.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from weakref import WeakValueDictionary

import msgspec

from policies.limits import Caps
from policies.networks import WIDER_TIMES, networks_of
from policies.plans import AgreedTerms
from policies.tasks import SECOND_US
from proxy.access.sessions import Session
from proxy.catalogue.people import made_up_name
from proxy.errors import Conflict, InvalidRequest, RateLimited
from proxy.features.mail.folding import folded_address, mailbox_of
from proxy.features.mail.mails import Mails
from proxy.features.mail.records import Letter, Rank
from proxy.features.users import records
from proxy.features.users.records import SIGN_IN_ROWS, SignIn, SignInFailed, User
from proxy.features.users.section import UsersSection
from proxy.features.users.session_store import new_secret
from proxy.file_store.vault import Vault
from proxy.storage import audit
from proxy.storage.api_key import digest
from proxy.storage.audit import Act
from proxy.storage.listed_tables import lock_account
from proxy.storage.read_cache import MOST_TOGETHER, ReadCache
from proxy.storage.rows import encode_json, in_list, new_id
from proxy.storage.store import ALWAYS, AlreadyExists, Condition, Params, Statement, Store
from proxy.storage.turns import MOST_ROWS, write_in_turn

LINK_S = 15 * 60
INVITE_S = 72 * 3600
_MOST_CODE_TRIES = 5
_MOST_NEW_ACCOUNTS = 10
_DAY_US = 86_400 * SECOND_US
_WINDOW_US = LINK_S * SECOND_US
_CODE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_CODE_LENGTH = 8
_CONFIRM_TRIES = 3
_WAITING_MINUTES = 3
"""So many minutes of mails to strangers may wait. The code of a later one would be too old when it comes."""
_AT_ONCE = 8
"""The most requests that are written at once, one of each network."""
_LOCK_COUNTS = Statement("SELECT pg_advisory_xact_lock(CAST(:turn AS BIGINT))", {"turn": 0x766F7873})
"""Limits are counts of rows. Without the lock, two commits on PostgreSQL would both count before either
adds."""


_VALUES = ", ".join(SIGN_IN_ROWS.placeholders.values())
_ADD = f"INSERT INTO sign_ins ({SIGN_IN_ROWS.columns}) SELECT {_VALUES} WHERE {{only_if}} RETURNING id"
_IS_ADDED = "EXISTS (SELECT 1 FROM sign_ins WHERE id = :sign_in)"
_HAS_USER = "EXISTS (SELECT 1 FROM users WHERE address = :of_address)"
COUNT_STRANGER_MAILS = f"(SELECT count(*) FROM mails WHERE rank = {Rank.OF_STRANGER:d})"
_IS_MAILED = f"{_IS_ADDED} AND ({_HAS_USER} OR CAST(:most_strangers AS BIGINT) > {COUNT_STRANGER_MAILS})"
_RANK = f"CASE WHEN {_HAS_USER} THEN {Rank.OF_USER:d} ELSE {Rank.OF_STRANGER:d} END"
_IS_OPEN = "id IN ({ids}) AND session = '' AND until > :now"
_IS_OWN = _IS_OPEN.format(ids=":id")
_COUNT_TRY = f"""
UPDATE sign_ins SET tries = tries + 1 WHERE {_IS_OWN} AND code <> '' AND tries < {_MOST_CODE_TRIES}
RETURNING code
"""
_SPEND = f"""
UPDATE sign_ins SET session = :session, token = '', code = '' WHERE {_IS_OWN} AND {{may}} RETURNING id
"""
_SPENT = "EXISTS (SELECT 1 FROM sign_ins WHERE id = :sign_in AND session = :session)"
_NO_USER = "NOT EXISTS (SELECT 1 FROM users WHERE address = CAST(:address AS TEXT))"
_ACCOUNT_IS_OPEN = "EXISTS (SELECT 1 FROM accounts WHERE id = CAST(:account AS TEXT) AND closed IS NULL)"
_USER_IS_THERE = "EXISTS (SELECT 1 FROM users WHERE id = CAST(:user AS TEXT))"
# An erasure locks the same row, so no session is added while its user is erased.
_HOLD_USER = "UPDATE users SET id = id WHERE id = :user"
_ADD_ACCOUNT = f"""
INSERT INTO accounts (id, name, plan, created, anchor, agreed)
SELECT CAST(:account AS TEXT), CAST(:name AS TEXT), CAST(:plan AS TEXT), CAST(:now AS BIGINT),
    CAST(:now AS BIGINT), CAST(:agreed AS TEXT) WHERE {_SPENT}
"""
_ADD_KEY = f"""
INSERT INTO keys (id, account, hash, role, name, hint, created, caps, kind)
SELECT CAST(:key AS TEXT), CAST(:account AS TEXT), CAST(:hash AS TEXT), CAST(:role AS TEXT), '', '',
    CAST(:now AS BIGINT), CAST(:caps AS TEXT), 'user' WHERE {_SPENT}
"""
_ADD_USER = f"""
INSERT INTO users (id, account, key, address, language, is_operator, mails, created)
SELECT CAST(:user AS TEXT), CAST(:account AS TEXT), CAST(:key AS TEXT), CAST(:address AS TEXT),
    CAST(:language AS TEXT), CAST(:is_operator AS BIGINT), 1, CAST(:now AS BIGINT)
WHERE {_SPENT}
"""
_ADD_SESSION = f"""
INSERT INTO sessions (id, user_id, hash, created, seen)
SELECT CAST(:session AS TEXT), CAST(:user AS TEXT), CAST(:hash AS TEXT), CAST(:now AS BIGINT),
    CAST(:now AS BIGINT) WHERE {_SPENT}
"""
_END_OLD = f"DELETE FROM sessions WHERE id = :old AND {_SPENT}"
_TIDY = f"""
DELETE FROM {{table}} WHERE ({{key}}) IN (SELECT {{key}} FROM {{table}} WHERE {{is_old}} LIMIT {MOST_ROWS})
RETURNING created
"""
_DELETE_OLD = (
    _TIDY.format(table="sign_ins", key="id", is_old="created <= :day AND until <= :now"),
    _TIDY.format(table="sign_in_counts", key="name, created, sign_in", is_old="created <= :day"),
)


class Confirmed(NamedTuple):
    """A new session with the secret of its cookie."""

    session: str
    secret: str
    user: str
    account: str
    address: str


class SessionOwner(NamedTuple):
    """The person who signs in: a user, or the ids for a new user and perhaps a new account."""

    user: str
    account: str
    key: str
    is_new: bool
    makes_account: bool


class SignIns:
    """The sign-ins of one worker. Each revision of the configuration sets `section` and `plan`."""

    def __init__(self, store: Store, vault: Vault, mails: Mails) -> None:
        self.section = UsersSection()
        self.plan = ""
        self._store = store
        self._vault = vault
        self._mails = mails
        self._count_lock = (_LOCK_COUNTS,) if store.is_shared else ()
        # Reads are gathered and not stored, so a request with an invented id costs a part of a read.
        self._open_rows: ReadCache[str, SignIn | None] = ReadCache(
            self._read_open, lambda _row: 0.0, max_weight=1, most_together=MOST_TOGETHER, gathers_unknown=True
        )
        self._networks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._write_slots = asyncio.Semaphore(_AT_ONCE)

    async def request_sign_in(self, address: str, language: str, client: str) -> SignIn:
        """Note a request of a client, mail its link and code, and return it. Raises InvalidRequest,
        RateLimited."""
        narrow, wide = networks_of(client)
        id_, token = new_id("sin"), new_secret()
        code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))
        folded, now = _folded(address), await self._store.now()
        row = SignIn(
            id=id_,
            address=folded,
            language=language,
            network=narrow,
            token=digest(token),
            code=await self._code_digest(id_, code),
            created=now,
            until=now + LINK_S * SECOND_US,
        )
        letter = Letter(
            kind="sign_in", facts={"link": self._link(id_, token), "code": code}, to=folded, language=language
        )
        most_strangers = _WAITING_MINUTES * self.section.mails_a_minute
        is_mailed: Params = {
            "sign_in": id_,
            "most_strangers": most_strangers if self.section.sign_up == "open" else 0,
            "of_address": folded,
        }
        only_if = Condition(_IS_MAILED, is_mailed)
        mail = await self._mails.statements(
            letter, subject=id_, now=now, within_s=LINK_S, only_if=only_if, rank=_RANK
        )
        mailbox = await self._vault.name_digest("", f"mailbox:{mailbox_of(folded)}")
        # One network has 3 mails to a mailbox of the 10, so a stranger cannot use up those of its owner.
        max_counts = {f"{mailbox} {wide}": 3, mailbox: 10, wide: WIDER_TIMES * 10, narrow: 10}
        count_lock, below = self._count_lock, records.counts_below(max_counts, now - _WINDOW_US)
        # Requests of one network wait for each other, and not for those of other networks.
        async with self._networks.setdefault(wide, asyncio.Lock()), self._write_slots:
            answers = await self._store.write(
                *count_lock,
                Statement(_ADD.format(only_if=below.sql), {**msgspec.structs.asdict(row), **below.params}),
                *records.count_statements(max_counts, id_, now, Condition(_IS_ADDED, {})),
                *mail,
            )
        if not answers[len(count_lock)]:
            raise RateLimited(
                "Too many sign-ins were asked for. Use the newest mail, or try again in 15 minutes.",
                retry_after_s=LINK_S,
            )
        self._mails.look_now()
        return row

    async def invite(self, address: str, account: str, is_operator: bool, act: Act) -> tuple[str, int]:
        """Return a link for a person, and until when it is good. Raises InvalidRequest and Conflict."""
        folded = _folded(address)
        known = await records.find_by_address(self._store, folded)
        if known is not None and (
            account not in ("", known.account) or (is_operator and not known.is_operator)
        ):
            raise Conflict(
                f"This address is the user {known.id} already. Remove the user first.", param="address"
            )
        token, until = new_secret(), act.at + INVITE_S * SECOND_US
        row = SignIn(
            id=act.subject,
            address=folded,
            language="en",
            network="",
            token=digest(token),
            code="",
            created=act.at,
            until=until,
            is_invite=1,
            account=account,
            is_operator=int(is_operator),
        )
        only_if, locked = (ALWAYS.sql, "") if not account else (_ACCOUNT_IS_OPEN, account)
        locks = (lock_account(locked),) if locked else ()
        made: Params = {"made": act.subject}
        answers = await self._store.write(
            *locks,
            Statement(_ADD.format(only_if=only_if), msgspec.structs.asdict(row)),
            *audit.insert_statements(act, "EXISTS (SELECT 1 FROM sign_ins WHERE id = :made)", made),
        )
        if not answers[len(locks)]:
            raise Conflict("The account is closed.", param="account")
        return self._link(act.subject, token), until

    async def confirm_sign_in(
        self, id_: str, token: str, code: str, client: str, old: Session | None = None
    ) -> Confirmed:
        """Spend a token or a code, and make a session in the same commit. The `old` session of the browser
        ends. Raises SignInFailed and RateLimited."""
        row = await self._open_rows.get(id_) if id_.isascii() and id_.isprintable() else None
        if row is None or not await self._try_secret(row, token, code):
            raise SignInFailed
        narrow, wide = (f"accounts of {network}" for network in networks_of(client))
        max_counts = (
            {} if row.is_invite else {wide: WIDER_TIMES * _MOST_NEW_ACCOUNTS, narrow: _MOST_NEW_ACCOUNTS}
        )
        for _ in range(_CONFIRM_TRIES):
            now = await self._store.now()
            user = await records.find_by_address(self._store, row.address)
            if user is None and not row.is_invite and self.section.sign_up != "open":
                break
            try:
                if (done := await self._spend(row, user, max_counts, old, now)) is not None:
                    return done
            except AlreadyExists:
                continue  # another sign-in of this address has just made its user
            below = records.counts_below(max_counts, now - _DAY_US)
            if not (user or await self._store.read(f"SELECT 1 AS one WHERE {below.sql}", below.params)):
                raise RateLimited(
                    "Too many new accounts from your network today. Try again tomorrow.",
                    retry_after_s=_DAY_US // SECOND_US,
                )
            if (row := await self._open_rows.get(id_)) is None:
                break
        raise SignInFailed

    async def tidy(self) -> None:
        now = await self._store.now()
        for old in (Statement(sql, {"day": now - _DAY_US, "now": now}) for sql in _DELETE_OLD):
            while len((await write_in_turn(self._store, MOST_ROWS, old))[0]) == MOST_ROWS:
                pass  # there may be more

    async def _read_open(self, ids: Sequence[str]) -> dict[str, SignIn | None]:
        listed, params = in_list(ids)
        sql = f"{SIGN_IN_ROWS.select} {_IS_OPEN.format(ids=listed)}"
        rows = await self._store.read(sql, {**params, "now": await self._store.now()})
        return {**dict.fromkeys(ids), **{row["id"]: SIGN_IN_ROWS.read(row) for row in rows}}

    async def _try_secret(self, row: SignIn, token: str, code: str) -> bool:
        if token:
            return hmac.compare_digest(row.token, digest(token))
        # The try is counted before the code is compared, so a kill or a second worker gives no sixth try.
        (rows,) = await self._store.write(
            Statement(_COUNT_TRY, {"id": row.id, "now": await self._store.now()})
        )
        sent = await self._code_digest(row.id, code.upper().replace(" ", "").replace("-", ""))
        return bool(rows) and hmac.compare_digest(rows[0]["code"], sent)

    async def _spend(
        self, row: SignIn, user: User | None, max_counts: Mapping[str, int], old: Session | None, now: int
    ) -> Confirmed | None:
        """Write the sign-in in one commit. None: the token is spent already, or a condition does not hold."""
        target, secret, below = (
            _session_owner(row, user),
            new_secret(),
            records.counts_below(max_counts, now - _DAY_US),
        )
        session: Params = {"sign_in": row.id, "session": new_id("ses")}
        may = f"{_NO_USER} AND {below.sql}" if target.is_new else _USER_IS_THERE
        if not target.makes_account:
            may += f" AND {_ACCOUNT_IS_OPEN}"
        facts: Params = {
            **below.params,
            **session,
            **target._asdict(),
            "id": row.id,
            "now": now,
            "address": row.address,
        }
        locks = (
            *self._count_lock,
            *(() if target.makes_account else (lock_account(target.account),)),
            *(() if target.is_new else (Statement(_HOLD_USER, {"user": target.user}),)),
        )
        answers = await self._store.write(
            *locks,
            Statement(_SPEND.format(may=may), facts),
            *(self._new_statements(row, target, session, max_counts, now) if target.is_new else ()),
            Statement(_ADD_SESSION, {**session, "user": target.user, "hash": digest(secret), "now": now}),
            Statement(_END_OLD, {**session, "old": old.id if old else ""}),
            *self._audit(target, session, now),
        )
        if not answers[len(locks)]:
            return None
        return Confirmed(str(session["session"]), secret, target.user, target.account, row.address)

    def _new_statements(
        self, row: SignIn, target: SessionOwner, session: Params, max_counts: Mapping[str, int], now: int
    ) -> list[Statement]:
        """Return the statements that make a user, with its row in `keys`, and its account if it is new, and
        count it."""
        made: Params = {**session, "account": target.account, "now": now}
        account: Params = {
            **made,
            "name": made_up_name(),
            "plan": self.plan,
            "agreed": encode_json(AgreedTerms()),
        }
        key: Params = {
            **made,
            "key": target.key,
            "hash": f"user:{target.key}",  # no digest of any secret
            "role": "admin" if row.is_operator else "speech",
            "caps": encode_json(Caps()),
        }
        user: Params = {
            **made,
            "user": target.user,
            "key": target.key,
            "address": row.address,
            "language": row.language,
            "is_operator": row.is_operator,
        }
        return [
            *([Statement(_ADD_ACCOUNT, account)] if target.makes_account else []),
            Statement(_ADD_KEY, key),
            Statement(_ADD_USER, user),
            *records.count_statements(max_counts, row.id, now, Condition(_SPENT, session)),
        ]

    def _audit(self, target: SessionOwner, session: Params, now: int) -> list[Statement]:
        acts = [("session.created", str(session["session"]))]
        if target.is_new:
            acts.insert(0, ("user.created", target.user))
        if target.makes_account:
            acts.insert(0, ("account.created", target.account))
        found: list[Statement] = []
        for action, subject in acts:
            act = audit.new_act(now, target.key, action, subject, target.account)
            found += audit.insert_statements(act, _SPENT, session)
        return found

    async def _code_digest(self, id_: str, code: str) -> str:
        # With a key of the server: a code is short enough to be guessed from a plain digest.
        return await self._vault.name_digest("", f"{id_}:{code[:100]}")

    def _link(self, id_: str, token: str) -> str:
        return self._mails.link(f"sign-in#sign_in={id_}.{token}")


def _session_owner(row: SignIn, user: User | None) -> SessionOwner:
    if user is not None:
        return SessionOwner(user.id, user.account, user.key, is_new=False, makes_account=False)
    account = row.account or new_id("acc")
    return SessionOwner(new_id("usr"), account, new_id("key"), is_new=True, makes_account=not row.account)


def _folded(address: str) -> str:
    if not (folded := folded_address(address)):
        raise InvalidRequest(
            "Invalid value for 'address': it must be an address of mail, such as ada@example.org.",
            param="address",
        )
    return folded
