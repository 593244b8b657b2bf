"""What users hear of their jobs: in the commit of the event, decided when it is sent, with ids alone."""

import json
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from policies.tasks import SECOND_US
from proxy.features.jobs.core import ends
from proxy.features.jobs.core.mailed import describe_mail
from proxy.features.jobs.core.records import Job, Kind, State
from proxy.features.mail.mails import Mails
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.storage.rows import insert, insert_sql
from proxy.storage.store import ALWAYS, Statement, Store
from tests.features.jobs.job_rig import CONFIG, job_with, new_job, text_of
from tests.features.mail.receiver import receiver
from tests.features.mail.rig import SENDER, MailRig, mail_rig
from tests.features.mail.test_mails import sends_by
from tests.features.webhooks.rig import quiet_courier
from tests.proxy.api.inside import inside
from tests.tables import each_row
from tests.waiting import soon

TEN_MINUTES = 600


class Notices:
    """A rig whose account has one user who wants mails."""

    def __init__(self, rig: MailRig, account: str) -> None:
        self.rig, self.account = rig, account
        self.notices: DeliveryTasks = quiet_courier(rig.store)
        self.notices.mail_statements = rig.mails.notice_statements
        rig.mails.describe = partial(describe_mail, rig.store)
        rig.mails.recipients = self._recipients
        self._made = 0

    async def _recipients(self, account: str) -> Sequence[tuple[str, str]]:
        return [("ada@example.net", "en")] if account == self.account else []

    async def job(self, kind: Kind = "speech", seconds: float = 0.0) -> Job:
        """An open job that began so long ago."""
        self._made += 1
        job = Job(
            id=f"job_{self._made}",
            account=self.account,
            key="key_1",
            kind=kind,
            created=await self.rig.store.now() - round(seconds * SECOND_US),
            format="mp3",
            characters=1,
            steps=1,
            digest="",
            wrapped="",
            sealed="",
        )
        await self.rig.store.write(insert(insert_sql("jobs", Job), job))
        return job

    async def end(self, job: Job, state: State) -> None:
        await ends.end_job(self.rig.store, job, state, self.notices)


@pytest.fixture
async def here(store: Store, tmp_path: Path) -> AsyncIterator[Notices]:
    async with mail_rig(store, tmp_path) as rig:
        yield Notices(rig, await rig.account())


async def test_the_end_of_a_job_is_mailed_with_its_id_and_a_link(here: Notices) -> None:
    async with receiver() as served:
        sends_by(here.rig, served.url)
        job = await here.job(seconds=TEN_MINUTES)
        await here.end(job, "done")
        (row,) = await here.rig.rows()
        assert json.loads(row.notice) == {"event": "job.done", "id": job.id}
        await here.end(job, "failed")
        await here.rig.step()
        (got,) = served.got
        assert (got["Subject"], got["To"]) == ("A job is done", "ada@example.net")
        assert served.text() == "The job job_1 is done.\n\nhttps://v.example.org/#job_1\n"
    assert not await here.rig.rows()


@each_row(
    ("kind", "state", "seconds", "subjects"),
    [
        ("speech", "done", TEN_MINUTES - 60, []),
        ("speech", "failed", TEN_MINUTES - 60, []),
        ("batch", "failed", TEN_MINUTES, ["A job has failed"]),
        ("speech", "canceled", TEN_MINUTES, ["A job was canceled"]),
        ("batch", "expired", TEN_MINUTES, ["A job has failed"]),
        ("training", "done", 0, ["Your voice is trained"]),
        ("training", "failed", 0, ["A training has failed"]),
        ("training", "canceled", 0, ["A training was canceled"]),
    ],
)
async def test_trainings_and_long_jobs_are_worth_a_mail(
    here: Notices, kind: Kind, state: State, seconds: float, subjects: list[str]
) -> None:
    async with receiver() as served:
        sends_by(here.rig, served.url)
        await here.end(await here.job(kind, seconds), state)
        await here.rig.step()
        assert [mail["Subject"] for mail in served.got] == subjects
        assert not await here.rig.rows()


async def test_a_wait_for_credits_is_mailed_while_it_lasts(here: Notices) -> None:
    async with receiver() as served:
        sends_by(here.rig, served.url)
        for waits in ("credits", ""):
            job = await here.job()
            now = await here.rig.store.now()
            told = here.notices.statements(here.account, "job.waiting", {"id": job.id}, now)
            await here.rig.store.write(*told)
            sql = "UPDATE jobs SET waits = :waits WHERE id = :id"
            await here.rig.store.write(Statement(sql, {"waits": waits, "id": job.id}))
        await here.rig.step()
        assert [mail["Subject"] for mail in served.got] == ["A job waits for credits"]
        assert not await here.rig.rows()


async def test_other_events_and_the_operators_jobs_are_not_mailed(here: Notices) -> None:
    statements = here.rig.mails.notice_statements
    always = ALWAYS
    assert not statements(here.account, "voice.clone.ready", {"id": "bind_1"}, 0, always)
    assert not statements("", "job.done", {"id": "job_1"}, 0, always)
    assert statements(here.account, "job.done", {"id": "job_1"}, 0, always)


async def test_a_worker_mails_that_a_job_waits(tmp_path: Path) -> None:
    async with receiver() as served:
        mail = f'[mail]\nurl = "{served.url}"\nfrom = "{SENDER}"\n'
        text = CONFIG.format(url="sqlite", one="") + mail
        async with inside(tmp_path, text, plan="short") as server:
            mails = server.worker.open_features.context.find(Mails)
            users = {server.account.id: [("ada@example.net", "pt")]}

            async def recipients(account: str) -> Sequence[tuple[str, str]]:
                return users.get(account, [])

            mails.recipients = recipients
            made = await new_job(server, text_of(2))
            await job_with(server, made["id"], "waiting")
            mails.look_now()
            (got,) = await soon(lambda: served.got)
            assert (got["To"], got["Subject"]) == ("ada@example.net", "Um trabalho espera por créditos")
            assert f"o trabalho {made['id']} espera." in served.text()
