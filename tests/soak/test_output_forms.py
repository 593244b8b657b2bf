"""Every format at every rate, as the short twin asks for some."""

from __future__ import annotations

import pytest

from tests.proxy.speech.test_output_forms import FEW_FORMS, FORMS, key, server
from tests.proxy.speech.test_output_forms import (
    test_the_words_are_heard_at_every_rate_and_each_second_is_charged as assert_heard_and_charged,
)
from tests.server import Server

__all__ = ["key", "server"]


@pytest.mark.parametrize(("name", "rate_hz"), [form for form in FORMS if form not in FEW_FORMS])
def test_the_words_are_heard_at_every_rate_and_each_second_is_charged(
    server: Server, key: str, name: str, rate_hz: int | None
) -> None:
    assert_heard_and_charged(server, key, name, rate_hz)
