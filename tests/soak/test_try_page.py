"""The page at / in all looks."""

from __future__ import annotations

import pytest

from tests.browser import Tab
from tests.proxy.api.test_try_page import browser, page, server
from tests.proxy.api.test_try_page import test_everybody_can_read_it as everybody_can_read_it
from tests.proxy.api.try_page import ALL_LOOKS, Looks
from tests.server import Server

__all__ = ["browser", "page", "server"]


@pytest.mark.parametrize("looks", [ALL_LOOKS])
def test_everybody_can_read_it(page: Tab, server: Server, looks: tuple[Looks, ...]) -> None:
    everybody_can_read_it(page, server, looks)
