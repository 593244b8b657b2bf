"""Workers on PostgreSQL and Redis: one count, one page of metrics, and each may die or be cut off."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.faults.clusters import RPM, WORKERS, Asker, Cluster, answered_by, metric, readiness, workers
from tests.faults.processes import kill
from tests.waiting import until

pytestmark = pytest.mark.slow

DEAD_S = 5.0
LATE_S = 10.0
"""For an outage to be seen, or to be over: a database is waited for, and a worker is restarted."""


def test_requests_a_minute_are_exact_over_all_workers(cluster: Cluster) -> None:
    _, secret = cluster.server.mint_key("counted", plan="counted")
    asker = Asker(cluster.server, secret)
    with ThreadPoolExecutor(6) as clients:
        answers = list(clients.map(lambda _: asker.speech(), range(2 * RPM)))
    assert Counter(answer.status_code for answer in answers) == {200: RPM, 429: RPM}
    assert len({answered_by(cluster.server, answer) for answer in answers if answer.is_success}) > 1
    for answer in answers:
        assert answer.headers["x-ratelimit-limit-requests"] == str(RPM)
        if answer.status_code == 429:
            assert answer.json()["error"]["code"] == "rate_limit_exceeded"
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert answer.headers["x-ratelimit-remaining-requests"] == "0"


def test_a_revoked_key_is_dead_on_every_worker_within_five_seconds(cluster: Cluster) -> None:
    id_, secret = cluster.server.mint_key("leaver", plan="spare")
    asker = Asker(cluster.server, secret)
    believed: set[int] = set()
    while len(believed) < WORKERS:  # each has looked at it, and believes it
        believed.add(answered_by(cluster.server, asker.models()))
    with cluster.server.control() as control:
        control.delete(f"/admin/keys/{id_}").raise_for_status()
    revoked, refused = time.monotonic(), set[int]()
    while len(refused) < WORKERS:
        asked, answer = time.monotonic(), asker.models()
        if answer.status_code == 200:
            assert asked - revoked < DEAD_S
        else:
            assert answer.status_code in (401, 429)
            refused.add(answered_by(cluster.server, answer))
    assert all(not asker.models().is_success for _ in range(5 * WORKERS))


def test_a_killed_worker_is_missed_by_nobody_but_its_own_clients(cluster: Cluster) -> None:
    asker, statuses, broken = Asker(cluster.server, cluster.server.key), Counter[int](), 0
    victim = workers(cluster.server)[1]
    with ThreadPoolExecutor(3) as clients:
        asked = [clients.submit(asker.speech) for _ in range(90)]
        until(lambda: sum(each.done() for each in asked) >= 10)
        kill(victim)
        for each in asked:
            try:
                statuses[each.result().status_code] += 1
            except httpx2.TransportError:
                broken += 1
    assert set(statuses) == {200}
    assert broken <= 3, "no more than were under way"
    until(lambda: metric(cluster.server, "voxgate_workers_ready") == WORKERS)
    assert workers(cluster.server)[1].pid != victim.pid


def test_without_redis_nobody_is_let_through_uncounted_and_it_is_found_again(cluster: Cluster) -> None:
    _, secret = cluster.server.mint_key("limited", plan="counted")
    asker = Asker(cluster.server, secret)
    assert asker.speech().status_code == 200
    cluster.redis.stop()
    try:
        for _ in range(2 * WORKERS):
            answer = asker.speech()
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "limits_unavailable")
            assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert readiness(cluster.server) == (503, ["limits: requests cannot be counted"])
    finally:
        cluster.redis.start()
    for _ in range(2 * WORKERS):
        assert asker.speech().status_code == 200
    assert readiness(cluster.server) == (200, [])


def test_without_postgresql_requests_are_told_to_come_again_and_it_is_found_again(cluster: Cluster) -> None:
    asker = Asker(cluster.server, cluster.server.key)
    assert asker.speech().status_code == 200
    cluster.postgres.stop()
    try:
        for _ in range(2 * WORKERS):
            answer = asker.speech()
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unavailable")
            assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert readiness(cluster.server) == (503, ["storage: the database does not answer"])
    finally:
        cluster.postgres.start()
    until(lambda: all(asker.speech().status_code == 200 for _ in range(2 * WORKERS)), LATE_S)
    until(lambda: readiness(cluster.server) == (200, []))
