"""The rows of the checklist by all clients but the newest SDKs, and those that start many servers."""

from __future__ import annotations

import httpx2
import pytest

from tests.clients.checklist import ROWS
from tests.clients.runs import Programs
from tests.clients.servers import Servers
from tests.clients.test_checklist import FEW, PROVEN_IN_SOAK, visit


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("client", FEW)
def test_another_client_saw_what_its_row_says(
    servers: Servers, programs: Programs, admin: httpx2.Client, row: int, client: str
) -> None:
    if client in ROWS[row].judged:
        visit(servers, programs, admin, row, client)


@pytest.mark.parametrize("row", PROVEN_IN_SOAK)
def test_a_client_sends_what_its_row_says(servers: Servers, row: int) -> None:
    for prove in ROWS[row].proven.values():
        prove(servers)
