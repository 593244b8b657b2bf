"""Each word of two hundred sentences has a time in a real answer, in the order of the text."""

import re
from collections.abc import Iterator
from itertools import groupby, pairwise, product
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.espeak.heard import espeak
from tests.plugins.pycld2.sentences import samples
from tests.proxy.api.inside import inside

pytestmark = pytest.mark.slow

CONFIG = """
[engines.espeak]
[models]
m = ["espeak/standard"]
"""
SPOKEN = ("en", "pt", "es", "fr", "de", "it", "nl", "tr", "pl", "ru", "id", "sv")
# What the library says in one go, with one mark.
MADE = [
    f"{place} {what} of the {who} it is as good as it was."
    for place, what, who in product(
        ("In the", "Out of the", "From the", "On the 2nd", "To a"),
        ("house", "garden", "end"),
        ("king", "old man", "sea", "3 sisters"),
    )
]
TOGETHER = 10
"""Sentences of one request."""


async def test_each_word_of_two_hundred_sentences_has_a_time(tmp_path: Path) -> None:
    texts = [("en", text) for text in MADE]
    texts += [(each.language, each.text) for each in samples() if each.language in SPOKEN]
    told: list[dict[str, Any]] = []
    async with espeak() as engine, inside(tmp_path, CONFIG, {"espeak": engine}) as server:
        for language, alike in groupby(texts[:200], key=itemgetter(0)):
            for lines in batched([text for _, text in alike], TOGETHER):
                fields = {"model": "m", "voice": "espeak/f3", "input": " ".join(lines), "language": language}
                body = {**fields, "response_format": "json", "audio_format": "pcm", "sample_rate": 8000}
                answer = (await server.ask("POST", "/v1/audio/speech", body=body)).json()
                told += answer["words"]
                assert_each_word_is_timed(str(fields["input"]), answer)
    assert len(texts) >= 200
    # The library tells nine of ten itself.
    assert 0 < sum(word.get("interpolated", False) for word in told) < 0.15 * len(told)


def assert_each_word_is_timed(text: str, answer: dict[str, Any]) -> None:
    words = answer["words"]
    starts = [word["start_seconds"] for word in words]
    assert starts == sorted(starts), text
    assert 0 <= starts[0] <= starts[-1] <= answer["duration_seconds"], text
    assert all(one["source_end"] <= two["source_start"] for one, two in pairwise(words)), text
    timed = {at for word in words for at in range(word["source_start"], word["source_end"])}
    for token in re.finditer(r"[^\s–—]+", text):
        if any(map(str.isalnum, token[0])):
            assert timed & {*range(*token.span())}, (text, token[0])


def batched(lines: list[str], size: int) -> Iterator[list[str]]:
    yield from (lines[at : at + size] for at in range(0, len(lines), size))
