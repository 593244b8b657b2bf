"""Mails as rows, sealed: an address and a text of a person are in no other table."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from policies.tasks import QueuedTask
from proxy.features.webhooks.records import Event
from proxy.file_store.vault import SealedRecord
from proxy.storage.disk_names import owner_name
from proxy.storage.store import Condition, Params, Statement
from proxy.storage.tables import PathColumn, Table
from proxy.storage.task_tables import TaskTable
from speech_engine.redacted import Redacted

TABLE = Table(
    "mails",
    sealed=True,
    personal=True,
    paths=(PathColumn("account", owner_name),),
    erased_with=("DELETE FROM mails WHERE subject = :subject",),
    closed_with=("DELETE FROM mails WHERE account = :id",),
)


MAILED: tuple[Event, ...] = ("job.done", "job.failed", "job.canceled", "job.waiting")
"""The events that users may get by mail."""


class Letter(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The sealed part of a mail. `kind` is the name of its texts, and `facts` are for their placeholders.

    `to` is its address; with "", it goes to all users of the account who want mails, as they are when it is
    sent. `language` is "" for the user's own. `sent` has digests of the addresses that have it.
    """

    kind: str
    facts: dict[str, str] = {}
    to: str = ""
    language: str = ""
    sent: tuple[str, ...] = ()


class Notice(msgspec.Struct, frozen=True):
    """An event of an account, with the id of its job. It has nothing of a person, so it is not sealed."""

    event: str
    id: str


class Rank(IntEnum):
    """The order in which mails are sent: receipts and alerts, sign-ins of users and of strangers, the
    rest."""

    FIRST, OF_USER, OF_STRANGER, REST = range(4)


def rank_of(kind: str) -> str:
    """Return SQL for the rank of a kind of mails."""
    return f"{Rank.FIRST if kind in ('receipt', 'alert', 'alert_ended') else Rank.REST:d}"


class MailRow(Redacted, QueuedTask, frozen=True, kw_only=True):
    """A mail that waits. See the migration for its columns."""

    id: str
    account: str
    subject: str = ""
    notice: str = ""
    wrapped: str = ""
    sealed: str = ""
    created: int
    until: int
    rank: int = Rank.REST

    @property
    def seal(self) -> SealedRecord:
        return SealedRecord(self.wrapped, self.sealed)


# Each row is open: a mail that is sent or too old is deleted.
TASKS = TaskTable("mails", MailRow, "until > 0", place="rank", earliest="due")
_COLUMNS = ("id", "account", "subject", "notice", "wrapped", "sealed", "created", "until")
# The condition has parameters of its own, none of which begins with mail_.
_ADD = f"""
INSERT INTO mails ({", ".join(_COLUMNS)}, rank)
SELECT CAST(:mail_id AS TEXT), CAST(:mail_account AS TEXT), CAST(:mail_subject AS TEXT),
    CAST(:mail_notice AS TEXT), CAST(:mail_wrapped AS TEXT), CAST(:mail_sealed AS TEXT),
    CAST(:mail_created AS BIGINT), CAST(:mail_until AS BIGINT),
    {{rank}}
WHERE {{only_if}}
ON CONFLICT DO NOTHING
"""
SENT = Statement("DELETE FROM mails WHERE id = :wish AND fence = :fence AND lease = 0")
"""The deletion of a row at the end of its attempt."""
_DELETE_EXPIRED = "DELETE FROM mails WHERE until <= :now AND lease <= :now"


def add_statements(row: MailRow, only_if: Condition, rank: str) -> tuple[Statement, ...]:
    """Return the statements that add a mail, if `only_if` is true in their commit. `rank` is SQL."""
    params: Params = {f"mail_{name}": getattr(row, name) for name in _COLUMNS}
    sql = _ADD.format(only_if=only_if.sql, rank=rank)
    return (*only_if.locks, Statement(sql, {**only_if.params, **params}))


def delete_expired_statement(now: int) -> Statement:
    return Statement(_DELETE_EXPIRED, {"now": now})
