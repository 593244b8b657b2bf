"""The order of mails, the ceiling of those to sign in, and the connections that carry many."""

from pathlib import Path

import msgspec
import pytest

from proxy.feature_list import open_store
from proxy.features.alerts.watch import HasTroubles
from proxy.features.mail import smtp
from proxy.features.mail.mails import Mails
from proxy.features.mail.records import Letter, Rank
from proxy.features.mail.section import MailSection
from proxy.features.users.records import mail_ceilings
from tests.databases import lay_tables
from tests.features.mail.receiver import CUTS, HANGS, Receiver, receiver
from tests.features.mail.rig import SENDER, SIGN_IN, MailRig, mail_rig
from tests.fixtures import opened
from tests.tables import each_row

RECEIPT = Letter(
    kind="receipt",
    facts=dict.fromkeys(("title", "amount", "currency", "order", "payment", "link"), "x"),
    to="buyer@example.net",
)
NOTICE = Letter(kind="job_waits", facts={"id": "job_7", "link": ""}, to="owner@example.net")


rig = opened(mail_rig, "store", "tmp_path")


def to(address: str) -> Letter:
    return msgspec.structs.replace(SIGN_IN, to=address)


async def put(rig: MailRig, address: str, rank: Rank) -> None:
    now = await rig.store.now()
    await rig.store.write(*await rig.mails.statements(to(address), now=now, rank=str(rank.value)))


async def sent_by(rig: MailRig, served: Receiver, rounds: int = 1) -> None:
    rig.mails.section = MailSection(url=served.url, sender=SENDER)
    for _ in range(rounds):
        await rig.step()


async def test_mails_go_by_their_rank(rig: MailRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mails, "most_at_once", 1)
    await rig.put(NOTICE)
    await put(rig, "stranger@example.net", Rank.OF_STRANGER)
    await put(rig, "user@example.net", Rank.OF_USER)
    await rig.put(RECEIPT)
    async with receiver() as served:
        await sent_by(rig, served, 4)
        names = [address.partition("@")[0] for address in served.to]
        assert names == ["buyer", "user", "stranger", "owner"]


async def test_strangers_leave_users_a_part_of_the_ceiling(rig: MailRig) -> None:
    rig.mails.ceilings = mail_ceilings(8)
    for number in range(20):
        await put(rig, f"stranger{number}@example.net", Rank.OF_STRANGER)
    async with receiver() as served:
        await sent_by(rig, served, 5)
        assert len(served.to) == 6, "three quarters of eight"
        assert {row.tries for row in await rig.rows()} == {0}
        (trouble,) = await rig.mails.troubles()
        assert (trouble.kind, trouble.detail) == ("sign_in_mails", "8 a minute: strangers wait")
        for number in range(3):
            await put(rig, f"user{number}@example.net", Rank.OF_USER)
        await rig.put(RECEIPT)
        await sent_by(rig, served, 3)
        names = sorted(address[:4] for address in served.to[6:])
        assert names == ["buye", "user", "user"], "two are left of eight, and receipts are not counted"
    leases = [row.fence for row in await rig.rows() if row.rank == Rank.OF_STRANGER]
    assert sum(leases) <= 4, "who waits for the ceiling costs no commits"


async def test_below_its_ceiling_there_is_no_trouble(rig: MailRig) -> None:
    rig.mails.ceilings = mail_ceilings(8)
    await put(rig, "stranger@example.net", Rank.OF_STRANGER)
    async with receiver() as served:
        await sent_by(rig, served)
        assert len(served.to) == 1
    assert await rig.mails.troubles() == ()
    assert isinstance(rig.mails, HasTroubles), "alerts ask it"


async def test_a_few_connections_carry_many_mails(rig: MailRig) -> None:
    for number in range(60):
        await rig.put(to(f"a{number}@example.net"))
    async with receiver() as served:
        await sent_by(rig, served, 15)
        assert len(set(served.to)) == 60
        assert served.connections <= 4
        assert rig.mails._connections is not None
        await rig.mails._connections.quit_idle(0.0)
        assert served.goodbyes == served.connections


async def test_a_connection_ends_after_so_many_mails(rig: MailRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mails, "most_at_once", 1)
    monkeypatch.setattr(smtp, "_MOST_MAILS", 2)
    for _ in range(5):
        await rig.put()
    async with receiver() as served:
        await sent_by(rig, served, 5)
        assert (len(served.to), served.connections) == (5, 3)


@each_row("fault", [CUTS, "451 later", "554 never", "421 closing"])
async def test_a_fault_ends_a_connection_and_loses_no_mail(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check_fault(fault, tmp_path, monkeypatch)


@pytest.mark.clock
async def test_a_connection_that_hangs_loses_no_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "_COMMAND_S", 0.2)
    await check_fault(HANGS, tmp_path, monkeypatch)


async def check_fault(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of four mails meets it. One that had come is sent again, by its Message-ID, as ever."""
    monkeypatch.setattr(Mails, "most_at_once", 1)
    lay_tables(tmp_path)
    async with open_store("sqlite", tmp_path) as store, mail_rig(store, tmp_path) as rig:
        for number in range(4):
            await rig.put(to(f"a{number}@example.net"))
        async with receiver("", fault) as served:
            await sent_by(rig, served, 4)
            await rig.later(6)
            assert served.connections == 2, "the next mail has a new one"
            ids = [mail["Message-ID"] for mail in served.got]
            wanted = 3 if fault.startswith("554") else 4
            assert len(set(ids)) == wanted
            assert len(ids) == wanted + (fault in (CUTS, HANGS))
        assert not await rig.rows()


async def test_an_idle_connection_that_was_closed_is_not_used(rig: MailRig) -> None:
    async with receiver() as served:
        await rig.put()
        await sent_by(rig, served)
        served.close_all()
        await rig.put()
        await sent_by(rig, served)
        assert (len(served.to), served.connections, rig.ended("again")) == (2, 2, 0)
