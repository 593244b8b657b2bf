"""The card of detection in all looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import Tab
from tests.proxy.api.test_detection_card import browser, page, server, spoken
from tests.proxy.api.test_detection_card import test_everybody_can_read_it as everybody_can_read_it
from tests.proxy.api.try_page import ALL_LOOKS, Looks
from tests.server import Server

__all__ = ["browser", "page", "server", "spoken"]


@pytest.mark.parametrize("looks", [ALL_LOOKS])
def test_everybody_can_read_it(
    page: Tab, server: Server, spoken: bytes, tmp_path: Path, looks: tuple[Looks, ...]
) -> None:
    everybody_can_read_it(page, server, spoken, tmp_path, looks)
