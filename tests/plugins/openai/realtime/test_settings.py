"""The settings: their table, what is refused, and the addresses and messages that they make."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.realtime.app import MODELS
from fakes.realtime.rules import VOICES as THEIRS
from plugins.openai import realtime
from plugins.openai.realtime.settings import VOICES, RealtimeSettings
from proxy.config import fields
from speech_engine import EngineForbidden, EngineUnauthorized, Mix, UnsupportedRequest, VoiceNotFound
from speech_engine.plugin import Cautious, KnowsShutdowns
from speech_engine.testing import collect
from tests.plugins.openai.realtime.rig import MODEL, job_of, pair
from tests.plugins.openai.upstream import until_it_fails
from tests.tables import each_row

README = Path(str(realtime.__file__)).with_name("README.md").read_text()
AZURE = "https://name.openai.azure.com/openai"


def test_the_readme_has_every_setting_with_its_default() -> None:
    table = re.findall(r"^\| `(\w+)` \| (?:`(.+?)`|none) \| ", README, re.MULTILINE)
    documented = {
        name: tomllib.loads(f"value = {value}")["value"] if value else None for name, value in table
    }
    builtins = msgspec.to_builtins(RealtimeSettings())
    assert documented == {
        name: list(value) if isinstance(value, tuple) else value for name, value in builtins.items()
    }


@each_row(
    "wrong",
    [
        {"base_url": "wss://api.openai.com/v1"},
        {"base_url": "https://x/v1?key=1"},
        {"key_header": "x-api-key"},
        {"models": []},
        {"voices": [""]},
        {"substitutes": ["nova"]},
        {"substitutes": {"nova": 1}},
        {"check": "loose"},
        {"on_mismatch": "ignore"},
        {"instructions": ""},
        {"instructions": "x" * 4097},
        {"effort": "none"},
        {"ahead": 5},
        {"sessions": 0},
        {"session_s": 3601},
        {"max_characters": 0},
        {"token_weights": {"video_in": 1.0}},
        {"speed": [1.0, 1.0]},
    ],
)
def test_wrong_settings_are_refused_by_their_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    strange = fields.find_unknown_keys(RealtimeSettings, wrong)
    if strange:
        assert strange == [name]
        return
    with pytest.raises(fields.FieldFaults) as caught:
        fields.read_struct(RealtimeSettings, wrong)
    assert {fault.field.partition(".")[0] for fault in caught.value.faults} == {name}


@each_row(
    ("settings", "url", "headers"),
    [
        ({}, f"wss://api.openai.com/v1/realtime?model={MODEL}", {"authorization": "Bearer sk"}),
        (
            {"base_url": f"{AZURE}/v1", "key_header": "api-key"},
            f"wss://name.openai.azure.com/openai/v1/realtime?model={MODEL}",
            {"api-key": "sk"},
        ),
        (
            {"base_url": AZURE, "api_version": "2025-04-01-preview"},
            f"wss://name.openai.azure.com/openai/realtime?deployment={MODEL}&api-version=2025-04-01-preview",
            {"api-key": "sk"},
        ),
        ({"base_url": "http://h:1/v1", "api_key": ""}, f"ws://h:1/v1/realtime?model={MODEL}", {}),
    ],
)
def test_an_address_has_one_of_three_forms(
    settings: dict[str, Any], url: str, headers: dict[str, str]
) -> None:
    made = RealtimeSettings(**{"api_key": "sk", **settings})
    assert (made.session_url(MODEL), made.key_headers) == (url, headers)


def test_our_voices_are_theirs_and_the_thirteen_names_are_all_listed() -> None:
    assert set(VOICES) == set(THEIRS)
    listed = {voice.id for voice in RealtimeSettings().voice_infos()}
    assert listed == {*THEIRS, "fable", "nova", "onyx"}
    assert dict(RealtimeSettings().model(MODEL).substitutes)["onyx"] == "cedar"
    # A voice that the provider has needs nobody else.
    assert RealtimeSettings(voices=("onyx",)).model(MODEL).substitutes == (
        ("fable", "ballad"),
        ("nova", "coral"),
    )


def test_settings_know_the_last_days_and_warn_of_risks() -> None:
    settings = RealtimeSettings(models=("gpt-realtime",))
    assert isinstance(settings, KnowsShutdowns)
    assert isinstance(settings, Cautious)
    assert settings.model("gpt-realtime").shutdown_date == "2027-01-20"
    assert settings.cautions() == ()
    assert len(RealtimeSettings(check="off").cautions()) == 1
    assert len(RealtimeSettings(check="fast", on_mismatch="flag").cautions()) == 1
    assert "sk-secret" not in repr(RealtimeSettings(api_key="sk-secret"))


async def test_a_session_and_a_sentence_are_asked_for_as_described() -> None:
    async with pair(instructions="Read.") as both:
        job = msgspec.structs.replace(job_of("Hello.", voice="onyx", speed=1.25), instructions="Whisper.")
        await collect(both.engine, job)
        (update,), (create,) = both.fake.frames("session.update"), both.fake.frames("response.create")
    format_ = {"type": "audio/pcm", "rate": 24_000}
    assert update["session"] == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Read.",
        "audio": {
            "input": {"turn_detection": None},
            "output": {"format": format_, "voice": "cedar", "speed": 1.25},
        },
        "tools": [],
        "tool_choice": "none",
        "tracing": None,
        "reasoning": {"effort": "minimal"},
    }
    assert create["response"] == {
        "conversation": "none",
        "output_modalities": ["audio"],
        "metadata": {"sentence": "1"},
        "instructions": "Read. Whisper.",
        "audio": {"output": {"voice": "cedar", "format": format_}},
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}],
    }


@each_row("form", ["openai", "azure", "azure with a date"])
async def test_every_form_of_address_speaks_and_lists(form: str) -> None:
    more: dict[str, Any] = {"key_header": "api-key"} if form == "azure" else {}
    if form == "azure with a date":
        more = {"api_version": "2025-04-01-preview"}
    async with pair(**more) as both:
        settings = both.engine._settings
        path = {"openai": "/v1", "azure": "/openai/v1", "azure with a date": "/openai"}[form]
        msgspec.structs.force_setattr(settings, "base_url", settings.base_url.replace("/v1", path))
        await both.engine.refresh()
        assert await collect(both.engine, job_of("Hello."))
        (handshake,) = both.fake.handshakes
        assert handshake[0].startswith(f"{path}/realtime?")


async def test_a_custom_voice_is_named_as_an_object() -> None:
    async with pair(voices=("voice_123",), effort="") as both:
        await collect(both.engine, job_of("Hello.", voice="voice_123"))
        (update,) = both.fake.frames("session.update")
    session: Any = update["session"]
    assert session["audio"]["output"]["voice"] == {"id": "voice_123"}
    assert "reasoning" not in session


async def test_a_wrong_key_a_wrong_model_and_a_mix_are_refused() -> None:
    async with pair(api_key="wrong") as both:
        _, error = await until_it_fails(both.engine, job_of("Hello."))
        assert type(error) is EngineUnauthorized
        with pytest.raises(EngineUnauthorized):
            await both.engine.refresh()
    async with pair(models=(MODEL, "gpt-9")) as both:
        _, error = await until_it_fails(both.engine, job_of("Hello.", model="gpt-9"))
        assert type(error) is UnsupportedRequest
        assert "model_not_found" in error.detail
        _, error = await until_it_fails(both.engine, job_of("Hello.", voice=Mix(())))
        assert type(error) is VoiceNotFound


async def test_a_list_tells_the_last_days() -> None:
    async with pair(models=tuple(MODELS)) as both:
        await both.engine.refresh()
        days = {info.id: info.shutdown_date for info in both.engine.models()}
    assert days == {id_: day or "" for id_, day in MODELS.items()}


async def test_a_key_that_may_list_no_more_says_so_and_one_that_never_might_does_not() -> None:
    async with pair() as both:
        both.fake.may_list = False
        await both.engine.refresh()
        both.fake.may_list = True
        await both.engine.refresh()
        both.fake.may_list = False
        with pytest.raises(EngineForbidden):
            await both.engine.refresh()


async def test_a_provider_without_a_list_speaks_all_the_same() -> None:
    async with pair() as both:
        settings = both.engine._settings
        there = settings.base_url
        msgspec.structs.force_setattr(settings, "base_url", f"{there}/elsewhere")
        await both.engine.refresh()
        msgspec.structs.force_setattr(settings, "base_url", there)
        assert await collect(both.engine, job_of("Hello."))
