"""Five hundred texts, one after the other and six at once: Pocket's memory does not grow."""

from __future__ import annotations

import pytest

from tests.plugins.neural import interpreter, run_module

pytestmark = pytest.mark.soak


def test_memory_stays_flat_over_five_hundred_texts() -> None:
    interpreter("pocket")
    run_module("pocket", "tests.plugins.pocket.many_texts", "500")
