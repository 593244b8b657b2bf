"""A host's fairness between a thousand accounts: the short twin has two hundred."""

from __future__ import annotations

from tests.speech_engine.host.test_fair import expect_fair_shares


def test_a_thousand_accounts_with_work_get_what_their_shares_entitle_them_to() -> None:
    expect_fair_shares(accounts=1_000)
