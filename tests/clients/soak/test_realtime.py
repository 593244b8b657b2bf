"""The rows that a realtime model reads aloud, by the SDK for Node."""

from __future__ import annotations

import httpx2
import pytest

from tests.clients.checklist import ROWS
from tests.clients.runs import Programs
from tests.clients.servers import Servers
from tests.clients.test_realtime import JUDGED_JS7, OF_THE_PORT, admin, expect_what_it_saw, programs, servers

__all__ = ["admin", "programs", "servers"]


@pytest.mark.parametrize("row", JUDGED_JS7)
def test_the_sdk_for_node_sees_what_it_saw(
    servers: Servers,
    programs: Programs,
    admin: httpx2.Client,
    row: int,
) -> None:
    expect_what_it_saw(servers, programs, admin, row, "js7")


@pytest.mark.parametrize("row", OF_THE_PORT)
def test_the_port_is_as_it_was(servers: Servers, row: int) -> None:
    for prove in ROWS[row].proven.values():
        prove(servers)
