"""An answer frees its encoder and its files at its end: none waits for a collection of garbage."""

from collections import Counter
from pathlib import Path

from tests.garbage import garbage
from tests.proxy.api.inside import inside

_FORMS: tuple[dict[str, object], ...] = (
    {"response_format": "mp3"},
    {"response_format": "wav"},  # a whole file
    {"response_format": "json", "audio_format": "mp3"},
)


async def test_an_answer_leaves_no_cycles_in_memory(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        for form in _FORMS:
            assert (await server.speech("Hello there.", **form)).status_code == 200, "it loads libraries"
            found = Counter[str]()
            with garbage(found):
                assert (await server.speech("Hello there.", **form)).status_code == 200
            assert found["Answer"] == found["SpilledBytes"] == found["CompressedEncoder"] == 0, (form, found)
