"""Mails as tasks that any worker takes. Each ends when it is sent, refused or too old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter

from policies.alerts import Trouble
from policies.tasks import SECOND_US, delay_s
from proxy.access.limits import Limits
from proxy.access.windows import Limit
from proxy.api.front import PublicFront
from proxy.config.sections import Config
from proxy.errors import LimitsUnavailable
from proxy.features.mail import records, texts
from proxy.features.mail.records import Letter, MailRow, Notice
from proxy.features.mail.section import SECTION, MailSection, read_url
from proxy.file_store.vault import Vault, VaultFailed
from proxy.queue.tasks import Delayed, Done, Result, TaskKind
from proxy.storage.rows import UnknownRow, encode_json, new_id
from proxy.storage.store import ALWAYS, Condition, Params, Statement, Store

if TYPE_CHECKING:
    # A server without [mail] does not load the library of SMTP.
    from proxy.features.mail.smtp import SendOutcome, SmtpConnections

DAY_S = 86_400.0
_REACHED, _NOTED = Limit("mail-ceiling", "", 1), Limit("mail-ceiling", "", 60)
"""Two limits of one window, which counts when a ceiling of mails was reached. With `_REACHED` it is full for
a minute after the first count. `_NOTED` counts, up to once a second."""
_UNCOUNTED_S = 5.0
"""How long a mail waits if its ceiling cannot be counted."""

Recipients = Callable[[str], Awaitable[Sequence[tuple[str, str]]]]
"""Returns the address and the language of each user of an account who wants mails."""
Describe = Callable[[str, str], Awaitable[tuple[str, Mapping[str, str]] | None]]
"""Takes an event and the id of its job. Returns the kind and the facts of its mail, or None for no mail."""

_log = structlog.get_logger()


async def no_recipients(_account: str) -> Sequence[tuple[str, str]]:
    return ()


async def no_description(_event: str, _id: str) -> None:
    return None


class Mails(TaskKind[MailRow]):
    """The mails of one worker. Other features send mails with it.

    `recipients` are the addresses and languages of the users of an account who want mails. `describe` returns
    the kind and the facts of a mail about an event of a job, or None if it is worth no mail. `ceilings` are
    limits of mails a minute by rank, over all servers. Later features set them. `front` has the name of the
    service.
    """

    name = "mail"
    table = records.TASKS
    may_outlive_worker = False

    def __init__(
        self, store: Store, vault: Vault, limits: Limits, ca_file: str, registry: CollectorRegistry
    ) -> None:
        super().__init__(store)
        self.section = MailSection()
        self.public_url = ""
        self.front = PublicFront()
        self.recipients: Recipients = no_recipients
        self.describe: Describe = no_description
        self.ceilings: Mapping[int, Limit] = {}
        self._vault = vault
        self._limits = limits
        self._ca_file = ca_file
        self._connections: SmtpConnections | None = None
        self._tries = Counter(
            "voxgate_mails",
            "Tries to send a mail: `sent`, `again` later, `refused` for good, or `expired`.",
            ["result"],
            registry=registry,
        )

    @property
    def is_on(self) -> bool:
        return bool(self.section.url)

    def revise(self, config: Config) -> None:
        self.section, self.public_url = SECTION.of(config), config.server.public_url

    async def statements(
        self,
        letter: Letter,
        *,
        account: str = "",
        subject: str = "",
        now: int,
        within_s: float = DAY_S,
        only_if: Condition = ALWAYS,
        rank: str = "",
    ) -> tuple[Statement, ...]:
        """Return the statements that send a mail, for the commit of its cause at `now`. `look_now` then
        sends it at once.

        It is deleted after `within_s`, and with the erasure of `subject`, such as a user. For statements in
        the commit of a task's end, `only_if` is `finished` of its table. Without [mail], there are none.
        `rank` is SQL for a `Rank`, "" for that of the kind.
        """
        if not self.is_on:
            return ()
        # A missing fact is an error of the caller, so it is raised here and not in the task.
        texts.render(letter.kind, letter.language, letter.facts)
        id_ = new_id("mail")
        seal = await self._vault.seal_record(account, id_, letter)
        until = now + round(within_s * SECOND_US)
        row = MailRow(
            id=id_,
            account=account,
            subject=subject,
            wrapped=seal.wrapped,
            sealed=seal.sealed,
            created=now,
            until=until,
        )
        return records.add_statements(row, only_if, rank or records.rank_of(letter.kind))

    def notice_statements(
        self, account: str, event: str, data: Mapping[str, str], now: int, only_if: Condition
    ) -> Sequence[Statement]:
        """Return the statements that mail an event to the users of an account. See `DeliveryTasks`."""
        if not (self.is_on and account and event in records.MAILED):
            return ()
        notice = encode_json(Notice(event, data["id"]))
        until = now + round(DAY_S * SECOND_US)
        row = MailRow(id=new_id("mail"), account=account, notice=notice, created=now, until=until)
        return records.add_statements(row, only_if, records.rank_of(event))

    async def list_open(self, now: int) -> list[MailRow]:
        """List open mails by rank, without those that wait for their ceiling."""
        open_mails = sorted(await super().list_open(now), key=lambda row: row.rank) if self.is_on else []
        waiting = {rank for rank in {row.rank for row in open_mails} if await self._wait_s(rank)}
        return [row for row in open_mails if row.rank not in waiting]

    async def turn(self) -> None:
        await super().turn()
        if self._connections is not None:
            await self._connections.quit_idle()

    async def close(self) -> None:
        await super().close()
        if self._connections is not None:
            await self._connections.quit_idle(0.0)

    async def troubles(self) -> Sequence[Trouble]:
        """Return a trouble if a ceiling was reached within the last minute."""
        most = max((limit.most for limit in self.ceilings.values()), default=0)
        trouble = Trouble("sign_in_mails", "mails_a_minute", f"{most} a minute: strangers wait")
        with suppress(LimitsUnavailable):
            return (trouble,) if await self._limits.find_full(_REACHED) else ()
        return ()

    async def work(self, held: MailRow) -> Result:
        if await self._store.now() >= held.until:
            self._tries.labels("expired").inc()
            _log.warning("mail.send.failed", mail=held.id, result="expired", reason=held.error)
            return Done(also=(records.SENT,))
        try:
            letter = await self._read_letter(held)
        except VaultFailed as error:
            return await self._retry_later(held, str(error))
        if letter is None:
            return Done(also=(records.SENT,))
        if wait_s := await self._wait_s(held.rank, counts=True):
            return Delayed(after_s=wait_s, is_try=False)
        updated, reason = await self._send_to_all(held, letter)
        if not reason:
            return Done(also=(records.SENT,))
        if updated == letter:
            return await self._retry_later(held, reason)
        # A later try leaves out the addresses that have the mail.
        seal = await self._vault.seal_record(held.account, held.id, updated)
        return await self._retry_later(held, reason, {"wrapped": seal.wrapped, "sealed": seal.sealed})

    async def _send_to_all(self, held: MailRow, letter: Letter) -> tuple[Letter, str]:
        """Send to all addresses that do not have the letter. Return it with the digests of those that have it
        now, and the reason of a failure, or ""."""
        from proxy.features.mail.smtp import digest_of

        reason, digests = "", list(letter.sent)
        for to, language in await self._addresses(held, letter):
            if (digest := digest_of(held.id, to)) in digests:
                continue
            outcome = await self._send(held, letter, to, language)
            if outcome.result != "again":
                digests.append(digest)
                continue
            reason = outcome.reason
            if outcome.is_down:
                break
        return msgspec.structs.replace(letter, sent=tuple(digests)), reason

    async def _wait_s(self, rank: int, *, counts: bool = False) -> float:
        """Return how long mails of a rank wait for their ceiling, or 0. `counts`: if it is 0, count one
        mail."""
        if (ceiling := self.ceilings.get(rank)) is None:
            return 0.0
        try:
            full = await (self._limits.count_request(ceiling) if counts else self._limits.find_full(ceiling))
            if full is not None:
                await self._limits.count_request(_NOTED)
        except LimitsUnavailable:
            return _UNCOUNTED_S
        return 0.0 if full is None else full.wait_s

    async def _read_letter(self, held: MailRow) -> Letter | None:
        """Return the letter of a row. None: there is no need for it any more. Raises VaultFailed,
        UnknownRow."""
        if held.wrapped:
            letter = self._vault.open_record(held.account, held.id, held.seal, Letter)
            if not texts.has_kind(letter.kind):
                raise UnknownRow
            return letter
        notice = msgspec.json.decode(held.notice, type=Notice)
        if notice.event not in records.MAILED:
            raise UnknownRow
        described = await self.describe(notice.event, notice.id)
        if described is None:
            return None
        kind, facts = described
        return Letter(kind=kind, facts={"link": self.link(f"#{notice.id}"), "id": notice.id, **facts})

    def link(self, path: str) -> str:
        """Return an address below `public_url`, or "" without one."""
        return f"{self.public_url.rstrip('/')}/{path}" if self.public_url else ""

    async def _addresses(self, held: MailRow, letter: Letter) -> Sequence[tuple[str, str]]:
        if letter.to:
            return [(letter.to, letter.language)]
        recipients = await self.recipients(held.account)
        return [(to, letter.language or language) for to, language in recipients]

    async def _send(self, held: MailRow, letter: Letter, to: str, language: str) -> SendOutcome:
        """Send once to one address. Neither the letter nor the address is logged."""
        from proxy.features.mail.smtp import SendOutcome, SmtpConnections, new_message

        _log.info("mail.send.started", mail=held.id, kind=letter.kind, tries=held.tries)
        try:
            rendered = texts.render(letter.kind, language, letter.facts, self.front.name)
            mail = new_message(held.id, held.created, self.section.sender, to, *rendered)
        except (KeyError, ValueError) as error:
            outcome = SendOutcome("refused", type(error).__name__)
        else:
            self._connections = self._connections or SmtpConnections(self._ca_file)
            outcome = await self._connections.send(read_url(self.section.url), mail)
        self._tries.labels(outcome.result).inc()
        if outcome.reason:
            _log.warning("mail.send.failed", mail=held.id, result=outcome.result, reason=outcome.reason)
        else:
            _log.info("mail.send.complete", mail=held.id)
        return outcome

    async def _retry_later(self, held: MailRow, reason: str, values: Params | None = None) -> Delayed:
        """Return a retry after the queue's delay, or at the end of the row's time, if that is sooner."""
        wait_us = round(delay_s(held.tries + 1) * SECOND_US)
        due = min(await self._store.now() + wait_us, held.until)
        return Delayed(reason, values={"due": due, **(values or {})})

    async def tidy(self) -> None:
        """Delete mails that are too old: without [mail], no worker takes them."""
        await self._store.write(records.delete_expired_statement(await self._store.now()))
