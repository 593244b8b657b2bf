"""Sentences to read for a training: enough of them in each language, and each one of a good length."""

from pathlib import Path

from policies import estimate
from proxy.features.jobs.kinds.training.training_input import LEAST_RECORDINGS
from proxy.features.own_voices.clips import MOST_RECORDINGS
from proxy.features.own_voices.trained.prompt_texts import PROMPTS
from proxy.features.own_voices.trained.prompts import NEEDED_RECORDINGS
from tests.proxy.api.inside import TONE, envelope, inside
from tests.replies import json_of
from tests.tables import each_row


async def test_they_are_listed_by_language(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE) as server:
        for asked, language in (("", "en"), ("th", "th"), ("pt-BR", "pt")):
            listed = json_of(await server.ask("GET", f"/v1/audio/voice_prompts?language={asked}"))
            assert (listed["language"], listed["needed"]) == (language, 20)
            assert [row["text"] for row in listed["data"]] == list(PROMPTS[language])
            assert listed["data"][0]["id"] == f"{language}-01"
        unknown = await server.ask("GET", "/v1/audio/voice_prompts?language=xx")
        assert (unknown.status_code, envelope(unknown)["param"]) == (400, "language")


@each_row("language", PROMPTS)
def test_each_is_read_in_a_few_seconds_and_none_comes_twice(language: str) -> None:
    texts = PROMPTS[language]
    assert NEEDED_RECORDINGS == LEAST_RECORDINGS <= len(texts) == len(set(texts)) == MOST_RECORDINGS
    for text in texts:
        assert 3.5 <= estimate.speech_seconds(text, 1.0) <= 10.0, text
        assert sum(each.count(text) for each in texts) == 1
