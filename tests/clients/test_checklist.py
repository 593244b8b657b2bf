"""The checklist, cell by cell: real clients on a real port, against what `make serve` starts."""

import httpx2
import pytest

from tests.clients.checklist import ROWS, cells, why_not
from tests.clients.clients import CLIENTS
from tests.clients.environments import Absent
from tests.clients.runs import COMMANDS, Programs
from tests.clients.servers import Servers
from tests.clients.visits import Visit
from tests.tables import each_row

pytestmark = pytest.mark.slow

FEW: dict[str, tuple[int, ...]] = {
    "py1": (),
    "js6": (),
    "vercel": (41,),
}
"""Of clients that are not the newest SDKs, the rows that are theirs alone: `soak` has all."""

PROVEN_IN_SOAK = (40,)
"""It starts a server in front of a dozen fakes."""

_JUDGED = [
    (row, client) for client in CLIENTS for row in FEW.get(client, tuple(ROWS)) if client in ROWS[row].judged
]
_PROVEN = [
    (row, client)
    for client in CLIENTS
    for row in ROWS
    if row not in PROVEN_IN_SOAK and client in ROWS[row].proven
]


def _ids(cells: list[tuple[int, str]]) -> list[str]:
    return [f"row-{row}-{client}" for row, client in cells]


@each_row(("row", "client"), _JUDGED, ids=_ids(_JUDGED))
def test_a_client_saw_what_its_row_says(
    servers: Servers, programs: Programs, admin: httpx2.Client, row: int, client: str
) -> None:
    visit(servers, programs, admin, row, client)


@each_row(("row", "client"), _PROVEN, ids=_ids(_PROVEN))
def test_a_client_sends_what_its_row_says(servers: Servers, row: int, client: str) -> None:
    ROWS[row].proven[client](servers)


@pytest.mark.soak
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("client", FEW)
def test_another_client_saw_what_its_row_says(
    servers: Servers, programs: Programs, admin: httpx2.Client, row: int, client: str
) -> None:
    if client in ROWS[row].judged:
        visit(servers, programs, admin, row, client)


@pytest.mark.soak
@pytest.mark.parametrize("row", PROVEN_IN_SOAK)
def test_a_client_sends_what_its_long_row_says(servers: Servers, row: int) -> None:
    for prove in ROWS[row].proven.values():
        prove(servers)


def test_every_cell_is_proven_once_or_says_why_not() -> None:
    assert list(ROWS) == list(range(1, 42))
    for number, row in ROWS.items():
        assert row.behaviour, number
        assert not set(row.judged) & set(row.proven), number
        assert {*row.judged, *row.proven} <= set(CLIENTS), number
        assert all(why_not(row, client) for client in CLIENTS if client not in cells(row)), number


def test_every_client_is_met() -> None:
    assert set(COMMANDS) == {client for _, client in _JUDGED} | FEW.keys()
    assert set(CLIENTS) == {client for _, client in (*_JUDGED, *_PROVEN)} | FEW.keys()


def visit(servers: Servers, programs: Programs, admin: httpx2.Client, row: int, client: str) -> None:
    try:
        program = programs.of(client)
    except Absent as absent:
        pytest.skip(str(absent))
    ROWS[row].judged[client](Visit(client, row, program, servers, admin))
