"""The row of the checklist about every state that the last minute of an account can be in."""

import re
import time

from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.rate import WINDOW_S
from tests.clients.limited import RPM, reset_s
from tests.clients.rows_requests import assert_envelope
from tests.clients.servers import Servers

# Below zero by the clock of another worker, which is a little ahead; above a minute not swept away yet.
_ages = st.lists(st.floats(-5, 65), min_size=RPM, max_size=RPM)


def retry_after_is_within_a_minute(servers: Servers) -> None:
    limited = servers.limited
    account = limited.account("paced")
    limited.speak(account).raise_for_status()

    @settings(max_examples=50, deadline=None)
    @given(_ages)
    @example([0.0] * RPM)
    @example([59.5] * RPM)
    @example([-5.0] * RPM)
    def in_every_state(ages_s: list[float]) -> None:
        began = time.monotonic()
        limited.age(account, ages_s)
        answer = limited.speak(account)
        # How long the oldest stays in the window: when it was written there, and when the answer had come.
        at_first = WINDOW_S - max(ages_s)
        at_last = at_first - (time.monotonic() - began)
        if answer.status_code == 200:
            assert at_last < 0
            return
        assert answer.status_code == 429
        assert at_first >= 0
        assert_envelope(answer, "rate_limit_exceeded")
        wait_s = answer.headers["retry-after"]
        assert re.fullmatch("[1-9][0-9]?", wait_s)
        assert int(wait_s) <= WINDOW_S
        assert f"Try again in {wait_s} s." in answer.json()["error"]["message"]
        # Not so early that the next try would be refused as well, and no more than a second too late.
        assert min(WINDOW_S, at_last) <= int(wait_s) < max(1.0, at_first) + 1
        assert 0 <= reset_s(answer.headers) <= WINDOW_S

    in_every_state()
