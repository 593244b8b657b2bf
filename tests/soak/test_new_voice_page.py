"""The card of a new voice in all looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import Tab
from tests.proxy.api.test_new_voice_page import browser, key, server
from tests.proxy.api.test_new_voice_page import test_everybody_can_read_it as everybody_can_read_it
from tests.proxy.api.try_page import ALL_LOOKS, Looks
from tests.server import Server

__all__ = ["browser", "key", "server"]


@pytest.mark.parametrize("looks", [ALL_LOOKS])
def test_everybody_can_read_it(
    browser: Tab, server: Server, key: str, tmp_path: Path, looks: tuple[Looks, ...]
) -> None:
    everybody_can_read_it(browser, server, key, tmp_path, looks)
