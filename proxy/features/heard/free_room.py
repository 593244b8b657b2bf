"""The speech that is free because it was said wrong, and its limit: a text that is always heard wrong is not
free.

In a cycle of an account, free speech ends at a minute, and 3 % of what was checked and charged. Requests that
run at the same time may pass the bound by one part each.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from policies.cycles import cycle_at
from proxy.features.heard.records import CheckedSpan
from proxy.speech.call import OpenObserver, SpeechCall
from proxy.speech.observer import Observer
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from proxy.storage.store import Params, Store

ALWAYS_FREE_S = 60.0
FREE_SHARE = 0.03
_MS_A_SECOND = 1000


_OF_CYCLE = "FROM heard_spans WHERE account = :account AND at >= :since AND at < :until"
_FREE = f"SELECT CAST(coalesce(sum(free_ms), 0) AS BIGINT) AS ms {_OF_CYCLE} AND free_ms > 0"
_CHARGED = f"SELECT CAST(coalesce(sum(charged_ms), 0) AS BIGINT) AS ms {_OF_CYCLE}"


class FreeRoom:
    def __init__(self, store: Store) -> None:
        self.store = store

    def opener(self, _request: SpeechRequest, plan: SpeechPlan) -> OpenObserver | None:
        return partial(_CheckObserver, self) if plan.is_checked else None

    async def remaining_s(self, account: str, anchor: int, now: int, wanted_s: float) -> float:
        """Return how many seconds of an account's speech may still be free in its cycle. If the first minute
        has `wanted_s` left, the charged speech is not summed, and the result is too small."""
        cycle = cycle_at(anchor, now)
        params: Params = {"account": account, "since": cycle.start, "until": cycle.end}
        left_s = ALWAYS_FREE_S - await self._sum_s(_FREE, params)
        if left_s < wanted_s:
            left_s += FREE_SHARE * await self._sum_s(_CHARGED, params)
        return max(0.0, left_s)

    async def _sum_s(self, sql: str, params: Params) -> float:
        (row,) = await self.store.read(sql, params)
        return int(row["ms"]) / _MS_A_SECOND


class _CheckObserver(Observer):
    """Tells a checked call how much of it may be free, and adds its row to the settlement."""

    def __init__(self, room: FreeRoom, call: SpeechCall) -> None:
        self._room = room
        self._call = call
        self._placed_at = 0

    async def take_place(self) -> None:
        call, caller = self._call, self._call.caller
        self._placed_at = await self._room.store.now()
        wanted_s = 2 * call.plan.estimated_s
        room_s = await self._room.remaining_s(caller.account, caller.anchor, self._placed_at, wanted_s)
        if (check := call.totals.check) is not None:
            check.free_room_s, check.make_rows = room_s, self._rows

    def _rows(self) -> Iterator[CheckedSpan]:
        totals = self._call.totals
        report = totals.check_report(totals.samples)
        if report is None or totals.names is not None:
            return  # a stored answer has another price
        # A failed call is not charged.
        charged_s = 0.0 if totals.error else report.checked_s - report.free_s
        charged_ms, free_ms = (max(0, round(_MS_A_SECOND * each)) for each in (charged_s, report.free_s))
        if charged_ms or free_ms:
            yield CheckedSpan(self._call.id, self._call.caller.account, self._placed_at, charged_ms, free_ms)
