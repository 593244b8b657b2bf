"""[payments]: what is sold, at which price, and the providers at which it is paid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from proxy.config.credits import to_micro_credits
from proxy.config.reader import Reader, Section
from proxy.config.secret import named_secret
from proxy.config.sections import Switch
from speech_engine.redacted import Redacted

ProviderName = Literal["mercadopago", "stripe"]
PROVIDERS: tuple[ProviderName, ...] = get_args(ProviderName)
MOST_AMOUNT = 10**9
"""The most minor units of a price. The rule for credits stays within 64 bits."""

_AMOUNT = re.compile(r"[0-9]{1,8}(\.[0-9]{1,2})?")
# Mercado Pago's references have 64 characters at most, and orders' titles are shown to people.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# Currencies with no or three decimals would need other minor units.
_WITHOUT_TWO_DECIMALS = frozenset(
    (
        *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"),
        *("XAF", "XOF", "XPF", "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"),
    )
)
SECRETS = {"mercadopago": ("access_token", "webhook_secret"), "stripe": ("secret_key", "webhook_secret")}
_Secret = Annotated[str, Meta(description='"env:NAME" or "file:PATH"')]
BaseUrl = Annotated[
    str,
    Meta(
        # Plain HTTP is for a fake on the same machine: the key goes there.
        pattern=r"^(https://[^\s/?#@]+|http://(127\.0\.0\.1|localhost)(:\d+)?)/?\Z",
        max_length=200,
        description='the address of its API, "https://…", or "http://127.0.0.1:PORT" for a fake',
    ),
]
_Features = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
    Meta(max_length=20, description="a list of up to 20 texts for people"),
]
_Providers = Annotated[
    tuple[ProviderName, ...], Meta(min_length=1, description=f"a list of {' and '.join(PROVIDERS)}")
]


class _WrittenOffer(msgspec.Struct, frozen=True, kw_only=True):
    amount: Annotated[str, Meta(description='a price as text, "29.90"')]
    currency: Annotated[
        str, Meta(pattern="^[A-Z]{3}$", description='an ISO code of a currency with two decimals, "BRL"')
    ]
    providers: _Providers
    features: _Features = ()


class _WrittenPack(_WrittenOffer, frozen=True, kw_only=True):
    credits: Annotated[
        Annotated[int, Meta(gt=0, le=10**9)] | Annotated[float, Meta(gt=0, le=1e9)],
        Meta(description="credits, above 0 and up to 1000000000"),
    ]


class SoldOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A month of the plan `name`, or a pack of `credits` in micro-credits. The amount is in minor units."""

    name: str
    kind: Literal["plan", "pack"]
    amount: int
    currency: str
    providers: tuple[ProviderName, ...]
    features: tuple[str, ...] = ()
    credits: int = 0


class ProviderSection(Redacted, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider, which `is_on` once it has a key and the secret of its webhooks."""

    webhook_secret: _Secret = ""
    live: Switch = False

    @property
    def key(self) -> str:
        raise NotImplementedError

    @property
    def is_on(self) -> bool:
        return bool(self.key and self.webhook_secret)


class MercadoPagoSection(ProviderSection, frozen=True):
    """Mercado Pago: the access token, the secret of its webhooks, the id of the account that is paid, and
    whether money is real."""

    access_token: _Secret = ""
    base_url: BaseUrl = "https://api.mercadopago.com"
    seller: Annotated[str, Meta(max_length=64, description="the id of your Mercado Pago account")] = ""

    @property
    def key(self) -> str:
        return self.access_token


class StripeSection(ProviderSection, frozen=True):
    """Stripe: the secret key, the secret of its webhooks, and whether money is real."""

    secret_key: _Secret = ""
    base_url: BaseUrl = "https://api.stripe.com"

    @property
    def key(self) -> str:
        return self.secret_key


class PaymentsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[payments]: `lapsed_plan` follows a paid month, "" for the plan of new accounts. [payments.plans.NAME]
    sells a month of that plan, and [payments.packs.NAME] sells credits."""

    lapsed_plan: Annotated[str, Meta(description='the name of a plan, or "" for that of new accounts')] = ""
    plans: Annotated[
        dict[str, SoldOffer], Meta(description='a table of plans, { creator = { amount = "29.90", … } }')
    ] = {}
    packs: Annotated[
        dict[str, SoldOffer], Meta(description="a table of packs, { small = { credits = 500, … } }")
    ] = {}
    mercadopago: Annotated[MercadoPagoSection, Meta(description="a table, [payments.mercadopago]")] = (
        MercadoPagoSection()
    )
    stripe: Annotated[StripeSection, Meta(description="a table, [payments.stripe]")] = StripeSection()

    @property
    def is_used(self) -> bool:
        """Whether anything is sold, or a provider still tells of earlier orders."""
        return bool(self.offers) or any(getattr(self, name).is_on for name in PROVIDERS)

    @property
    def offers(self) -> tuple[SoldOffer, ...]:
        return (*self.plans.values(), *self.packs.values())


def minor_units(text: str) -> int:
    """Return the minor units of a price such as "29.90". Raises ValueError."""
    units = Decimal(text) * 100 if _AMOUNT.fullmatch(text) else Decimal(0)
    if not 0 < units <= MOST_AMOUNT:
        raise ValueError('must be a price as text, "29.90", above 0, with two decimals at most')
    return int(units)


def _read(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> PaymentsSection:
    raw = reader.table(value, "payments")
    plans = _read_offers(reader, raw, "plans", _WrittenOffer)
    packs = _read_offers(reader, raw, "packs", _WrittenPack)
    own_keys = {key: each for key, each in raw.items() if key not in ("plans", "packs")}
    section = reader.section(PaymentsSection, own_keys, "payments") or PaymentsSection()
    if section.mercadopago.access_token and not section.mercadopago.seller:
        reader.fault(
            "payments.mercadopago.seller", "must be the id of the account that is paid; it is missing"
        )
    providers = {name: _with_secrets(reader, name, section, environ, folder) for name in PROVIDERS}
    return msgspec.structs.replace(section, plans=plans, packs=packs, **providers)


def _read_offers(
    reader: Reader, raw: Mapping[str, Any], kind: str, type_: type[_WrittenOffer]
) -> dict[str, SoldOffer]:
    offers = {}
    for name, written in reader.table(raw.get(kind, {}), f"payments.{kind}").items():
        key = f"payments.{kind}.{name}"
        if not _NAME.fullmatch(name):
            reader.fault(key, "a name must be of a to z, 0 to 9, - and _, 64 characters at most")
        priced = reader.section(type_, written, key)
        if priced is None:
            continue
        amount = _read_amount(reader, key, priced)
        credits = _read_credits(reader, key, priced) if isinstance(priced, _WrittenPack) else 0
        offers[name] = SoldOffer(
            name=name,
            kind="pack" if isinstance(priced, _WrittenPack) else "plan",
            amount=amount,
            currency=priced.currency,
            providers=tuple(dict.fromkeys(priced.providers)),
            features=priced.features,
            credits=credits,
        )
    return offers


def _read_amount(reader: Reader, key: str, priced: _WrittenOffer) -> int:
    if priced.currency in _WITHOUT_TWO_DECIMALS:
        reader.fault(f"{key}.currency", f"must have two decimals; {priced.currency} has not")
    try:
        return minor_units(priced.amount)
    except ValueError as error:
        reader.fault(f"{key}.amount", f"{error}; got {priced.amount[:40]!r}")
        return 0  # never used, since a fault refuses the whole configuration


def _read_credits(reader: Reader, key: str, pack: _WrittenPack) -> int:
    try:
        return to_micro_credits(pack.credits)
    except ValueError:
        reader.fault(f"{key}.credits", f"must have 6 decimals at most; got {pack.credits!r}")
        return 0


def _with_secrets(
    reader: Reader, name: str, section: PaymentsSection, environ: Mapping[str, str], folder: Path
) -> ProviderSection:
    provider: ProviderSection = getattr(section, name)
    secrets = {
        field: named_secret(reader, f"payments.{name}.{field}", text, environ, folder)
        for field in SECRETS[name]
        if (text := getattr(provider, field))
    }
    return msgspec.structs.replace(provider, **secrets)


SECTION = Section("payments", PaymentsSection, _read)
