"""The lean client on both event loops: workers run uvloop, tests and commands asyncio's own."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import uvloop

from tests.proxy.engines import test_http1 as bodies
from tests.proxy.engines import test_upstream_http as more
from tests.tables import each_row

pytestmark = pytest.mark.slow

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
BODIES = (
    bodies.test_a_connection_that_closed_while_idle_is_not_used,
    bodies.test_a_get_that_meets_a_closed_connection_is_answered_by_another,
    bodies.test_an_answer_can_be_read_while_its_connection_serves_another,
    bodies.test_a_slow_reader_slows_its_provider_down,
    bodies.test_the_connection_that_was_idle_longest_makes_room,
    bodies.test_a_greeting_without_an_answer_gives_its_place_back,
    bodies.test_a_server_that_closes_before_it_is_asked_is_nobody_reached,
    bodies.test_a_client_that_is_closed_ends_what_is_under_way,
    bodies.test_a_literal_address_of_ipv6_is_asked,
    bodies.test_a_private_connection_is_used_again,
    bodies.test_a_certificate_for_another_address_is_nobody_reached,
    more.test_a_thousand_cancelled_requests_leave_every_connection_free,
    more.test_a_slow_drip_is_an_answer_as_long_as_it_drips,
    partial(more.through_a_tunnel, False),
    partial(more.through_a_tunnel, True),
    more.test_a_proxy_that_says_nothing_is_waited_for_no_longer_than_the_provider,
)


@each_row("loop", LOOPS)
@each_row("body", BODIES)
def test_a_loop_makes_no_difference_and_has_nothing_to_complain(
    loop: str, body: Callable[[], Awaitable[None]]
) -> None:
    complaints: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        await body()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(run())
    assert complaints == []
