"""The budgets of engines and accounts for a day and a month. If a budget is used up, the next candidate
speaks.

Sums are read from the recorded costs, at most every few seconds, so that all workers use the same sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import structlog

from policies.cycles import cycle_at, start_of_day
from policies.plans import Terms
from proxy.config.sections import EngineSection
from proxy.storage import costs
from proxy.storage.read_cache import ReadCache, read_singly
from proxy.storage.store import Store
from proxy.telemetry.metrics import EngineMetrics
from speech_engine import EngineUnavailable

STORED_S = 5.0
_MOST_STORED = 10_000
NEAR_PART = 0.8
"""The part of a budget at which the operator is warned."""
_DAY_US = 86_400_000_000

_log = structlog.get_logger()


class Spend(msgspec.Struct, frozen=True):
    """What an engine has cost in this `day` or `month` (UTC), and its budget."""

    period: str
    usd: float
    of_usd: float


class _Budget(NamedTuple):
    """One budget. `owner` is an engine or an account."""

    owner: str
    is_account: bool
    period: str
    usd: float


class _Sum(NamedTuple):
    """The cost since the period began, and when the period begins and ends, in microseconds."""

    micro_usd: int
    since: int
    until: int


class Budgets:
    def __init__(self, store: Store, sections: Mapping[str, EngineSection], metrics: EngineMetrics) -> None:
        self._store = store
        self._metrics = metrics
        self._engine_budgets = {name: _budgets(name, section) for name, section in sections.items()}
        self._costly = {name for name, section in sections.items() if section.costs or section.runner}
        self._sums: ReadCache[_Budget, _Sum] = ReadCache(
            read_singly(self._read_sum), lambda _sum: STORED_S, max_weight=_MOST_STORED
        )
        self._logged_states: dict[_Budget, tuple[int, str]] = {}

    async def check_budgets(self, engine: str, account: str, terms: Terms) -> None:
        """Raise EngineUnavailable if a budget of the engine is used up, or one of the account for an engine
        that costs money."""
        for budget in self._engine_budgets.get(engine, ()):
            await self._check(budget)
        if engine in self._costly and terms.has_budget:
            for budget in _budgets(account, terms, is_account=True):
                await self._check(budget)

    async def read_spends(self, engine: str) -> tuple[Spend, ...]:
        sums = [(budget, await self._sums.get(budget)) for budget in self._engine_budgets[engine]]
        return tuple(Spend(budget.period, sum_.micro_usd / 1e6, budget.usd) for budget, sum_ in sums)

    async def read_again(self, engine: str) -> None:
        """Read the costs of an engine again, so that the metric shows a fee that came without speech."""
        for budget in self._engine_budgets.get(engine, ()):
            self._sums.forget(budget)
            await self._sums.get(budget)

    async def find_used_up(
        self, engine: str, account: str = "", terms: Terms | None = None
    ) -> tuple[str, int] | None:
        """Return why a budget of the engine or the account is used up, and until when, in microseconds.

        None means that no budget is used up. Budgets of the account count only with `terms`.
        """
        budgets = [*self._engine_budgets.get(engine, ())]
        if terms is not None and engine in self._costly:
            budgets += _budgets(account, terms, is_account=True)
        # The month comes first: a new day does not help if the month's budget is used up.
        for budget in reversed(budgets):
            sum_ = await self._sums.get(budget)
            if sum_.micro_usd / 1e6 >= budget.usd:
                until = datetime.fromtimestamp(sum_.until / 1e6, UTC)
                reason = f"budget of this {budget.period} used up until {until:%Y-%m-%dT%H:%MZ}"
                return reason, sum_.until
        return None

    async def _check(self, budget: _Budget) -> None:
        sum_ = await self._sums.get(budget)
        spent = sum_.micro_usd / 1e6
        part = spent / budget.usd if budget.usd else 1.0
        if part >= NEAR_PART:
            self._log_state_once(budget, "used" if part >= 1 else "near", sum_)
        if part >= 1:
            raise EngineUnavailable(f"The budget of this {budget.period} is used up.", retry_after_s=60.0)

    async def _read_sum(self, budget: _Budget) -> _Sum:
        since, until = _period(budget.period, await self._store.now())
        total = await costs.sum_costs(self._store, budget.owner, since, is_account=budget.is_account)
        if not budget.is_account:
            self._metrics.set_spend(budget.owner, budget.period, total / 1e6, budget.usd)
        return _Sum(total, since, until)

    def _log_state_once(self, budget: _Budget, state: str, sum_: _Sum) -> None:
        """Log a state of a budget once in its period, and not at every request."""
        if self._logged_states.get(budget) != (sum_.since, state):
            self._logged_states[budget] = (sum_.since, state)
            usd = sum_.micro_usd / 1e6
            facts = {"owner": budget.owner, "period": budget.period, "usd": usd, "of_usd": budget.usd}
            if state == "used":
                _log.warning("budget.spend.used", **facts)
            else:
                _log.warning("budget.spend.near", **facts)


def _period(period: str, now: int) -> tuple[int, int]:
    if period == "day":
        return start_of_day(now), start_of_day(now) + _DAY_US
    month = cycle_at(0, now)
    return month.start, month.end


def _budgets(owner: str, limits: EngineSection | Terms, *, is_account: bool = False) -> list[_Budget]:
    pairs = (("day", limits.budget_usd_day), ("month", limits.budget_usd_month))
    return [_Budget(owner, is_account, period, usd) for period, usd in pairs if usd is not None]
