"""Rows of the checklist once more, where a realtime model reads aloud what `tts-1` is asked to say."""

from collections.abc import Iterator

import httpx2
import pytest

from plugins.tone.decode import DamagedFrame
from tests.clients.checklist import ROWS
from tests.clients.environments import Absent
from tests.clients.runs import Programs, programs_of
from tests.clients.servers import Servers, servers_in
from tests.clients.visits import Visit
from tests.plugins.openai.realtime.programs import running_fake
from tests.tables import each_row

pytestmark = pytest.mark.slow

_ROWS = (*range(1, 11), 13, 17, 18, 20, 22, 23, 26, 27)
OF_THE_PORT = (12, 28, *range(32, 37))
"""Whatever engine is behind it: `soak` has them here too."""
# Row 11 listens to the speed 4. A session does less, and what voxgate stretches has no tones any more.
_JUDGED = [row for row in (*_ROWS, 11) if "py3" in ROWS[row].judged]
JUDGED_JS7 = [row for row in (*_ROWS, 11, *OF_THE_PORT) if "js7" in ROWS[row].judged]
_PROVEN = [(row, client) for row in _ROWS for client in ROWS[row].proven]
_FOR_EVER = 1_000_000
# The voices of trouble that clients ask for are voices of the provider, which does as it was told.
_TROUBLE = {
    "fail": ("ash", "fail"),
    "bug": ("ballad", "fail"),
    "busy": ("coral", "fail"),
    "unavailable": ("shimmer", "fail"),
    "fail-late": ("echo", "drop"),
    "slow": ("sage", "slow"),
}
_SUBSTITUTES = ", ".join(f'{name} = "{voice}"' for name, (voice, _) in _TROUBLE.items())
_ENGINES = """
[engines.tone]
%s
[engines.tone44k]
%s
[engines.tone16k]
plugin = "tone"
sample_rate_hz = 16000
voices = ["tone", "only-here"]
[engines.doomed]
plugin = "tone"
"""
_REALTIME = f"""
plugin = "openai-realtime"
base_url = "{{url}}/v1"
api_key = "sk-good"
models = ["standard"]
check = "fast"
first_audio_s = 60
max_characters = 4096
substitutes = {{{{ {_SUBSTITUTES}, tone = "marin" }}}}
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running_fake("--model", "standard") as fake:
        fake.script([{"do": do, "voice": voice, "count": _FOR_EVER} for voice, do in _TROUBLE.values()])
        section = _REALTIME.format(url=fake.url)
        with servers_in(tmp_path_factory.mktemp("realtime"), _ENGINES % (section, section)) as running:
            yield running


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Iterator[Programs]:
    with programs_of(tmp_path_factory.mktemp("programs"), servers.shut.server) as running:
        yield running


@pytest.fixture(scope="module")
def admin(servers: Servers) -> Iterator[httpx2.Client]:
    server = servers.shut.server
    with server.client(server.mint_key(role="admin").secret) as client:
        yield client


@each_row("row", _JUDGED)
def test_a_client_sees_what_it_saw(
    servers: Servers, programs: Programs, admin: httpx2.Client, row: int
) -> None:
    expect_what_it_saw(servers, programs, admin, row, "py3")


def expect_what_it_saw(
    servers: Servers, programs: Programs, admin: httpx2.Client, row: int, client: str
) -> None:
    try:
        program = programs.of(client)
    except Absent as absent:
        pytest.skip(str(absent))
    visit = Visit(client, row, program, servers, admin)
    if row != 11:
        ROWS[row].judged[client](visit)
        return
    with pytest.raises(DamagedFrame):
        ROWS[row].judged[client](visit)


@each_row(("row", "client"), _PROVEN, ids=[f"row-{row}-{client}" for row, client in _PROVEN])
def test_a_client_is_served_as_it_was(servers: Servers, row: int, client: str) -> None:
    ROWS[row].proven[client](servers)


@pytest.mark.soak
@pytest.mark.parametrize("row", JUDGED_JS7)
def test_the_sdk_for_node_sees_what_it_saw(
    servers: Servers, programs: Programs, admin: httpx2.Client, row: int
) -> None:
    expect_what_it_saw(servers, programs, admin, row, "js7")


@pytest.mark.soak
@pytest.mark.parametrize("row", OF_THE_PORT)
def test_the_port_is_as_it_was(servers: Servers, row: int) -> None:
    for prove in ROWS[row].proven.values():
        prove(servers)
