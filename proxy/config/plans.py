"""Read [plans.NAME]. People write and read credits; a plan and the ledger have whole micro-credits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from policies.limits import LIMITS, LimitRow, limit_values, with_limits
from policies.plans import UNLIMITED, Agreed, CheckTerm, ConsentRule, Plan, Prices
from policies.price import FREE, Price
from proxy.config.credits import to_micro_credits
from proxy.config.reader import Reader
from proxy.config.sections import EngineSection, Switch

Engines = Mapping[str, EngineSection]

_PRICED_KINDS = ("speech", "cached", "clone", "conversion", "training", "transcription")
_PRICED_BY_JOB = {"clone": "a clone", "training": "a training"}
_DEFAULT_KEYS = 50
"""The most keys that the users of an account make, if its plan has no `keys`."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def _type_in_file(row: LimitRow) -> Any:
    if row.unit == "usd":
        return Annotated[row.number | None, msgspec.Meta(description=row.description)]
    return Annotated[row.number | Agreed | None, msgspec.Meta(description=f'{row.description}, or "account"')]


JobDays = Annotated[
    float, msgspec.Meta(gt=0, le=3650, description="a number of days, above 0 and up to 3650")
]
HistoryDays = Annotated[
    float, msgspec.Meta(ge=0, le=3650, description="a number of days, 0 (nothing is kept) to 3650")
]


# rpm, streams, voices and the other limits are the rows of policies/limits.py.
@with_limits(LIMITS, _type_in_file, default=None)
class PlanSection(msgspec.Struct, frozen=True):
    """A plan as the file has it. Without a key, there is no such limit or price."""

    price: Annotated[
        str,
        msgspec.Meta(max_length=100, description='a text for people, such as "$19", or "" where it is free'),
    ] = ""
    engines: (
        Annotated[tuple[str, ...], msgspec.Meta(description='a list of engines, ["espeak", "…"]')] | None
    ) = None
    prices: Annotated[
        dict[str, Any],
        msgspec.Meta(description='a table of prices, { speech = { credits = 1, per = "second" } }'),
    ] = {}
    cache: Switch = False
    local_only: Switch = False
    one_shot: Switch = False
    marking: Annotated[
        bool | None, msgspec.Meta(description="true or false; without it, the engines decide")
    ] = None
    check: Annotated[
        CheckTerm | None, msgspec.Meta(description='"heard" or "behind"; without it, requests say so')
    ] = None
    share: Annotated[float, msgspec.Meta(ge=0.01, le=100, description="a number, 0.01 to 100")] = 1.0
    consent: Annotated[ConsentRule, msgspec.Meta(description='"required" or "waived"')] = "required"
    voices_unused_days: (
        Annotated[int, msgspec.Meta(ge=1, le=36500, description="days, 1 to 36500")] | None
    ) = None
    job_days: JobDays | None = None
    history_days: HistoryDays | None = None


class PriceSection(msgspec.Struct, frozen=True):
    """A price as the file has it."""

    credits: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=10**6)] | Annotated[float, msgspec.Meta(ge=0, le=1e6)],
        msgspec.Meta(description="credits, 0 to 1000000"),
    ]
    per: Annotated[
        Literal["second", "minute", "character", "job"],
        msgspec.Meta(description='"second", "minute", "character" or "job"'),
    ]


def read_plans(reader: Reader, value: object, engines: Engines) -> dict[str, Plan]:
    """Return the plans of one file, with UNLIMITED if the file has no plan of that name."""
    plans: dict[str, Plan] = {}
    for name, table in reader.table(value, "plans").items():
        key = f"plans.{name}"
        if not _NAME.fullmatch(name):
            reader.fault(key, "a plan's name must be of a to z, 0 to 9, - and _, 64 characters at most")
        section = reader.section(PlanSection, table, key)
        if section is not None:
            plans[name] = _read_plan(reader, name, section, engines)
    plans.setdefault(UNLIMITED.name, UNLIMITED)
    return plans


def _read_plan(reader: Reader, name: str, section: PlanSection, engines: Engines) -> Plan:
    key = f"plans.{name}"
    if _reads_as_free(section.price):
        reader.fault(f"{key}.price", f'must be "" where the plan is free; {section.price!r} counts as paid')
    for engine in section.engines or ():
        _check_engine(reader, f"{key}.engines", engine, engines)
    limits = limit_values(section)
    limits["keys"] = _DEFAULT_KEYS if limits["keys"] is None else limits["keys"]
    for limit, row in LIMITS.items():
        if row.unit == "credits" and isinstance(limits[limit], int | float):
            limits[limit] = _read_micro_credits(reader, f"{key}.{limit}", limits[limit])
    return Plan(
        name=name,
        price=section.price,
        engines=section.engines,
        prices=read_prices(reader, f"{key}.prices", section.prices, engines),
        cache=section.cache,
        local_only=section.local_only,
        one_shot=section.one_shot,
        marking=section.marking,
        check=section.check,
        share=section.share,
        consent=section.consent,
        voices_unused_days=section.voices_unused_days,
        job_days=section.job_days,
        history_days=section.history_days,
        **limits,
    )


def read_prices(reader: Reader, key: str, table: Mapping[str, Any], engines: Engines) -> Prices:
    """Return the prices of a plan, or the agreed prices of an account."""
    for name in table:
        if name not in (*_PRICED_KINDS, "models"):
            reader.fault_unknown_key(f"{key}.{name}", name, (*_PRICED_KINDS, "models"))
    for name, job_name in _PRICED_BY_JOB.items():
        if isinstance(price := table.get(name), dict) and price.get("per") != "job":
            reader.fault(f"{key}.{name}.per", f'must be "job": {job_name} has one price')
    for name in ("conversion", "transcription"):
        if isinstance(price := table.get(name), dict) and price.get("per") == "character":
            reader.fault(f"{key}.{name}.per", "must be another: a recording has no characters")
    models = reader.table(table.get("models", {}), f"{key}.models")
    for model in models:
        _check_engine(reader, f"{key}.models", model.partition("/")[0], engines)
    return Prices(
        **{
            kind: _read_price(reader, f"{key}.{kind}", table[kind]) for kind in _PRICED_KINDS if kind in table
        },
        models={
            model: _read_price(reader, f"{key}.models.{model}", price) for model, price in models.items()
        },
    )


def _read_price(reader: Reader, key: str, value: object) -> Price:
    section = reader.section(PriceSection, value, key)
    if section is None:
        return FREE
    micro_credits = _read_micro_credits(reader, f"{key}.credits", section.credits)
    if section.per == "second":
        return Price(micro_credits * 60, "minute")
    return Price(micro_credits, section.per)


def _read_micro_credits(reader: Reader, key: str, credits: float) -> int:
    """Return exact micro-credits. A rounded price would differ from the price in the file."""
    try:
        return to_micro_credits(credits)
    except ValueError:
        reader.fault(key, f"must have 6 decimals at most; got {credits!r}")
        return 0


def _check_engine(reader: Reader, key: str, engine: str, engines: Engines) -> None:
    if engine not in engines:
        reader.fault(key, f"{engine!r}: no [engines.{engine}] here; known: {', '.join(engines) or 'none'}")


def _reads_as_free(price: str) -> bool:
    """Tell whether people read this price as free, such as "$0", "0.00" or "free"."""
    digits = re.sub(r"\D", "", price)
    return price.strip().lower() == "free" or (bool(digits) and not digits.strip("0"))
