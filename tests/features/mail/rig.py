"""Mails on a store, whose time is shifted by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from policies.tasks import SECOND_US
from proxy.access.limits import Limits, MemoryWindows
from proxy.config.sections import VaultSection
from proxy.features.mail.mails import DAY_S, Mails
from proxy.features.mail.records import TASKS, Letter, MailRow
from proxy.features.mail.section import MailSection
from proxy.file_store.vault import Vault, open_vault
from proxy.storage import accounts
from proxy.storage.store import ALWAYS, Condition, Statement, Store
from proxy.telemetry.metrics import Metrics
from tests.features.mail.receiver import CERTIFICATE

SENDER = "Voices <voices@example.org>"
SIGN_IN = Letter(
    kind="sign_in", facts={"code": "K7QX2M9P", "link": "https://v.example.org/#x"}, to="ada@example.net"
)
_SHIFT = (
    "UPDATE mails SET due = due - :us, until = until - :us, lease = lease - :us WHERE due > 0 OR lease > 0"
)


class MailRig(NamedTuple):
    store: Store
    vault: Vault
    mails: Mails
    metrics: Metrics

    async def account(self, name: str = "ada") -> str:
        return (await accounts.create(self.store, name=name, plan="unlimited")).id

    async def put(
        self,
        letter: Letter = SIGN_IN,
        account: str = "",
        subject: str = "",
        within_s: float = DAY_S,
        only_if: Condition = ALWAYS,
    ) -> None:
        now = await self.store.now()
        await self.store.write(
            *await self.mails.statements(
                letter, account=account, subject=subject, now=now, within_s=within_s, only_if=only_if
            )
        )

    async def step(self) -> None:
        await self.mails.look()
        await self.mails.finish()

    async def later(self, seconds: float) -> None:
        """So much later, look again."""
        await self.store.write(Statement(_SHIFT, {"us": round(seconds * SECOND_US)}))
        await self.step()

    async def rows(self) -> list[MailRow]:
        return [TASKS.read(row) for row in await self.store.read("SELECT * FROM mails ORDER BY created, id")]

    def ended(self, result: str) -> float:
        return self.metrics.registry.get_sample_value("voxgate_mails_total", {"result": result}) or 0.0


@asynccontextmanager
async def mail_rig(store: Store, folder: Path, url: str = "smtp://127.0.0.1:9") -> AsyncIterator[MailRig]:
    metrics = Metrics()
    async with open_vault(store, folder, VaultSection(), metrics) as vault:
        mails = Mails(store, vault, Limits(MemoryWindows()), str(CERTIFICATE), metrics.registry)
        mails.section, mails.public_url = MailSection(url=url, sender=SENDER), "https://v.example.org"
        try:
            yield MailRig(store, vault, mails, metrics)
        finally:
            await mails.close()
