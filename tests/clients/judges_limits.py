"""What must be true of what a client is told at its plan's limits, and of what it is charged."""

import re
import time
from typing import Any

from tests.clients.limited import MICRO_USD_A_SECOND, RPM, reset_s
from tests.clients.servers import seconds, texts
from tests.clients.visits import TEXT, Visit, audio

_IN_TIME_S = 60.0
_MICRO = 1_000_000
# When it will be better is for people: a program is told not to wait for it.
_NOTHING_LEFT = r"'once' has 0 left until \d{4}-\d\d-\d\d\."
# How often each sends a speech that breaks off midway, left to itself: those of Node return with its headers.
_SENT = {"py3": 3, "py1": 3, "js7": 1, "js6": 1, "vercel": 3}


def asked_again_when_there_is_room(visit: Visit) -> None:
    seen = _seen_a_second_before_the_end(visit)
    error, expected = seen["error"], "AI_APICallError" if visit.client == "vercel" else "RateLimitError"
    assert (error["class"], error["status"]) == (expected, 429)
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    told = f"Rate limit reached for your plan 'paced': {RPM} requests a minute. Try again in 1 s."
    assert told in error["message"]
    refused, passed = seen["exchanges"]
    assert (refused["status"], refused["headers"]["retry-after"]) == (429, "1")
    assert "x-should-retry" not in refused["headers"]
    assert (passed["status"], "retry-after" in passed["headers"]) == (200, False)
    # Two of the three are a good half minute from their end, and the new one takes the place of the third.
    for exchange in (refused, passed):
        assert exchange["headers"]["x-ratelimit-limit-requests"] == str(RPM)
        assert exchange["headers"]["x-ratelimit-remaining-requests"] == "0"
    assert 28 < reset_s(refused["headers"]) <= 30
    assert 58 < reset_s(passed["headers"]) <= 60
    assert texts(audio(seen["answer"]), "mp3") == (TEXT,)
    if visit.client != "vercel":
        # OpenAI's SDKs count their retries in a header, and this is the second of the same request.
        assert [refused["retry"], passed["retry"]] == ["0", "1"]


def used_up_is_not_asked_again(visit: Visit) -> None:
    error = _seen_used_up(visit)["error"]
    assert (error["class"], error["status"]) == ("RateLimitError", 429)
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert re.search(_NOTHING_LEFT, error["message"])


def what_breaks_off_is_not_charged(visit: Visit) -> None:
    limited = visit.servers.limited
    account = limited.account("seconds")
    limited.speak(account).raise_for_status()
    before = limited.books(account)
    assert [row.credits for row in before.usage] == [round(seconds("Hi.") * _MICRO)]
    seen = visit.see_as(account)
    after = limited.books(account)
    broken = after.usage[len(before.usage) :]
    assert len(broken) == _SENT[visit.client]
    assert {(row.outcome, row.error, row.credits) for row in broken} == {("failed", "engine_unavailable", 0)}
    if "exchanges" in seen:
        sent = [exchange["headers"]["x-request-id"] for exchange in seen["exchanges"]]
        assert sorted(row.id for row in broken) == sorted(sent)
    # The account pays for the first speech alone, by entries and by balance; the operator for every try.
    assert [entry.request for entry in after.entries] == [row.id for row in before.usage]
    assert (after.entries, after.balances) == (before.entries, before.balances)
    costs = {cost.request: cost for cost in after.costs}
    assert len(costs) == len(after.costs) == len(after.usage)
    for row in after.usage:
        assert costs[row.id].attempt == 1
        assert costs[row.id].audio_ms >= 300
        assert costs[row.id].micro_usd == row.micro_usd
        assert abs(row.micro_usd - costs[row.id].audio_ms * MICRO_USD_A_SECOND / 1000) <= 1


def one_stream_is_one_stream(visit: Visit) -> None:
    limited = visit.servers.limited
    account = limited.account("narrow")
    seen = visit.see_as(account)
    error = seen["error"]
    assert (error["class"], error["status"]) == ("RateLimitError", 429)
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert "your plan 'narrow' allows 1 stream at the same time" in error["message"]
    assert error["retry_after"] == "1"
    # The one under way goes on, and as soon as it is closed there is room for another.
    assert seen["received"] > 0
    assert texts(audio(seen["after"]), "mp3") == (TEXT,)
    assert [row.outcome for row in limited.books(account).usage] == ["left", "finished"]


def _seen_used_up(visit: Visit) -> Any:
    """What the program saw of an account whose one credit has been spent: one refusal, for good."""
    limited = visit.servers.limited
    account = limited.account("once")
    limited.speak(account).raise_for_status()
    before = limited.books(account)
    assert [(row.outcome, row.credits) for row in before.usage] == [("finished", _MICRO)]
    seen = visit.see_as(account)
    (exchange,) = seen["exchanges"]
    assert (exchange["status"], exchange["headers"]["x-should-retry"]) == (429, "false")
    assert not {"retry-after", "retry-after-ms"} & set(exchange["headers"])
    assert limited.books(account) == before
    return seen


def _seen_a_second_before_the_end(visit: Visit) -> Any:
    """Before the oldest of a full minute leaves it. A program too late for that does the row again."""
    limited = visit.servers.limited
    account = limited.account("paced")
    for _ in range(RPM):
        limited.speak(account).raise_for_status()
    deadline = time.monotonic() + _IN_TIME_S
    while time.monotonic() < deadline:
        limited.age(account, [30.0, 40.0, 59.0])
        seen = visit.see_as(account)
        if seen["error"]["class"] != "none" and seen["exchanges"][0]["status"] == 429:
            return seen
    raise AssertionError(f"{visit.client} was too late each time, or never refused")
