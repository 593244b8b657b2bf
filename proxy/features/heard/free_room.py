"""The speech that is free because it was said wrong, and its limit: a text that is always heard wrong is not
free.

In a cycle of an account, free speech ends at a minute, and 3 % of what was checked and charged. A wrong part
is free only if a commit has claimed its seconds. The claims of an account are committed one after another,
by all workers, and the answer's `check` says what they decided. A claim counts until the settlement of its
request replaces it by what was sent. A part that is judged after that claims nothing. If a kill prevents the
settlement, the claim counts to the end of the cycle: the request was not charged.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import ceil

from policies.cycles import cycle_at
from proxy.features.heard.records import UNSETTLED, CheckedSpan
from proxy.speech.call import OpenObserver, SpeechCall
from proxy.speech.observer import Observer
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from proxy.speech_steps.check_totals import CheckTotals
from proxy.storage.store import Params, Statement, StorageFailed, Store

ALWAYS_FREE_S = 60.0
FREE_SHARE = 0.03
_MS_A_SECOND = 1000


_OF_CYCLE = "FROM heard_spans WHERE account = :account AND at >= :since AND at < :until"
_FREE = f"SELECT CAST(coalesce(sum(free_ms), 0) AS BIGINT) AS ms {_OF_CYCLE} AND free_ms > 0"
_CHARGED = f"SELECT CAST(coalesce(sum(charged_ms), 0) AS BIGINT) AS ms {_OF_CYCLE} AND charged_ms > 0"
# The statement after it sees each claim that was committed before the account was locked.
_LOCK_ACCOUNT = "UPDATE accounts SET id = id WHERE id = :account"
_CLAIM = f"""
INSERT INTO heard_spans (request, account, at, charged_ms, free_ms)
SELECT CAST(:request AS TEXT), CAST(:account AS TEXT), CAST(:at AS BIGINT), {UNSETTLED}, CAST(:ms AS BIGINT)
WHERE ({_FREE}) + CAST(:ms AS BIGINT) <= CAST(:most_ms AS BIGINT)
AND EXISTS (SELECT 1 FROM accounts WHERE id = :account AND closed IS NULL)
ON CONFLICT (request) DO UPDATE SET free_ms = heard_spans.free_ms + excluded.free_ms
WHERE heard_spans.charged_ms = {UNSETTLED}
RETURNING request
"""


class FreeRoom:
    def __init__(self, store: Store) -> None:
        self.store = store

    def opener(self, _request: SpeechRequest, plan: SpeechPlan) -> OpenObserver | None:
        return partial(_CheckObserver, self) if plan.is_checked else None

    async def claim_free(self, request: str, account: str, anchor: int, at: int, free_s: float) -> bool:
        """Claim so many seconds more that are free of a request, which began at the moment `at`. Return False
        if the account has no room for them, or if the database is away."""
        cycle, ms = cycle_at(anchor, at), ceil(_MS_A_SECOND * free_s)
        of_cycle: Params = {"account": account, "since": cycle.start, "until": cycle.end}
        try:
            most_ms = _MS_A_SECOND * ALWAYS_FREE_S
            free_ms = await self._sum(_FREE, of_cycle)
            if free_ms + ms > most_ms:
                # What was charged only grows, so it may be read before the commit.
                most_ms += FREE_SHARE * await self._sum(_CHARGED, of_cycle)
            if free_ms + ms > most_ms:
                return False
            values: Params = {**of_cycle, "request": request, "at": at, "ms": ms, "most_ms": int(most_ms)}
            claimed = await self.store.write(
                Statement(_LOCK_ACCOUNT, {"account": account}), Statement(_CLAIM, values)
            )
        except StorageFailed:
            return False
        return bool(claimed[1])

    async def _sum(self, sql: str, params: Params) -> int:
        (row,) = await self.store.read(sql, params)
        return int(row["ms"])


class _CheckObserver(Observer):
    """Lets a checked call claim what may be free of it, and adds its row to the settlement."""

    def __init__(self, room: FreeRoom, call: SpeechCall) -> None:
        self._room = room
        self._call = call
        self._placed_at = 0

    async def take_place(self) -> None:
        self._placed_at = await self._room.store.now()
        if isinstance(check := self._call.totals.check, CheckTotals):
            check.claim_free, check.make_rows = self._claim, self._rows

    async def _claim(self, free_s: float) -> bool:
        call, caller = self._call, self._call.caller
        return await self._room.claim_free(call.id, caller.account, caller.anchor, self._placed_at, free_s)

    def _rows(self, is_charged: bool) -> Iterator[CheckedSpan]:
        totals = self._call.totals
        report = totals.check_report(totals.samples)
        if report is None or totals.names is not None:
            return  # a stored answer has another price
        charged_s = report.checked_s - report.free_s if is_charged else 0.0
        charged_ms, free_ms = (max(0, round(_MS_A_SECOND * each)) for each in (charged_s, report.free_s))
        # Also if both are 0: a part may have claimed its seconds, or may still do it.
        yield CheckedSpan(self._call.id, self._call.caller.account, self._placed_at, charged_ms, free_ms)
