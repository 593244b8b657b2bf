"""FairOrder: seconds of audio over shares, played through in simulated time and counted afterwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import fairness
from bench.simulated_host import Job, SimulatedHost
from speech_engine.host.fair import LEAST_S, FairOrder, Ticket
from tests.tables import each_row, soak


def served_s(host: SimulatedHost, tenant: str) -> float:
    return sum(job.real_s for job in host.ended if job.tenant == tenant)


@pytest.mark.parametrize("accounts", [200, *soak(1_000)])
def test_accounts_with_work_get_what_their_shares_entitle_them_to(accounts: int) -> None:
    index, least = fairness.backlogged(accounts=accounts)
    print(f"Jain's index {index:.4f}, the least served has {least:.2f} of the mean")
    assert index >= 0.99
    assert least >= 0.9


@pytest.mark.parametrize("slots", [1, 4])
def test_a_flood_does_not_delay_anothers_requests_beyond_its_share(slots: int) -> None:
    """The first begins when a running job ends; all of them take twice as long as alone, since the
    host is shared by two, and a job of the flood more."""
    host = SimulatedHost(slots)
    for _ in range(10_000):
        host.comes(Job("flood", 8.0))
    host.run(100.0)
    others = [host.comes(Job("other", 4.0)) for _ in range(20)]
    first_free_at = 104.0
    host.run(1000.0)
    assert others[0].began_at == first_free_at
    alone_s = 20 * 4.0 / slots
    assert max(job.ended_at for job in others) <= first_free_at + 2 * alone_s + 8.0


def test_a_job_of_the_estimated_length_leaves_its_tenant_where_it_was_to_the_last_digit() -> None:
    """Otherwise a rounding error would put it behind a tenant that came later to the same place."""
    host = SimulatedHost(slots=3)
    for job in [
        *(Job("a", 0.0, share=0.5), Job("a", 0.0, share=0.5), Job("a", 6.97684728073256, share=0.5)),
        *(Job("b", 18.21028882372919), Job("b", 7.0, share=0.5)),
    ]:
        host.comes(job)
        host.run(0.0)
    first, second = host.comes(Job("a", 0.0, share=0.5)), host.comes(Job("c", 0.0, share=0.5))
    host.run(30.0)
    assert host.begun[-2:] == [first, second]


def test_a_first_request_waits_for_no_flood_of_many_accounts_either() -> None:
    host = SimulatedHost(slots=2)
    for number in range(1_000):
        for _ in range(10):
            host.comes(Job(f"flood_{number}", 8.0 + number / 1_000))
    host.run(10_001.0)  # each of them has been served twice or thrice
    begun = len(host.begun)
    first = host.comes(Job("other", 4.0))
    host.run(10_020.0)
    assert host.begun[begun] is first


def test_a_tenant_who_is_in_line_first_is_not_overtaken_by_those_who_come_later() -> None:
    host = SimulatedHost(slots=1)
    for _ in range(5):
        host.comes(Job("z", 10.0))
    host.run(15.0)
    waiting = host.comes(Job("a", 30.0))
    for number in range(100):
        host.comes(Job(f"later_{number}", 1.0, share=5.0))
    host.run(60.0)
    assert waiting.began_at == 20.0


def test_a_share_of_three_gets_three_times_the_seconds() -> None:
    host = SimulatedHost(slots=2)
    for _ in range(500):
        host.comes(Job("one", 5.0))
        host.comes(Job("three", 7.0, share=3.0))
    host.run(600.0)
    assert served_s(host, "three") == pytest.approx(3 * served_s(host, "one"), abs=3 * 2 * 7.0)


@each_row("claimed_s", [0.0, 0.1, 5.0, 500.0])
def test_a_false_estimate_gains_nothing(claimed_s: float) -> None:
    host = SimulatedHost(slots=2)
    for _ in range(500):
        host.comes(Job("honest", 10.0))
        host.comes(Job("other", 10.0, estimated_s=claimed_s))
    host.run(2000.0)
    assert served_s(host, "other") <= served_s(host, "honest") + 2 * 10.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 60.0), st.booleans()), max_size=30))
def test_a_job_that_need_not_wait_counts_as_one_that_came_and_went(
    jobs: list[tuple[str, float, bool]],
) -> None:
    """By the order in which jobs of these tenants go afterwards."""
    orders: list[list[str]] = []
    for begins_at_once in (False, True):
        order: FairOrder[Ticket] = FairOrder()
        for tenant, seconds, ends in jobs:
            ticket = Ticket(tenant, seconds)
            if begins_at_once:
                order.begin(ticket)
            else:
                order.push(ticket)
                order.pop()
            if ends:
                order.end(ticket, seconds / 2)
        for tenant in "abcabcabc":
            order.push(Ticket(tenant, 5.0))
        orders.append([order.pop().tenant for _ in range(9)])
    assert orders[0] == orders[1]


def test_seconds_beyond_the_estimate_count_while_they_are_made() -> None:
    order: FairOrder[Ticket] = FairOrder()
    understated = [Ticket("a", 0.3), Ticket("a", 0.3)]
    for ticket in (*understated, Ticket("b", 5.0), Ticket("b", 5.0)):
        order.push(ticket)
    assert order.pop() is understated[0]
    assert order.pop().tenant == "b"
    order.note_made(understated[0], 60.0)
    assert order.pop().tenant == "b"
    assert order.pop() is understated[1]


def test_idling_gains_nothing() -> None:
    host = SimulatedHost(slots=1)
    for _ in range(300):
        host.comes(Job("busy", 4.0))
    host.run(401.0)
    for _ in range(100):
        host.comes(Job("idle", 4.0))
    host.run(804.0)
    busy_s = served_s(host, "busy") - 400.0
    assert served_s(host, "idle") == pytest.approx(busy_s, abs=4.0)


def test_a_newcomer_takes_no_slots_in_a_row_for_the_time_before_it_came() -> None:
    order: FairOrder[Ticket] = FairOrder()
    for _ in range(20):
        order.push(Ticket("busy", 4.0))
    for _ in range(10):
        order.end(order.pop(), 4.0)
    for _ in range(3):
        order.push(Ticket("new", 4.0))
    assert [order.pop().tenant for _ in range(3)] == ["new", "busy", "new"]


def test_a_refund_gives_no_credit_for_a_time_when_nobody_waited() -> None:
    """It overstates one long job, is away while others are served, and comes back before that job ends."""
    order: FairOrder[Ticket] = FairOrder()
    overstated = Ticket("a", 100.0)
    order.push(overstated)
    order.pop()
    for _ in range(30):
        order.push(Ticket("b", 10.0))
    for _ in range(20):
        ended = order.pop()
        order.end(ended, 10.0)
    for _ in range(10):
        order.push(Ticket("a", 10.0))
    order.end(overstated, 0.0)
    assert "".join(order.pop().tenant for _ in range(10)) in ("ab" * 5, "ba" * 5)


def test_one_ahead_of_its_share_is_remembered_while_it_is_away() -> None:
    order: FairOrder[Ticket] = FairOrder()
    long = Ticket("a", 1.0)
    for ticket in (long, Ticket("b", 10.0), Ticket("b", 10.0), Ticket("b", 10.0)):
        order.push(ticket)
    assert order.pop() is long
    order.pop()
    order.end(long, 15.0)  # away, and 15 s ahead
    order.push(Ticket("a", 1.0))
    assert [order.pop().tenant for _ in range(3)] == ["b", "a", "b"]


def test_a_tenant_who_was_served_beside_others_keeps_its_debt_beyond_its_share() -> None:
    """While two jobs run and nobody waits, ten seconds of one of them are five seconds for everybody."""
    order: FairOrder[Ticket] = FairOrder()
    beside, long = Ticket("stays", 1_000.0), Ticket("a", 10.0)
    for ticket in (beside, long):
        order.push(ticket)
        order.pop()
    order.end(long, 10.0)
    order.push(Ticket("a", 1.0))
    order.push(Ticket("new", 1.0))
    assert [order.pop().tenant for _ in range(2)] == ["new", "a"]


def test_a_tenant_long_gone_is_forgotten_though_the_host_never_rests() -> None:
    order: FairOrder[Ticket] = FairOrder()
    stays = Ticket("stays", 1.0)
    order.push(stays)
    order.pop()
    for number in range(1_000):
        order.push(Ticket(f"acc_{number}", 2.0))
        order.end(order.pop(), 2.0)
        given_up = Ticket(f"gave_up_{number}", 1.0)
        order.push(given_up)
        order.discard(given_up)
    assert repr(order) in (f"<FairOrder of {few} tenants, 0 waiting>" for few in (1, 2, 3))
    order.end(stays, 1.0)
    assert repr(order) == "<FairOrder of 0 tenants, 0 waiting>"


def test_seconds_that_were_taken_while_nobody_waited_are_no_debt_for_ever() -> None:
    """One that spoke for a minute when nobody else wanted to is not put behind all who come later."""
    host = SimulatedHost(slots=2)
    host.comes(Job("stays", 100_000.0))
    host.comes(Job("a", 60.0))
    for number in range(20):
        host.run(60.0 + 10.0 * number)
        host.comes(Job(f"other_{number}", 10.0))
    for number in range(3):
        host.comes(Job(f"ahead_{number}", 10.0))
    back = host.comes(Job("a", 10.0))
    for number in range(20):
        host.comes(Job(f"later_{number}", 10.0))
        host.run(host.now + 10.0)
    assert back.began_at == back.came_at + 4 * 10.0


def test_a_turn_is_never_free() -> None:
    host = SimulatedHost(slots=1)
    for _ in range(40):
        host.comes(Job("nothing", 0.0))
        host.comes(Job("something", 2 * LEAST_S))
    host.run(10 * LEAST_S)
    begun = [job.tenant for job in host.begun]
    assert begun.count("nothing") <= 2 * begun.count("something") + 1
