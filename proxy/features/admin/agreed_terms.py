"""The terms that one account has instead of its plan's, in credits, as requests and answers have them."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import UNSET, Meta, UnsetType

from policies.limits import LIMITS, with_limits
from policies.plans import AgreedTerms, MissingLimits, Prices, build_terms
from policies.price import Price
from proxy.config import credits
from proxy.config.plans import read_prices
from proxy.config.reader import Reader, names_hint
from proxy.config.sections import Config
from proxy.errors import InvalidRequest
from proxy.http.body import EngineNames, micro_credits_of


@with_limits(LIMITS, lambda row: row.number | UnsetType | None, default=UNSET)  # adds a field for each limit
class AgreedChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of what is agreed. A field that is left out stays as it is. Null brings back the plan's own
    term."""

    engines: EngineNames | UnsetType | None = UNSET
    prices: (
        Annotated[
            dict[str, Any],
            Meta(description='prices as in the configuration, {"speech": {"credits": 1, "per": "second"}}'),
        ]
        | UnsetType
        | None
    ) = UNSET


class ShownPrice(msgspec.Struct, frozen=True):
    """So many credits for each minute, character or job."""

    credits: float
    per: str


class ShownPrices(msgspec.Struct, frozen=True):
    """`models` has the models that do not speak at the price `speech`, by `engine/model` or by engine. Such a
    price is also for conversions and transcriptions by the model, if these have no price of their own.
    `conversion`, `training` and `transcription` are null where they are not offered."""

    speech: ShownPrice
    cached: ShownPrice
    clone: ShownPrice
    conversion: ShownPrice | None
    training: ShownPrice | None
    transcription: ShownPrice | None
    models: dict[str, ShownPrice]


@with_limits(LIMITS, lambda row: row.shown_type | None)  # adds a field for each limit
class ShownOverrides(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed, in credits; null leaves the plan's own term."""

    engines: tuple[str, ...] | None
    prices: ShownPrices | None


def apply_change(before: AgreedTerms, change: AgreedChange, config: Config) -> AgreedTerms:
    """Return the agreed terms after the change. Raises InvalidRequest, which names the field."""
    fields = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
    for name, row in LIMITS.items():
        if row.unit == "credits" and fields.get(name) is not None:
            fields[name] = micro_credits_of(fields[name], f"agreed.{name}")
    if fields.get("engines") is not None:
        fields["engines"] = tuple(_check_engine(engine, config) for engine in fields["engines"])
    if fields.get("prices") is not None:
        fields["prices"] = read_prices(
            _StrictReader("the request"), "agreed.prices", fields["prices"], config.engines
        )
    return msgspec.structs.replace(before, **fields)


def check_terms(plan: str, agreed: AgreedTerms, config: Config) -> None:
    """Raise InvalidRequest if there is no such plan, or if the account lacks a limit that it leaves open."""
    if plan not in config.plans:
        raise InvalidRequest(
            f"There is no plan '{plan[:80]}'. {names_hint(plan, config.plans, 'plans')}",
            param="plan",
        )
    try:
        build_terms(config.plans[plan], agreed)
    except MissingLimits as error:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in error.missing)
        raise InvalidRequest(
            f"The plan '{plan}' leaves {', '.join(error.missing)} to each account; send them in 'agreed' "
            f"(on the command line {options}).",
            param="agreed",
        ) from None


def shown_overrides(agreed: AgreedTerms) -> ShownOverrides:
    prices = None if agreed.prices is None else shown_prices(agreed.prices)
    return ShownOverrides(engines=agreed.engines, prices=prices, **credits.shown_limits(agreed))


def shown_prices(prices: Prices) -> ShownPrices:
    return ShownPrices(
        speech=shown_price(prices.speech),
        cached=shown_price(prices.cached),
        clone=shown_price(prices.clone),
        conversion=_price_or_none(prices.usual_conversion_price()),
        training=_price_or_none(prices.training_price()),
        transcription=_price_or_none(prices.usual_transcription_price()),
        models={model: shown_price(price) for model, price in prices.models.items()},
    )


class _StrictReader(Reader):
    """Raises InvalidRequest at the first fault, with the field as its `param`: a client gets one fault at
    once."""

    def fault(self, key: str, text: str) -> NoReturn:
        raise InvalidRequest(f"Invalid value for '{key}': {text}.", param=key)

    def warn(self, key: str, text: str) -> NoReturn:
        self.fault(key, text)


def _check_engine(engine: str, config: Config) -> str:
    if engine not in config.engines:
        raise InvalidRequest(
            f"There is no engine '{engine[:80]}'. {names_hint(engine, config.engines, 'engines')}",
            param="agreed.engines",
        )
    return engine


def _price_or_none(price: Price | None) -> ShownPrice | None:
    return None if price is None else shown_price(price)


def shown_price(price: Price) -> ShownPrice:
    return ShownPrice(credits.to_credits(price.micro), price.per)
