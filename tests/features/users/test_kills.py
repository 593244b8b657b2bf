"""A stop at each commit of a confirmation: one link makes one session at most, and no account lacks its key.

`main(URL, DATA, POINT, SIGN_IN, TOKEN, CODE)` confirms in a process that kills itself at a point.
"""

import asyncio
import os
import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.access.limits import Limits, MemoryWindows
from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.features.mail.mails import Mails
from proxy.features.mail.section import MailSection
from proxy.features.users.records import SignInFailed
from proxy.features.users.section import UsersSection
from proxy.features.users.sign_ins import SignIns
from proxy.file_store.vault import Vault
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics
from tests import forked
from tests.databases import ALL_STORES, lay_tables
from tests.features.mail.rig import SENDER
from tests.features.payments.stops import NEVER, Points, StoppingStore
from tests.features.users.rig import Secrets, letters, secrets_of
from tests.tables import soak

_COUNTS = """
SELECT (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM users) AS users,
    (SELECT count(*) FROM keys JOIN users ON keys.id = users.key AND keys.account = users.account
        JOIN accounts ON accounts.id = keys.account) AS owners,
    (SELECT count(*) FROM sessions JOIN users ON users.id = user_id WHERE address = :address) AS sessions
"""


class Life(NamedTuple):
    """A worker on a store that may stop."""

    sign_ins: SignIns
    vault: Vault

    @classmethod
    def on(cls, store: Store, folder: Path, points: Points) -> "Life":
        stopping = StoppingStore(store, points)
        vault = Vault(stopping, VaultSection(), folder)
        mails = Mails(stopping, vault, Limits(MemoryWindows()), "", Metrics().registry)
        mails.section = MailSection(url="smtp://127.0.0.1:9", sender=SENDER)
        mails.public_url = "https://v.example.org"
        sign_ins = SignIns(stopping, vault, mails)
        sign_ins.section, sign_ins.plan = UsersSection(sign_up="open"), "unlimited"
        return cls(sign_ins, vault)

    async def confirm(self, sent: Secrets) -> bool:
        try:
            await self.sign_ins.confirm_sign_in(sent.id, sent.token, sent.code, f"home of {sent.id}")
        except SignInFailed:
            return False
        return True


class Trial(NamedTuple):
    """One database, on which a link or a code is confirmed by workers that stop."""

    store: Store
    url: str
    folder: Path
    is_real: bool

    async def confirm(self, sent: Secrets, point: int) -> int:
        """Confirm, and return how many points were passed; -1 is a stop."""
        if self.is_real:
            return -1 if await self._run(sent, point) else NEVER
        stopped = asyncio.Event()
        points = Points(point, stopped.set)
        work = asyncio.create_task(Life.on(self.store, self.folder, points).confirm(sent))
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED)
        work.cancel()
        waiting.cancel()
        await asyncio.gather(work, waiting, return_exceptions=True)
        if points.is_dead:
            return -1
        work.result()
        return points.passed

    async def _run(self, sent: Secrets, point: int) -> bool:
        ended = await forked.run(__name__, self.url, str(self.folder), str(point), *sent)
        assert ended.returncode in (0, -signal.SIGKILL), ended.stdout
        return ended.returncode != 0

    async def sessions(self, address: str) -> int:
        """Return the sessions of an address. Each account has its user and its key."""
        (row,) = await self.store.read(_COUNTS, {"address": address})
        assert row["accounts"] == row["users"] == row["owners"]
        return int(row["sessions"])


@pytest.mark.parametrize("store_url", ALL_STORES, indirect=True)
@pytest.mark.parametrize("is_real", [False, *soak(True)])
async def test_a_stop_around_a_confirmation_makes_one_session_at_most(
    store_url: str, tmp_path: Path, is_real: bool
) -> None:
    lay_tables(tmp_path)
    async with open_store(store_url, tmp_path) as store:
        trial = Trial(store, store_url, tmp_path, is_real)
        for field, stops in (("token", 2), ("code", 4)):
            for point in range(1, stops + 2):
                address = f"{field}{point}@example.org"
                life = Life.on(store, tmp_path, Points(NEVER, lambda: None))
                row = await life.sign_ins.request_sign_in(address, "en", f"home of {address}")
                whole = secrets_of((await letters(store, life.vault))[row.id])
                sent = whole._replace(**{name: "" for name in ("token", "code") if name != field})
                assert (await trial.confirm(sent, point) == -1) == (point <= stops)
                was = await trial.sessions(address)
                assert was == (point >= stops), "the last commit makes it, whole"
                # The same link in two browsers at once, and once more.
                await asyncio.gather(*(trial.confirm(sent, NEVER) for _ in range(2)))
                assert await trial.sessions(address) == 1
                await trial.confirm(sent, NEVER)
                assert await trial.sessions(address) == 1


async def main(url: str, folder: str, point: str, *sent: str) -> None:
    points = Points(int(point), lambda: os.kill(os.getpid(), signal.SIGKILL))
    async with open_store(url, Path(folder)) as store:
        await Life.on(store, Path(folder), points).confirm(Secrets(*sent))
