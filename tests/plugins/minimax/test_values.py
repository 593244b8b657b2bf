"""What needs no network: the settings, the languages, and how a text is counted."""

from typing import Any

import msgspec
import pytest

from fakes.minimax import rules
from plugins.minimax import models, plugin, reading
from plugins.minimax.models import MODELS
from plugins.minimax.plugin import MinimaxSettings
from proxy.config.sections import EngineSection
from proxy.engines import registry
from proxy.engines.registry import EngineConfigError, InProcessSpec
from tests.tables import each_row


@each_row(
    ("wrong", "message"),
    [
        ({"base_url": "api.minimax.io"}, 'base_url: must be an address, "https://…", without /v1'),
        ({"base_url": "https://api.minimax.io?x=1"}, "base_url: must be an address"),
        ({"group_id": "12a"}, "group_id: must be a text of digits, or none"),
        ({"bitrate": 256_000}, "bitrate: must be 32000, 64000 or 128000"),
        ({"volume": 0}, "volume: must be a number above 0, up to 10"),
        ({"silence_s": 0}, "silence_s: must be a number of seconds"),
        ({"pronunciations": ["omg"]}, "pronunciations: must be a list of texts"),
        ({"stream": "yes"}, "stream: must be true or false"),
        ({"colour": "red"}, "colour: no such key"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(wrong: dict[str, Any], message: str) -> None:
    section = EngineSection(plugin="minimax", settings={"api_key": "k", **wrong})
    with pytest.raises(EngineConfigError) as caught:
        registry.load().engine("cloud", section, "")
    assert f"engines.cloud.{message}" in str(caught.value)


def test_a_key_is_needed_and_several_make_several_engines() -> None:
    found = registry.load()
    with pytest.raises(EngineConfigError, match=r"engines\.cloud\.api_key"):
        found.engine("cloud", EngineSection(plugin="minimax"), "")
    spec = found.engine("cloud", EngineSection(plugin="minimax", settings={"api_key": ["one", "two"]}), "")
    assert isinstance(spec, InProcessSpec)
    assert [msgspec.structs.asdict(each)["api_key"] for each in spec.settings] == ["one", "two"]
    assert spec.is_cloud


def test_no_repr_has_the_key() -> None:
    assert "sk-1" not in repr(MinimaxSettings(api_key="sk-1"))
    (front,) = plugin.voxgate_register()
    assert (front.kind, front.name) == ("engine", "minimax")


@each_row(
    ("tag", "name"),
    [
        ("en", "English"),
        ("en-NG", "English"),
        ("en-US", "English"),
        ("pt-BR", "Portuguese"),
        ("th", "Thai"),
        ("zh-CN", "Chinese"),
        ("zh-Hant-TW", "Chinese"),
        ("yue", "Chinese,Yue"),
        ("zh-HK", "Chinese,Yue"),
        ("nb-NO", "Norwegian"),
        ("ta-IN", "Tamil"),
        ("af", "Afrikaans"),
        ("yo", "auto"),
        ("ig-NG", "auto"),
        ("ha", "auto"),
        ("und", "auto"),
    ],
)
def test_a_language_has_the_providers_name(tag: str, name: str) -> None:
    assert models.language_name(tag) == name


def test_every_language_of_the_models_is_one_the_provider_knows() -> None:
    assert models.NAMES | {models.AUTO} == rules.LANGUAGES
    for model in MODELS:
        assert {models.language_name(language.tag) for language in model.languages} == models.NAMES


@each_row(
    ("text", "units"),
    [
        ("真正的危险不是计算机开始思", 13 * 2),
        ("一二三四五六七八九十百千, abcdefgh", 34),
        ("Hello<#1#>there", 15),
        ("สวัสดี", 6),
        ("ひらがな", 4),
        ("𠀀😀", 3),
        ("", 0),
    ],
)
def test_han_counts_twice_and_all_else_once(text: str, units: int) -> None:
    assert reading.billed_characters(text) == units
