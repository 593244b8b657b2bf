"""The last days of models: of the known hosts, and as a host's own list has them."""

from plugins.openai import lists
from plugins.openai.server import shutdown_date_at
from plugins.openai.settings import OpenAISettings
from speech_engine.plugin import KnowsShutdowns
from tests.plugins.openai.upstream import pair
from tests.tables import each_row


@each_row(
    ("base_url", "model", "day"),
    [
        ("https://api.openai.com/v1", "tts-1", "2027-01-06"),
        ("https://API.openai.com/v1", "gpt-realtime", "2027-01-20"),
        ("https://eu.api.openai.com/v1", "tts-1-hd", "2027-01-06"),
        ("https://mine.openai.azure.com/openai/v1", "tts-hd", "2026-12-15"),
        ("https://openrouter.ai/api/v1", "openai/gpt-4o-mini-tts", "2027-01-06"),
        ("https://openrouter.ai/api/v1", "tts-1", ""),
        ("https://notapi.openai.com.example/v1", "tts-1", ""),
        ("http://127.0.0.1:8000/v1", "tts-1", ""),
        ("https://api.openai.com/v1", "gpt-realtime-2.1-mini", ""),
    ],
)
def test_each_host_has_days_of_its_own(base_url: str, model: str, day: str) -> None:
    assert shutdown_date_at(base_url, model) == day
    assert OpenAISettings(base_url=base_url).model(model).shutdown_date == day


def test_settings_can_be_asked_without_a_server() -> None:
    assert isinstance(OpenAISettings(), KnowsShutdowns)


def test_a_list_says_it_as_openais_does() -> None:
    listed = {"data": [{"id": "a", "shutdown_date": "2027-02-01"}, {"id": "b", "shutdown_date": None}, "c"]}
    assert lists.shutdown_dates(listed) == {"a": "2027-02-01"}


async def test_what_a_host_says_itself_counts_first() -> None:
    async with pair("odd") as (engine, _):
        await engine.refresh()
        days = {info.id: info.shutdown_date for info in engine.models()}
        assert (days["tts-1"], days["tts-1-hd"]) == ("2028-03-04", "")
