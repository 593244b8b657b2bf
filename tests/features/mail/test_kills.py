"""Kill -9 while mails are on their way: each is sent again, by the same Message-ID, after a new start."""

import asyncio
from collections import Counter
from pathlib import Path

from proxy.feature_list import open_store
from tests import forked
from tests.features.mail.receiver import HANGS, receiver
from tests.features.mail.rig import mail_rig
from tests.waiting import soon


async def test_a_killed_worker_loses_no_mail(tmp_path: Path) -> None:
    async with receiver("", HANGS, HANGS) as served:
        async with open_store("sqlite", tmp_path) as store, mail_rig(store, tmp_path) as rig:
            for _ in range(3):
                await rig.put()
            worker = await asyncio.to_thread(
                forked.program, "tests.features.mail.mail_program", str(tmp_path), served.url
            )
            try:
                await soon(lambda: len(served.got) == 3)
                # It has written the end of the one that was taken.
                await soon(rig.rows, lambda rows: len(rows) == 2)
            finally:
                worker.end()
        async with open_store("sqlite", tmp_path) as store, mail_rig(store, tmp_path, served.url) as rig:
            assert len(await rig.rows()) == 2
            await rig.step()
            assert len(served.got) == 3, "the killed worker has their leases"
            rig.mails._server_started = await store.now()
            await rig.mails.turn()
            await rig.mails.finish()
            assert not await rig.rows()
        sent = Counter(mail["Message-ID"] for mail in served.got)
        assert sorted(sent.values()) == [1, 2, 2]
