"""Whose fault it is that a process of ours made nothing of a recording: the file's, or the machine's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.audio.recordings.apart import MOST_TRIES, read_apart
from proxy.audio.recordings.decoder import checked_sound
from proxy.audio.recordings.recording import UnusableRecording
from proxy.errors import DecodingFailed
from proxy.helpers.helper import Helper, HelperSpec

WITHIN_S = 60.0


@pytest.fixture
async def helper(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Helper]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    module = "tests.proxy.audio.recordings.dying_child"
    spec = HelperSpec(module=module, is_for_one=True, most_tries=MOST_TRIES)
    helper = Helper(spec)
    yield helper
    await helper.close()


@pytest.mark.parametrize(
    ("how", "message", "lives"),
    [
        ("SIGSEGV", "it cannot be decoded", 2),
        ("SIGSYS", "it cannot be decoded", 2),
        ("SIGXCPU", "it takes too long to decode", 1),
        ("nonsense", "it cannot be decoded", 1),
        ("well", "it has no sound", 1),
    ],
)
async def test_a_file_that_ends_its_process_or_its_time_is_refused(
    helper: Helper, tmp_path: Path, how: str, message: str, lives: int
) -> None:
    noted = tmp_path / "lives"
    with pytest.raises(UnusableRecording, match=message):
        await read_apart(helper.ask(f"{how} {noted}".encode(), within_s=WITHIN_S), checked_sound)
    assert noted.read_text() == lives * "x"


@pytest.mark.parametrize(("how", "lives"), [("SIGKILL", 2), ("SIGTERM", 2), ("1", 2)])
async def test_a_process_that_something_else_ends_twice_leaves_the_file_for_later(
    helper: Helper, tmp_path: Path, how: str, lives: int
) -> None:
    noted = tmp_path / "lives"
    with pytest.raises(DecodingFailed):
        await read_apart(helper.ask(f"{how} {noted}".encode(), within_s=WITHIN_S), checked_sound)
    assert noted.read_text() == lives * "x"
