"""[payments]: prices in minor units, secrets by name, and what `check` finds in the offers."""

from pathlib import Path

import pytest

from policies.price import MICRO
from proxy.config.config_toml import Config
from proxy.config.finding import NO_RESULTS
from proxy.engines.registry import Registry
from proxy.features.payments.config_checks import check_offers
from proxy.features.payments.section import SECTION, PaymentsSection, SoldOffer, minor_units
from tests.proxy.config.files import faults, load
from tests.tables import each_row

SECRETS = {"MP": "APP_USR-1", "HOOK": "s", "SK": "sk_test_1"}
PRICED = 'amount = "29.90"\ncurrency = "BRL"\nproviders = ["mercadopago"]\n'
PACK = f"[payments.packs.small]\ncredits = 500\n{PRICED}"
PLAN = f"[payments.plans.pro]\n{PRICED}"
MERCADO_PAGO = """
[payments.mercadopago]
access_token = "env:MP"
webhook_secret = "env:HOOK"
seller = "77"
live = true
"""
STRIPE = '[payments.stripe]\nsecret_key = "env:SK"\nwebhook_secret = "env:HOOK"\n'


def test_nothing_is_sold_as_shipped(tmp_path: Path) -> None:
    section = SECTION.of(load(tmp_path, ""))
    assert section == PaymentsSection()
    assert [section.offers, section.mercadopago.is_on, section.stripe.is_on] == [(), False, False]


def test_offers_and_secrets_are_read(tmp_path: Path) -> None:
    section = SECTION.of(load(tmp_path, PACK + PLAN + MERCADO_PAGO + STRIPE, **SECRETS))
    offer = SoldOffer(
        name="small",
        kind="pack",
        amount=2990,
        currency="BRL",
        providers=("mercadopago",),
        credits=500 * MICRO,
    )
    assert section.packs == {"small": offer}
    assert (section.plans["pro"].kind, section.plans["pro"].credits) == ("plan", 0)
    assert (section.mercadopago.access_token, section.stripe.secret_key) == ("APP_USR-1", "sk_test_1")
    assert "APP_USR" not in repr(section)
    assert "sk_test" not in repr(section)


@each_row(
    ("text", "units"),
    [("29.90", 2990), ("29.9", 2990), ("0.01", 1), ("30", 3000), ("10000000", 10**9)],
)
def test_a_price_is_read_exactly(text: str, units: int) -> None:
    assert minor_units(text) == units


@each_row(
    "text",
    ["29,90", "0", "0.00", "1e9", "29.901", "-1", "", " 1", "1 ", "NaN", "10000000.01", "٣", "1.", ".5"],
)
def test_no_other_text_is_a_price(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="two decimals"):
        minor_units(text)
    written = PACK.replace("29.90", text)
    (fault,) = faults(tmp_path, written)
    assert fault.startswith("payments.packs.small.amount")


@each_row(
    ("written", "wrong", "key"),
    [
        ('currency = "BRL"', 'currency = "JPY"', "packs.small.currency"),
        ('currency = "BRL"', 'currency = "brl"', "packs.small.currency"),
        ('["mercadopago"]', '["paypal"]', "packs.small.providers"),
        ('["mercadopago"]', "[]", "packs.small.providers"),
        ("credits = 500", "credits = 0", "packs.small.credits"),
        ("credits = 500", "credits = 0.0000001", "packs.small.credits"),
        ("credits = 500", "credit = 500", "packs.small.credit"),
        ("packs.small", 'packs."Small pack"', "packs.Small pack"),
        ('"env:MP"', '"APP_USR-1"', "mercadopago.access_token"),
        ('"env:HOOK"', '"env:NO"', "mercadopago.webhook_secret"),
        ('seller = "77"', "", "mercadopago.seller"),
        ("live = true", "live = 1", "mercadopago.live"),
        ("[payments.mercadopago]", "[payments.paypal]", "paypal"),
    ],
)
def test_a_fault_names_the_key_and_no_secret(tmp_path: Path, written: str, wrong: str, key: str) -> None:
    text = PACK + MERCADO_PAGO
    assert written in text
    found = faults(tmp_path, text.replace(written, wrong), **SECRETS)
    assert any(fault.startswith(f"payments.{key}") for fault in found), found
    assert not any("APP_USR" in fault for fault in found)


PRO = '[plans.pro]\nprice = "R$ 29,90"\n'


@each_row(
    ("text", "said"),
    [
        (PRO + PLAN + PACK + MERCADO_PAGO + STRIPE, ""),
        (PLAN.replace("pro", "gold", 1) + MERCADO_PAGO, "it is no plan here"),
        ("[plans.pro]\n" + PLAN + MERCADO_PAGO, "it has no price"),
        (PRO + 'allowance = "account"\n' + PLAN + MERCADO_PAGO, "it leaves allowance to each account"),
        (PACK, "without a key and a secret there"),
        (PACK + MERCADO_PAGO.replace("live = true", ""), ""),
        (PACK + MERCADO_PAGO + STRIPE + "live = true\n", "the key is for tests"),
        ("[server]\ncommercial = false\n" + PACK + MERCADO_PAGO, "something is sold"),
        ('[payments]\nlapsed_plan = "gone"\n', "is no plan here"),
    ],
)
def test_check_refuses_what_cannot_be_had_for_money(tmp_path: Path, text: str, said: str) -> None:
    config: Config = load(tmp_path, text, **SECRETS)
    found = list(check_offers(config, Registry({}, ()), NO_RESULTS))
    assert [finding.verdict for finding in found] == ["wrong"] * bool(said)
    assert all(said in finding.found for finding in found)
