"""The mails of one worker: tasks that any worker takes. Each ends when it is sent, refused or too old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from policies.tasks import SECOND
from proxy.features.mail import records
from proxy.features.mail.records import Letter, MailRow
from proxy.features.mail.section import MailSection
from proxy.file_store.vault import Vault
from proxy.queue.tasks import Done, Result, TaskKind
from proxy.storage.rows import new_id
from proxy.storage.store import ALWAYS, Condition, Statement, Store

DAY_S = 86_400.0
Recipients = Callable[[str], Awaitable[Sequence[tuple[str, str]]]]
"""The users of an account who want mails: addresses and languages."""


async def no_recipients(_account: str) -> Sequence[tuple[str, str]]:
    return ()


class Mails(TaskKind[MailRow]):
    """The mails of one worker. Other features send mails with it. `users` sets `recipients`."""

    name = "mail"
    table = records.TASKS
    outlives = False

    def __init__(self, store: Store, vault: Vault) -> None:
        super().__init__(store)
        self.section = MailSection()
        self.recipients: Recipients = no_recipients
        self._vault = vault

    @property
    def is_on(self) -> bool:
        return bool(self.section.url)

    async def statements(
        self,
        letter: Letter,
        *,
        account: str = "",
        subject: str = "",
        now: int,
        within_s: float = DAY_S,
        only_if: Condition = ALWAYS,
    ) -> tuple[Statement, ...]:
        """Return the statements that send a mail, for the commit of its cause at `now`. `look_soon` then
        sends it at once.

        It is deleted after `within_s`, and with the erasure of `subject`, such as a user. For statements in
        the commit of a task's end, `only_if` is `finished` of its table. Without [mail], there are none.
        """
        if not self.is_on:
            return ()
        id_ = new_id("mail")
        seal = await self._vault.seal_record(account, id_, letter)
        row = MailRow(
            id=id_,
            account=account,
            subject=subject,
            notice="",
            wrapped=seal.wrapped,
            sealed=seal.sealed,
            created=now,
            until=now + round(within_s * SECOND),
        )
        return records.add_statements(row, only_if)

    async def list_open(self, now: int) -> list[MailRow]:
        return await super().list_open(now) if self.is_on else []

    async def work(self, held: MailRow) -> Result:
        del held
        return Done(also=(records.SENT,))
