"""What is wrong in [payments] is named, and doctor names what keeps providers away."""

from pathlib import Path

import pytest

from proxy.config.reader import ConfigError
from proxy.feature_list import load_config
from proxy.features.payments.config_checks import check_providers
from tests.features.payments.shop import PROVIDERS, SECRETS, SOLD
from tests.tables import each_row

_PROVIDERS = PROVIDERS.replace("{mercadopago}", "https://api.mercadopago.com").replace(
    "{stripe}", "https://api.stripe.com"
)


@each_row(
    "old, new, named",
    [
        *(('amount = "29.90"', f"amount = {each}", "payments.packs.small.amount") for each in (
            '"29,90"', '"0"', '"0.00"', '"1e9"', '"29.901"', '"-1"', '""', '"٢٩"', '"999999999"', "29.9"
        )),
        ("credits = 500", "credits = 0", "payments.packs.small.credits"),
        ("credits = 500", "credits = 0.0000001", "payments.packs.small.credits"),
        ('currency = "BRL"', 'currency = "JPY"', "payments.plans.creator.currency"),
        ('currency = "BRL"', 'currency = "brl"', "payments.plans.creator.currency"),
        ('["mercadopago", "stripe"]', '["paypal"]', "payments.plans.creator.providers"),
        ('["mercadopago", "stripe"]', "[]", "payments.plans.creator.providers"),
        ('"file:mp_key"', '"TEST-key"', "payments.mercadopago.access_token"),
        ('"https://api.stripe.com"', '"http://api.stripe.com"', "payments.stripe.base_url"),
        ('"https://api.stripe.com"', '"https://k:v@api.stripe.com"', "payments.stripe.base_url"),
        ("[payments.stripe]", "[payments.paypal]", "payments.paypal"),
    ],
)  # fmt: skip
def test_a_wrong_key_of_payments_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    text = SOLD + _PROVIDERS
    assert old in text
    file = _written(tmp_path, text.replace(old, new))
    with pytest.raises(ConfigError) as refused:
        load_config(file, {})
    assert named in str(refused.value)
    assert "TEST-key" not in str(refused.value)


def _written(folder: Path, text: str) -> Path:
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)
    (folder / "config.toml").write_text(text)
    return folder / "config.toml"


_THREE = ["wrong", "wrong", "wrong", "ok"]


@each_row(
    "url, providers, found",
    [
        ("https://voice.example.org", _PROVIDERS, ["ok"]),
        ("", _PROVIDERS, ["wrong"]),
        ("http://127.0.0.1:8000", _PROVIDERS, ["note"]),
        ("https://10.0.0.1", _PROVIDERS, ["note"]),
        (
            "https://voice.local",
            _PROVIDERS + "live = true\n",
            ["wrong"],
        ),
        (
            "https://voice.example.org",
            '[payments.stripe]\nsecret_key = "file:s_key"\n',
            _THREE,
        ),
    ],
)
def test_doctor_names_missing_secrets_and_addresses_that_no_provider_can_call(
    tmp_path: Path, url: str, providers: str, found: list[str]
) -> None:
    config = load_config(_written(tmp_path, f'[server]\npublic_url = "{url}"\n{SOLD}{providers}'), {})
    findings = list(check_providers(config))
    assert [each.verdict for each in findings] == found
    assert not any(secret in str(findings) for secret in SECRETS.values())
    assert list(check_providers(load_config(_written(tmp_path, ""), {}))) == []
