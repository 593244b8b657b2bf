"""FairOrder and the forecast over it: what always holds, whoever comes, makes more or less, or gives up."""

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.simulated_host import Job, SimulatedHost
from speech_engine.host.fair import forecast


class Arrival(NamedTuple):
    tenant: str
    after_s: float
    real_s: float
    estimated_s: float
    share: float
    gives_up: bool


SECONDS = st.floats(0.0, 30.0)
ARRIVALS = st.lists(
    st.builds(
        Arrival,
        st.sampled_from("abcd"),
        st.floats(0.0, 10.0),
        SECONDS,
        SECONDS,
        st.sampled_from([0.5, 1.0, 3.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)
SLOTS = st.integers(1, 4)


def _assert_in_order(host: SimulatedHost) -> None:
    assert len(host.running) == host.order.running <= host.slots
    assert not host.order.waiting or len(host.running) == host.slots, "a slot is free while somebody waits"


@given(slots=SLOTS, arrivals=ARRIVALS)
@settings(deadline=None)
def test_each_job_runs_once_in_its_tenants_order_and_no_slot_idles(
    slots: int, arrivals: list[Arrival]
) -> None:
    host, came, gone = SimulatedHost(slots), [], []
    for arrival in arrivals:
        host.run(host.now + arrival.after_s)
        _assert_in_order(host)
        job = host.comes(Job(arrival.tenant, arrival.real_s, arrival.estimated_s, arrival.share))
        if arrival.gives_up and job.began_at < 0.0:
            host.order.discard(job)
            gone.append(job)
        else:
            came.append(job)
        _assert_in_order(host)
    while host.running:
        host.step()
        _assert_in_order(host)
    assert host.order.waiting == 0
    assert sorted(map(id, host.begun)) == sorted(map(id, host.ended)) == sorted(map(id, came))
    for tenant in "abcd":
        begun = [job for job in host.begun if job.tenant == tenant]
        assert begun == [job for job in came if job.tenant == tenant]
    assert repr(host.order) == "<FairOrder of 0 tenants, 0 waiting>"


@given(slots=SLOTS, arrivals=ARRIVALS)
@settings(deadline=None)
def test_a_forecast_comes_true_when_estimates_are_true_and_nobody_else_comes(
    slots: int, arrivals: list[Arrival]
) -> None:
    host = SimulatedHost(slots)
    for arrival in arrivals:
        host.run(host.now + arrival.after_s)
        host.comes(Job(arrival.tenant, arrival.real_s, share=arrival.share))
    now = host.now
    free_in_s = [job.began_at + job.real_s - now for job in host.running]
    foretold = list(forecast(host.order.order(), free_in_s, 1.0, lambda job: True))
    begun = len(host.begun)
    while host.running:
        host.step()
    assert [job for job, _ in foretold] == host.begun[begun:]
    for job, starts_in_s in foretold:
        assert job.began_at - now == pytest.approx(starts_in_s, abs=1e-6)


@given(arrivals=ARRIVALS)
@settings(deadline=None)
def test_a_job_that_is_next_in_its_line_is_not_put_back_by_newcomers(arrivals: list[Arrival]) -> None:
    """However many come after it, and whatever their shares: it is their seconds that begin later."""
    host = SimulatedHost(slots=1)
    host.comes(Job("z", 1.0))
    for arrival in arrivals:
        before = list(host.order.order())
        heads = [job for at, job in enumerate(before) if job.tenant not in {b.tenant for b in before[:at]}]
        ahead = {job: before[: before.index(job)] for job in heads}
        host.comes(Job(arrival.tenant, arrival.real_s, arrival.estimated_s, arrival.share))
        after = list(host.order.order())
        assert {job: after[: after.index(job)] for job in heads} == ahead


@given(free_in_s=st.lists(SECONDS, min_size=1, max_size=4), arrivals=ARRIVALS, pace=st.floats(0.01, 3.0))
def test_a_job_that_is_sent_away_on_hearing_its_wait_keeps_nobody_waiting(
    free_in_s: list[float], arrivals: list[Arrival], pace: float
) -> None:
    jobs = [Job(arrival.tenant, arrival.real_s) for arrival in arrivals]
    gone = {job for job, arrival in zip(jobs, arrivals, strict=True) if arrival.gives_up}
    heard: set[Job] = set()
    starts = []
    for job, starts_in_s in forecast(jobs, free_in_s, pace, lambda job: job not in heard):
        if job in gone:
            heard.add(job)
        else:
            starts.append(starts_in_s)
    stayed = [job for job in jobs if job not in gone]
    assert starts == [s for _, s in forecast(stayed, free_in_s, pace, lambda job: True)]
    assert starts == sorted(starts)
