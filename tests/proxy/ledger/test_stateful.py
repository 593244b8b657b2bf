"""Any order of requests, money and accidents: the ledger does what its `books` say, on both databases."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from policies import admission
from policies.cycles import cycle_at
from policies.plans import Plan, Terms
from policies.plans import build_terms as terms_of
from policies.price import MICRO
from proxy.errors import Conflict
from proxy.features.admin import movements
from proxy.features.admin.movements import Reason
from proxy.features.admin.verify import verify
from proxy.ledger import Hold, HoldRequest, Outcome
from proxy.ledger.holds import HeldCredits
from proxy.ledger.stored_holds import StoredHolds
from proxy.storage import usage
from tests.databases import ALL_STORES, Postgres
from tests.proxy.ledger.asking import Held, heard_in_parts, part, submitted
from tests.proxy.ledger.books import FOR_EVER, HOLD_US, Refusal, Said, Text
from tests.proxy.ledger.world import ACCOUNTS, DAY_S, PLANS, Open, World
from tests.tables import soak

TOLD = Reason("control")


said = st.builds(
    Said,
    st.sampled_from(["tone", "tone", "slow", "worded", "flat"]),
    st.integers(1, 90),
    st.integers(1, 30),
)
texts = st.builds(Text, st.lists(said, min_size=1, max_size=3).map(tuple))


class LedgerMachine(World):
    # Requests

    @rule(
        account=st.sampled_from(sorted(ACCOUNTS)),
        worker=st.integers(0, 1),
        key=st.integers(0, 1),
        text=texts,
        times=st.sampled_from([1, 1, 1, 2, 5]),
    )
    def ask(self, account: str, worker: int, key: int, text: Text, times: int) -> None:
        """Alike ones at once, on all workers in turn: how many get a hold is known, though not which."""
        terms, now = self.terms(account, key), self.now
        wanted = [self._wanted(account, key, text, terms) for _ in range(times)]
        places = [(worker + number) % len(self.keepers) for number in range(times)]
        answers = self.run(self._take(wanted, places))
        expires = now + HOLD_US if self.store.is_shared else FOR_EVER
        refusals: list[Refusal] = []
        for request, place, answer in sorted(
            zip(wanted, places, answers, strict=True), key=lambda asked: not isinstance(asked[2], Held)
        ):
            refusal = self.books[account].take(request.request_id, request.key, text, terms, now, expires)
            if not isinstance(answer, Held):
                refusals.append((answer.reason, answer.limit))
                assert refusal == refusals[-1]
            else:
                assert refusal is None
                assert answer.hold_request is request
                self.open[request.request_id] = Open(account, place, answer)

    def _wanted(self, account: str, key: int, text: Text, terms: Terms) -> HoldRequest:
        self.requests += 1
        return HoldRequest(
            request_id=f"req_{self.requests}",
            account=account,
            key=self.keys[account][key],
            anchor=ACCOUNTS[account],
            terms=terms,
            amount=text.held(terms),
            estimated_s=text.estimated_s,
        )

    async def _take(self, wanted: list[HoldRequest], places: list[int]) -> list[Held | admission.Refusal]:
        async def take_hold(request: HoldRequest, place: int) -> Held | admission.Refusal:
            keeper = self.keepers[place]
            answer = await keeper.take_hold(request)
            return Held(Hold(keeper, request, answer)) if isinstance(answer, HeldCredits) else answer[0]

        return await asyncio.gather(*map(take_hold, wanted, places))

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(["finished", "finished", "left", "failed", "unsettled"]),
        heard=st.sampled_from([0.0, 0.01, 0.25, 0.3, 1.0]),
        is_billed_whole=st.booleans(),
        times=st.sampled_from([1, 1, 3]),
    )
    def end(self, data: st.DataObject, outcome: Any, heard: float, is_billed_whole: bool, times: int) -> None:
        """Some of those under way, at once; `heard` is a part of the longest that an engine may make."""
        chosen = [self._any(data, self.open) for _ in range(times)]
        ending = {request: self.open.pop(request) for request in dict.fromkeys(chosen)}
        now = self.now
        for request, (account, _, hold) in ending.items():
            taken = self.books[account].taken[request]
            # An answer that came to its end has all its parts.
            is_whole = heard == 1.0 or (outcome == "finished" and heard > 0)
            whole, lengths = self._heard(hold, taken.text, 1.0 if is_whole else heard)
            asked = [number for number in range(whole) if is_billed_whole]
            for number in asked:
                submitted(hold, number)
            told: Outcome = "failed" if outcome == "unsettled" else outcome
            self.books[account].settle(request, told, lengths, asked, now)
        self.run(self._end([hold for _, _, hold in ending.values()], outcome))

    def _heard(self, hold: Held, text: Text, share: float) -> tuple[int, list[int]]:
        """Writes down what was heard, up to this share of all; how many parts were asked by then, the one
        ahead among them, and how much was heard of each."""
        most = text.most_samples
        samples = round(sum(most) * share)
        begins = [sum(most[:number]) for number in range(len(most))]
        parts = [
            part(said.engine, said.characters, said.estimated_s, begin if begin <= samples else None)
            for said, begin in zip(text.parts, begins, strict=True)
        ]
        heard_in_parts(hold, *parts, samples=samples)
        lengths = [min(length, max(0, samples - begin)) for length, begin in zip(most, begins, strict=True)]
        return min(len(most), sum(begin <= samples for begin in begins) + 1), lengths

    async def _end(self, holds: list[Held], outcome: Any) -> None:
        ends = [hold.abandon() if outcome == "unsettled" else hold.settle(outcome) for hold in holds]
        await asyncio.gather(*ends)
        # Whatever comes later changes nothing.
        await asyncio.gather(*(hold.abandon() for hold in holds))

    # Time, and what it does to workers

    @rule(seconds=st.sampled_from([1, 19, 40, 59, 61, 700, DAY_S, 17 * DAY_S]))
    def pass_time(self, seconds: int) -> None:
        self.store.seconds += seconds

    @rule(account=st.sampled_from(sorted(ACCOUNTS)))
    def come_to_the_end_of_the_cycle(self, account: str) -> None:
        """With a second to go: what is under way then is still live when the next one begins."""
        now = self.now
        self.store.seconds += max(0, cycle_at(ACCOUNTS[account], now).end - now - MICRO) / MICRO

    @precondition(lambda self: self.store.is_shared)
    @rule(worker=st.integers(0, 1))
    def renew(self, worker: int) -> None:
        keeper, now = self.keepers[worker], self.now
        assert isinstance(keeper, StoredHolds)
        self.run(keeper._renew())
        mine = {request for request, (_, place, _) in self.open.items() if place == worker}
        if mine:
            for books in self.books.values():
                books.renew(mine, now)

    @rule(worker=st.integers(0, 1))
    def crash(self, worker: int) -> None:
        place = worker % len(self.keepers)
        self.run(self.keepers[place].close())
        self.keepers[place] = self.new_keeper()
        for request, (account, held_by, _) in list(self.open.items()):
            if held_by == place:
                del self.open[request]
                self.books[account].forget(request)

    # Money, plans, keys

    @rule(account=st.sampled_from(sorted(ACCOUNTS)), credits=st.integers(1, 50))
    def grant(self, account: str, credits: int) -> None:
        self.run(movements.grant(self.ledger, account, credits * MICRO, None, TOLD))
        self.books[account].move(0, credits * MICRO)

    @rule(account=st.sampled_from(sorted(ACCOUNTS)), credits=st.integers(-20, 20))
    def correct(self, account: str, credits: int) -> None:
        self.run(movements.correct(self.ledger, account, credits * MICRO, TOLD))
        self.books[account].move(0, credits * MICRO)
        self.books[account].excused += max(0, -credits * MICRO)

    @precondition(lambda self: self.charged())
    @rule(data=st.data(), part=st.sampled_from([None, 0.0, 0.4, 1.0]))
    def refund(self, data: st.DataObject, part: float | None) -> None:
        account, request = self._any(data, self.charged())
        books = self.books[account]
        amount = books.charge_of(request) if part is None else int(books.charge_of(request) * part)
        refund = movements.refund(self.ledger, request, None if part is None else amount, TOLD)
        if request in books.refunded:
            with pytest.raises(Conflict):
                self.run(refund)
        else:
            back = self.run(refund)
            books.refund(request, amount, self.now)
            assert sum(entry.amount for entry in back) == amount

    @rule(account=st.sampled_from(sorted(ACCOUNTS)), plan=st.sampled_from(PLANS))
    def change_plan(self, account: str, plan: Plan) -> None:
        old, new = self.terms(account, 0).allowance, terms_of(plan).allowance
        self.plans[account] = plan
        # Who had no limit may have spent anything.
        self.books[account].excused += FOR_EVER if old is None else max(0, old - (new or 0))

    @rule(account=st.sampled_from(sorted(ACCOUNTS)), key=st.integers(0, 1))
    def revoke(self, account: str, key: int) -> None:
        """And another one in its place: what the old one has under way goes on, and is not counted to it."""
        self.revoked += 1
        self.keys[account][key] = f"key_{self.revoked}"

    def charged(self) -> list[tuple[str, str]]:
        return [
            (account, request)
            for account, books in self.books.items()
            for request, parts in books.spent.items()
            if parts
        ]

    # What always holds

    @invariant()
    def books_agree(self) -> None:
        verdict = self.run(verify(self.store))
        assert verdict.contradictions == []

    @invariant()
    def everybody_stands_as_told(self) -> None:
        now = self.now
        for account, books in self.books.items():
            terms = self.terms(account, 0)
            wanted = self._wanted(account, 0, Text((Said("tone", 1, 1),)), terms)
            for keeper in self.keepers:
                position = self.run(keeper.account_state(wanted))
                standing = position.credits
                assert (standing.allowance, standing.granted) == books.standing(terms, now)
                live = [hold for hold in books.taken.values() if hold.expires > now]
                assert position.live.account == len(live)
                assert position.live.key == sum(hold.key == wanted.key for hold in live)
                assert position.cycle == cycle_at(ACCOUNTS[account], now)
            if standing.available is not None:
                assert standing.available >= books.floor

    @invariant()
    def every_request_is_settled_once(self) -> None:
        rows = self.run(usage.list_newest(self.store))
        told = {request: end for books in self.books.values() for request, end in books.outcomes.items()}
        assert {row.id: (row.outcome, row.credits) for row in rows} == told
        assert len(rows) == len(told)

    @staticmethod
    def _any(data: st.DataObject, among: Any) -> Any:
        return data.draw(st.sampled_from(list(among)))


@pytest.fixture
def new_url(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """An empty database each time; the last one is over then."""
    if request.param == "sqlite":
        yield lambda: "sqlite"
        return
    server: Postgres = request.getfixturevalue("shared_postgres")
    with ExitStack() as lent:

        def url() -> str:
            lent.close()
            return server.url(search_path=lent.enter_context(server.lent_schema()))

        yield url


# On PostgreSQL an order follows the clock of the database, and cannot be drawn twice alike.
@pytest.mark.parametrize(
    ("new_url", "examples"),
    [*((store, 10) for store in ALL_STORES), *soak(("sqlite", 300))],
    indirect=["new_url"],
)
def test_the_ledger_does_what_its_books_say(new_url: Callable[[], str], examples: int) -> None:
    run_state_machine_as_test(
        type("Machine", (LedgerMachine,), {"new_url": staticmethod(new_url)}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
