"""The table of limits. Each field of `PlanLimits` is one limit.

The configuration, the terms of accounts, the HTTP API and the options of commands are built from this table.
The code that enforces a limit reads it from `Terms`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar, cast, get_args

import msgspec

S = TypeVar("S", bound=msgspec.Struct)
N = TypeVar("N")
"""The type of a limit besides None: `int`, or `int | Agreed` in a plan."""


class LimitRow(NamedTuple):
    """The facts about one limit. `what` completes the sentence "It must be …".

    A plan may leave a limit in `count` or in `credits` to each account; `voxgate accounts` has its option.
    Credits are stored as micro-credits. A limit in `usd` is between the operator and providers only.
    A limit `per_request` is for each request alone. Others are for all requests of an account together.
    """

    what: str
    least: int = 1
    most: int = 1_000_000
    unit: Literal["count", "credits", "usd"] = "count"
    per_request: bool = False

    @property
    def description(self) -> str:
        return f"{self.what}, {self.least} to {self.most}"

    @property
    def number(self) -> Any:
        """The type of a number that people write, with the bounds of the limit."""
        number = int if self.unit == "count" else float
        return Annotated[number, msgspec.Meta(ge=self.least, le=self.most, description=self.description)]

    @property
    def shown_type(self) -> type[int] | type[float]:
        """The type of a number that is shown to people."""
        return int if self.unit == "count" else float


_USD = LimitRow("US dollars", least=0, most=10**9, unit="usd")


class PlanLimits(msgspec.Struct, Generic[N], frozen=True, kw_only=True):
    """The limits of a plan or of an account; None is no limit.

    A budget limits the providers' charges for one account.
    """

    allowance: Annotated[N | None, LimitRow("credits a cycle", least=0, most=10**9, unit="credits")] = None
    rpm: Annotated[N | None, LimitRow("requests a minute")] = None
    streams: Annotated[N | None, LimitRow("requests at the same time")] = None
    voices: Annotated[N | None, LimitRow("saved voices", least=0)] = None
    clones: Annotated[N | None, LimitRow("clones at providers a cycle", least=0)] = None
    keys: Annotated[N | None, LimitRow("API keys that its users may make", least=0, most=1000)] = None
    max_characters: Annotated[N | None, LimitRow("characters a request", per_request=True)] = None
    job_characters: Annotated[N | None, LimitRow("characters a job", least=0)] = None
    budget_usd_day: Annotated[float | None, _USD] = None
    budget_usd_month: Annotated[float | None, _USD] = None


class Caps(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The limits that one key may have, below those of its account. None adds nothing.

    With the pace `live`, sound is sent as fast as it plays. A key of the role `host` is for one cluster, and
    for so many `hosts`.
    """

    rpm: int | None = None
    streams: int | None = None
    max_characters: int | None = None
    pace: Literal["live"] | None = None
    cluster: str | msgspec.UnsetType = msgspec.UNSET
    hosts: int | msgspec.UnsetType = msgspec.UNSET


LIMITS: Mapping[str, LimitRow] = {
    field.name: next(extra for extra in get_args(field.type) if isinstance(extra, LimitRow))
    for field in msgspec.structs.fields(PlanLimits)
}
AGREED_LIMITS: Mapping[str, LimitRow] = {name: row for name, row in LIMITS.items() if row.unit != "usd"}
"""The limits that a plan may leave to each account."""
COUNT_LIMITS: Mapping[str, LimitRow] = {name: row for name, row in LIMITS.items() if row.unit == "count"}
KEY_LIMITS: Mapping[str, LimitRow] = {name: LIMITS[name] for name in Caps.__struct_fields__ if name in LIMITS}


def with_limits(
    rows: Mapping[str, LimitRow], type_of: Callable[[LimitRow], Any], default: Any = msgspec.NODEFAULT
) -> Callable[[type[S]], type[S]]:
    """Return a class decorator that adds a field for each limit to a struct, which keeps its name."""

    def extend(base: type[S]) -> type[S]:
        fields = [(name, type_of(row), default) for name, row in rows.items()]
        extended = msgspec.defstruct(
            base.__name__,
            fields,
            bases=(base,),
            module=base.__module__,
            namespace={"__doc__": base.__doc__},
            kw_only=True,
            frozen=True,
        )
        return cast("type[S]", extended)

    return extend


def limit_values(limits: msgspec.Struct, names: Iterable[str] = LIMITS) -> dict[str, Any]:
    """Return limits of a struct, by name."""
    return {name: getattr(limits, name) for name in names}
