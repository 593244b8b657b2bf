"""Sign-ins on both databases: what is mailed, what one confirmation commits, and how often one may ask."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidRequest, RateLimited
from proxy.features.mail.folding import folded_address
from proxy.features.users import records
from proxy.features.users.records import SignInFailed
from proxy.features.users.section import UsersSection
from proxy.features.users.sign_ins import COUNT_STRANGER_MAILS, INVITE_S, SignIns
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.store import Row, Statement, Store
from tests.features.mail.rig import MailRig, mail_rig
from tests.features.users.rig import Secrets, later, letters, secrets_of
from tests.tables import each_row

ADA, HOME, CAFE = "ada@example.org", "192.0.2.1", "198.51.100.7"


class Rig(NamedTuple):
    sign_ins: SignIns
    other: SignIns
    mail: MailRig

    @property
    def store(self) -> Store:
        return self.mail.store

    async def ask(self, address: str = ADA, network: str = HOME) -> Secrets:
        row = await self.sign_ins.request_sign_in(address, "en", network)
        return secrets_of((await letters(self.store, self.mail.vault))[row.id])

    async def number_of(self, table: str) -> int:
        (row,) = await self.store.read(f"SELECT count(*) AS number FROM {table}")
        return int(row["number"])

    async def asked(self, address: str = ADA, network: str = HOME) -> bool:
        try:
            await self.sign_ins.request_sign_in(address, "en", network)
        except RateLimited:
            return False
        return True


@pytest.fixture
async def rig(store: Store, tmp_path: Path) -> AsyncIterator[Rig]:
    """Two workers on one database."""
    async with mail_rig(store, tmp_path) as mail:
        one, other = (SignIns(store, mail.vault, mail.mails) for _ in range(2))
        for each in (one, other):
            each.section, each.plan = UsersSection(sign_up="open"), "unlimited"
        yield Rig(one, other, mail)


async def test_one_use_makes_one_account_whoever_comes_first(rig: Rig) -> None:
    sent = await rig.ask()
    workers = [rig.sign_ins, rig.other] * 4
    done = await asyncio.gather(
        *(each.confirm_sign_in(sent.id, sent.token, "", HOME) for each in workers), return_exceptions=True
    )
    assert sum(isinstance(each, SignInFailed) for each in done) == 7
    assert [await rig.number_of(table) for table in ("accounts", "users", "keys", "sessions")] == [1] * 4
    with pytest.raises(SignInFailed):
        await rig.sign_ins.confirm_sign_in(sent.id, "", sent.code, HOME)


async def test_two_sign_ins_of_a_new_address_at_once_make_one_user(rig: Rig) -> None:
    first, second = await rig.ask("Ada@Example.org"), await rig.ask("ada@EXAMPLE.org", CAFE)
    done = await asyncio.gather(
        rig.sign_ins.confirm_sign_in(first.id, first.token, "", HOME),
        rig.other.confirm_sign_in(second.id, "", f"{second.code[:4].lower()} {second.code[4:]}", CAFE),
    )
    assert done[0].user == done[1].user
    assert done[0].session != done[1].session
    assert [await rig.number_of(table) for table in ("accounts", "users", "sessions")] == [1, 1, 2]
    acts = await rig.store.read("SELECT action, actor, details FROM audit")
    assert sorted(each["action"] for each in acts) == [
        "account.created",
        "session.created",
        "session.created",
        "user.created",
    ]
    (user,) = await records.ROWS.of_account(rig.store, done[0].account)
    assert {each["actor"] for each in acts} == {user.key}
    assert "example.org" not in f"{acts} {user} {done[0].user}".lower()


async def test_five_tries_of_a_code_and_no_more_of_a_thousand(rig: Rig) -> None:
    sent = await rig.ask()
    for number in range(1000):
        with pytest.raises(SignInFailed):
            await (rig.other if number % 2 else rig.sign_ins).confirm_sign_in(
                sent.id, "", f"WRONG{number:03}", HOME
            )
    with pytest.raises(SignInFailed):
        await rig.sign_ins.confirm_sign_in(sent.id, "", sent.code, HOME)
    (row,) = await rig.store.read("SELECT tries FROM sign_ins")
    assert row["tries"] == 5
    assert (await rig.sign_ins.confirm_sign_in(sent.id, sent.token, "", HOME)).address == ADA, (
        "guesses lock no link"
    )


async def test_concurrent_tries_are_counted_before_they_are_compared(rig: Rig) -> None:
    sent = await rig.ask()
    await asyncio.gather(
        *(rig.other.confirm_sign_in(sent.id, "", "WRONG", HOME) for _ in range(12)), return_exceptions=True
    )
    (row,) = await rig.store.read("SELECT tries FROM sign_ins")
    assert row["tries"] == 5


async def test_a_link_lives_for_fifteen_minutes(rig: Rig) -> None:
    sent = await rig.ask()
    await later(rig.store, 899)
    assert await rig.sign_ins.confirm_sign_in(sent.id, sent.token, "", HOME)
    sent = await rig.ask()
    await later(rig.store, 900)
    with pytest.raises(SignInFailed):
        await rig.sign_ins.confirm_sign_in(sent.id, sent.token, "", HOME)
    await later(rig.store, 86_400)
    await rig.sign_ins.tidy()
    assert await rig.number_of("sign_ins") == 0


_MANY = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1100)
"""


async def test_old_sign_ins_of_strangers_are_deleted_by_five_hundred(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sql in (
        "INSERT INTO sign_in_counts (name, created, sign_in) {many} SELECT 'near', n, 'sin_1' FROM numbers",
        "INSERT INTO sign_ins (id, address, language, network, token, code, created, until, is_invite,"
        " account, is_operator) {many} SELECT 'sin_' || n, '', '', '', '', '', n, n, 0, '', 0 FROM numbers",
    ):
        await rig.store.write(Statement(sql.format(many=_MANY)))
    write, sizes = rig.store.write, list[int]()

    async def noted(*statements: Statement) -> list[list[Row]]:
        answers = await write(*statements)
        sizes.append(sum(map(len, answers)))
        return answers

    monkeypatch.setattr(rig.store, "write", noted)
    await rig.sign_ins.tidy()
    assert sizes == [500, 500, 100] * 2
    assert [await rig.number_of(table) for table in ("sign_ins", "sign_in_counts")] == [0, 0]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_strangers_are_counted_by_an_index(rig: Rig) -> None:
    """A queue of a day, as after an outage of the mail server, is not read for each sign-in."""
    plan = await rig.store.read(f"EXPLAIN QUERY PLAN SELECT {COUNT_STRANGER_MAILS} AS number")
    assert "mails_of_strangers" in str(plan)


async def test_limits_count_at_once_and_leave_the_owner_a_sign_in(rig: Rig) -> None:
    stranger = await asyncio.gather(*(rig.asked(ADA, CAFE) for _ in range(12)))
    assert sum(stranger) == 3
    assert await rig.asked(ADA, HOME), "the owner still gets one"
    whole = [await rig.asked(ADA, f"2001:db8:1:{number:x}::1") for number in range(12)]
    assert sum(whole) == 3, "an ordinary IPv6 network is one stranger"
    others = await asyncio.gather(*(rig.asked(ADA, f"203.0.{number}.1") for number in range(12)))
    assert sum(others) == 3, "ten for an address"
    network = await asyncio.gather(*(rig.asked(f"{number}@example.org", CAFE) for number in range(12)))
    assert sum(network) == 7, "ten from a network"
    await later(rig.store, 901)
    assert await rig.asked(ADA, CAFE)


@pytest.mark.parametrize("network", ["2001:db8:1:{:x}::1", "203.0.113.{}"], ids=["/48", "/24"])
async def test_a_wider_network_asks_three_times_as_often(rig: Rig, network: str) -> None:
    """From one /48, 1,500 of 1,500 sign-ins were taken."""
    asked = [await rig.asked(f"{number}@example.org", network.format(number)) for number in range(50)]
    assert asked == [True] * 30 + [False] * 20
    assert await rig.asked("ada@example.org", "192.0.2.7")


@pytest.mark.parametrize("network", ["2001:db8:1:{:x}::1", "203.0.113.{}"], ids=["/48", "/24"])
async def test_a_wider_network_makes_three_times_as_many_accounts(
    rig: Rig, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.users.sign_ins._MOST_NEW_ACCOUNTS", 1)
    for number in range(4):
        sent = await rig.ask(f"{number}@example.org", f"198.51.{number}.1")
        confirmed = rig.sign_ins.confirm_sign_in(sent.id, sent.token, "", network.format(number))
        if number < 3:
            await confirmed
        else:
            with pytest.raises(RateLimited):
                await confirmed
    assert await rig.number_of("accounts") == 3


async def test_spellings_of_one_mailbox_count_together_and_each_gets_its_mail(rig: Rig) -> None:
    spellings = ["ada@{}", "a.d.a@{}", "ada+news@{}", "a.da+x+y@{}"]
    asked = [
        (each.format(domain), await rig.asked(each.format(domain), f"198.51.{number}.1"))
        for number, each in enumerate(spellings * 2)
        for domain in ("gmail.com", "googlemail.com")
    ]
    assert [was_taken for _, was_taken in asked] == [True] * 10 + [False] * 6
    sent = await letters(rig.store, rig.mail.vault)
    assert {each.to for each in sent.values()} == {address for address, was_taken in asked if was_taken}
    plain = [await rig.asked(f"ada+{number}@example.org", f"198.51.{number}.1") for number in range(12)]
    assert plain == [True] * 10 + [False] * 2
    assert await rig.asked("a.da@example.org", "192.0.2.1"), "dots differ elsewhere"


async def test_strangers_who_cannot_be_mailed_in_time_are_answered_alike(rig: Rig) -> None:
    """The answer is the same, and a mail to a user is written all the same."""
    sent = await rig.ask()
    await rig.sign_ins.confirm_sign_in(sent.id, sent.token, "", HOME)
    rig.sign_ins.section = UsersSection(sign_up="open", mails_a_minute=4)
    for number in range(20):
        assert await rig.asked(f"{number}@example.org", f"2001:db8:{number:x}::1")
    known, unknown = [
        await rig.sign_ins.request_sign_in(each, "en", CAFE) for each in (ADA, "new@example.org")
    ]
    waiting = await letters(rig.store, rig.mail.vault)
    assert known.id in waiting
    assert unknown.id not in waiting
    rows = await rig.store.read("SELECT rank, count(*) AS number FROM mails GROUP BY rank ORDER BY rank")
    assert [(row["rank"], row["number"]) for row in rows] == [(1, 1), (2, 12)], "those of three minutes"
    assert await rig.number_of("sign_ins") == 23


async def test_ten_new_accounts_of_a_network_and_day(rig: Rig) -> None:
    for number in range(11):
        sent = await rig.ask(f"{number}@example.org", f"203.0.113.{number}")
        if number < 10:
            await rig.sign_ins.confirm_sign_in(sent.id, sent.token, "", HOME)
    with pytest.raises(RateLimited):
        await rig.sign_ins.confirm_sign_in(sent.id, sent.token, "", HOME)
    assert await rig.number_of("users") == 10
    known = await rig.ask("1@example.org", CAFE)
    assert await rig.sign_ins.confirm_sign_in(known.id, known.token, "", HOME), "users are no new accounts"
    assert await rig.sign_ins.confirm_sign_in(sent.id, sent.token, "", CAFE), "another network"


async def test_without_an_invitation_only_users_get_mails(rig: Rig) -> None:
    sent = await rig.ask()
    await rig.sign_ins.confirm_sign_in(sent.id, sent.token, "", HOME)
    late = await rig.ask("late@example.org", CAFE)
    rig.sign_ins.section = UsersSection(sign_up="invite")
    with pytest.raises(SignInFailed):
        await rig.sign_ins.confirm_sign_in(late.id, late.token, "", CAFE)
    pending = await rig.sign_ins.request_sign_in("n@example.org", "en", HOME)
    assert pending.id not in await letters(rig.store, rig.mail.vault)
    known = await rig.ask()
    assert await rig.sign_ins.confirm_sign_in(known.id, known.token, "", HOME)


async def test_an_invitation_lives_longer_and_gives_its_role(rig: Rig) -> None:
    rig.sign_ins.section = UsersSection(sign_up="invite")
    account = await rig.mail.account("team")
    act = Act(
        id=new_id("aud"),
        at=await rig.store.now(),
        actor="control",
        action="user.invited",
        subject=new_id("sin"),
        account=account,
    )
    link, until = await rig.sign_ins.invite("Eve@Bücher.example", account, True, act)
    assert until - act.at == INVITE_S * 1_000_000
    id_, _, token = link.partition("#sign_in=")[2].partition(".")
    await later(rig.store, 71 * 3600)
    done = await rig.sign_ins.confirm_sign_in(id_, token, "", HOME)
    assert (done.account, done.address) == (account, "eve@xn--bcher-kva.example"), (
        "no letter of another script"
    )
    (row,) = await rig.store.read("SELECT role, kind FROM keys")
    assert (row["role"], row["kind"]) == ("admin", "user")
    assert await rig.number_of("accounts") == 1


@each_row(
    "address",
    [
        "a" * 100_000,
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org\0",
        "ada@" + "d" * 250 + ".org",
        "ada",
        "ada@straße.example",
        "adá@example.org",
        "ada@example.org, eve@example.org",
        "",
    ],
)
def test_no_address(address: str) -> None:
    assert folded_address(address) is None


@each_row(
    ("address", "folded"),
    [
        ("ADA@Example.ORG", "ada@example.org"),
        ("ａｄａ@example.org", "ada@example.org"),
        ("\u212aim@example.org", "kim@example.org"),
        ("ada@Bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"),
    ],
)
def test_one_form_of_an_address(address: str, folded: str) -> None:
    assert folded_address(address) == folded


@given(st.text(max_size=30).map(lambda text: f"{text[:15]}@{text[15:]}.example"))
def test_folding_twice_changes_nothing(text: str) -> None:
    once = folded_address(text)
    assert once is None or (once.isascii() and folded_address(once) == once)


async def test_a_bad_address_is_named(rig: Rig) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await rig.sign_ins.request_sign_in("a\0@b.org", "en", HOME)
    assert refused.value.param == "address"
    assert await rig.number_of("sign_ins") == 0
