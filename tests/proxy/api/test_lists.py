"""Models and voices as clients list them, and who may."""

from pathlib import Path

import pytest

from tests.proxy.api.inside import TONE, inside
from tests.tables import each_row

pytestmark = pytest.mark.slow

VOICES = """
[voices.ana]
tone = "tone"
language = "pt-BR"
gender = "female"
[voices.bea]
tone = "tone"
language = "pt"
[voices.chai]
tone = "tone"
language = "th"
gender = "male"
"""


@each_row(
    ("query", "found"),
    [
        ("", {"ana", "bea", "chai", "alloy"}),
        ("language=pt", {"ana", "bea", "alloy"}),
        ("language=PT-br", {"ana", "alloy"}),
        ("language=th", {"chai", "alloy"}),
        ("language=th&gender=female", set()),
        ("gender=Male", {"chai"}),
        ("language=&gender=", {"ana", "bea", "chai", "alloy"}),
        ("language=xx", {"alloy"}),
    ],
)
async def test_voices_are_filtered_by_language_and_gender(
    tmp_path: Path, query: str, found: set[str]
) -> None:
    async with inside(tmp_path, TONE + VOICES) as server:
        body = (await server.ask("GET", f"/v1/voices?{query}")).json()
    own = {voice["id"] for voice in body["data"] if "/" not in voice["id"]}
    assert own == found


async def test_voices_of_the_language_come_before_those_of_any(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE + VOICES) as server:
        listed = [
            voice["language"] for voice in (await server.ask("GET", "/v1/voices?language=pt")).json()["data"]
        ]
        pages, after = [], ""
        for _ in listed:
            page = (await server.ask("GET", f"/v1/voices?language=pt&limit=1{after}")).json()["data"]
            pages += [voice["language"] for voice in page]
            after = f"&after={page[0]['id']}"
    assert listed == pages == sorted(listed, key=lambda tag: tag is None)
    assert None in listed
