"""Mails on both databases: written in the commit of their cause, tried again, and gone when they are done."""

from collections.abc import Sequence

import msgspec
import pytest
import structlog

from policies.tasks import SECOND_US
from proxy.features.mail.records import TABLE, Letter
from proxy.features.mail.section import MailSection
from proxy.storage import accounts
from proxy.storage.store import Condition, Statement
from proxy.storage.wrapped_keys import list_masters
from tests.features.mail.receiver import HANGS, receiver
from tests.features.mail.rig import SENDER, SIGN_IN, MailRig, mail_rig
from tests.fixtures import opened
from tests.waiting import soon

NOTICE = Letter(kind="job_waits", facts={"id": "job_7", "link": ""})


rig = opened(mail_rig, "store", "tmp_path")


def sends_by(rig: MailRig, url: str) -> None:
    rig.mails.section = MailSection(url=url, sender=SENDER)


async def test_a_mail_is_sealed_until_it_is_sent_and_deleted_then(rig: MailRig) -> None:
    ada = await rig.account()
    await rig.put(account=ada)
    await rig.put()
    for row in await rig.rows():
        assert "ada@" not in f"{row} {msgspec.structs.asdict(row)}"
        assert SIGN_IN.facts["code"] not in f"{row} {msgspec.structs.asdict(row)} {SIGN_IN}"
    (use,) = await list_masters(rig.store)
    assert use.rows == 2
    with structlog.testing.capture_logs() as logs:
        async with receiver() as served:
            sends_by(rig, served.url)
            await rig.step()
            assert served.to == ["ada@example.net"] * 2
            assert SIGN_IN.facts["code"] in served.text()
            assert len({mail["Message-ID"] for mail in served.got}) == 2
    assert not await rig.rows()
    assert rig.ended("sent") == 2
    assert {each["event"] for each in logs} == {"mail.send.started", "mail.send.complete"}
    for secret in ("ada@", SIGN_IN.facts["code"], "#x"):
        assert secret not in str(logs)


async def test_a_rollback_sends_no_mail(rig: MailRig) -> None:
    await rig.put(only_if=Condition("CAST(:is_so AS BIGINT) = 1", {"is_so": 0}))
    await rig.put(only_if=Condition("CAST(:is_so AS BIGINT) = 1", {"is_so": 1}))
    assert len(await rig.rows()) == 1
    rig.mails.section = MailSection()
    assert await rig.mails.statements(SIGN_IN, now=0) == ()
    await rig.step()
    assert len(await rig.rows()) == 1, "without [mail], it waits"


async def test_a_refusal_ends_it_and_other_faults_are_tried_again(rig: MailRig) -> None:
    async with receiver("451 later", "554 never") as served:
        sends_by(rig, served.url)
        await rig.put()
        await rig.step()
        (row,) = await rig.rows()
        assert (row.tries, row.error) == (1, "SMTP 451")
        await rig.step()
        assert served.begun == 1, "its delay has not ended"
        await rig.later(6)
        assert not await rig.rows()
        assert (served.begun, rig.ended("again"), rig.ended("refused")) == (2, 1, 1)


async def test_a_mail_ends_with_its_time(rig: MailRig) -> None:
    sends_by(rig, "smtp://127.0.0.1:9")
    await rig.put(within_s=900)
    for tries in range(1, 9):
        await rig.later(10_000 if tries > 7 else 5 * 2.0 ** (tries - 1))
        rows = await rig.rows()
        assert all(row.due <= row.until for row in rows)
    assert not await rig.rows()
    assert (rig.ended("again"), rig.ended("expired")) == (7, 1)
    await rig.put(within_s=0)
    rig.mails.section = MailSection()
    await rig.mails.tidy()
    assert not await rig.rows()


async def test_all_users_get_it_once_each_in_their_language(rig: MailRig) -> None:
    ada = await rig.account()
    users = [("ada@example.net", "pt"), ("bob@example.net", "es"), ("eve@example.net", "fr")]

    async def recipients(account: str) -> Sequence[tuple[str, str]]:
        return users if account == ada else ()

    rig.mails.recipients = recipients
    async with receiver(on_rcpt={"bob@example.net": "450 later"}) as served:
        sends_by(rig, served.url)
        await rig.put(NOTICE, account=ada)
        await rig.step()
        assert served.to == ["ada@example.net", "eve@example.net"]
        assert [mail["Subject"] for mail in served.got] == [
            "Um trabalho espera por créditos",
            "A job waits for credits",
        ]
        (row,) = await rig.rows()
        assert row.error == "SMTP 450"
    async with receiver() as served:
        sends_by(rig, served.url)
        await rig.later(6)
        assert served.to == ["bob@example.net"]
        assert not await rig.rows()
        await rig.put(NOTICE, account=ada)
        users.clear()
        await rig.step()
        assert (served.begun, await rig.rows()) == (1, []), "a removed user gets none"


async def test_a_mail_is_erased_with_its_user_and_its_account(rig: MailRig) -> None:
    ada = await rig.account()
    async with receiver(HANGS, HANGS) as served:
        sends_by(rig, served.url)
        await rig.put(account=ada)
        await rig.put(subject="usr_1")
        await rig.mails.look()
        await soon(lambda: len(served.got) == 2)
        (of_user,) = TABLE.erased_with
        await rig.store.write(Statement(of_user, {"subject": "usr_1"}))
        (row,) = await rig.rows()
        assert row.account == ada
        await accounts.close(rig.store, ada)
        assert not await rig.rows()
        rig.mails.check_leases_now()
        await rig.mails.finish()
    assert (rig.ended("sent"), rig.ended("again")) == (0, 0)


async def test_a_seal_that_cannot_be_opened_waits(rig: MailRig) -> None:
    await rig.put(within_s=3600)
    await rig.store.write(Statement("UPDATE mails SET sealed = 'AAAA'"))
    await rig.step()
    (row,) = await rig.rows()
    assert "damaged" in row.error
    assert row.due - await rig.store.now() <= 5 * SECOND_US


async def test_an_address_that_is_none_is_refused(rig: MailRig) -> None:
    await rig.put(msgspec.structs.replace(SIGN_IN, to="ada@example.net\r\nBcc: b@example.org"))
    await rig.step()
    assert (await rig.rows(), rig.ended("refused")) == ([], 1)


async def test_a_missing_fact_is_told_to_the_caller(rig: MailRig) -> None:
    with pytest.raises(KeyError):
        await rig.put(msgspec.structs.replace(SIGN_IN, facts={"code": "x"}))
