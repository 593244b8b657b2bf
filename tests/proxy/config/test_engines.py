"""[engines.NAME]: the server's keys beside the plugin's, and settings that name their secrets."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from proxy.config.config_toml import Config
from proxy.diagnosis.config_check import check_config
from proxy.engines.registry import EngineConfigError, InProcessSpec, Registry
from speech_engine import Context, Engine, Plugin
from tests.proxy.api.inside import inside
from tests.proxy.api.scripted import Scripted
from tests.proxy.config.files import faults, load
from tests.tables import each_row

SECRET = "sk-never-to-be-told"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    api_key: str
    base_url: str = "https://provider.example"
    tags: tuple[str, ...] = ()


@asynccontextmanager
async def create(_name: str, _settings: Settings, _context: Context) -> AsyncIterator[Engine]:
    yield Scripted()


REGISTRY = Registry(
    {("engine", "cloud"): Plugin(kind="engine", name="cloud", settings=Settings, create=create)}, []
)


def settings_of(config: Config) -> list[Settings]:
    spec = REGISTRY.engine("cloud", config.engines["cloud"], config.data)
    assert isinstance(spec, InProcessSpec)
    assert SECRET not in f"{spec!r} {config!r} {config.engines!r}"
    return [msgspec.convert(msgspec.to_builtins(each), Settings) for each in spec.settings]


def test_the_servers_keys_are_taken_out_and_the_others_are_the_plugins(tmp_path: Path) -> None:
    text = """
    [engines.cloud]
    api_key = "k"
    concurrency = 4
    rpm = 60
    budget_usd_day = 5
    budget_usd_month = 99.5
    hedge_s = 1.5
    """
    section = load(tmp_path, text).engines["cloud"]
    assert (section.concurrency, section.rpm, section.hedge_s) == (4, 60, 1.5)
    assert (section.budget_usd_day, section.budget_usd_month) == (5.0, 99.5)
    assert section.settings == {"api_key": "k"}


@each_row(
    ("line", "fault"),
    [
        ("concurrency = 0", "concurrency: must be how many requests at the same time, 1 to 10000; got 0"),
        ("rpm = 0", "rpm: must be requests a minute, 1 to 1000000; got 0"),
        ("budget_usd_day = -1", "budget_usd_day: must be US dollars, 0 to 1000000000; got -1"),
        ("budget_usd_month = 'much'", "budget_usd_month: must be US dollars, 0 to 1000000000; got 'much'"),
        ("hedge_s = 61", "hedge_s: must be a number of seconds, 0 (never) to 60; got 61"),
        ("hedge_s = nan", "hedge_s: must be a number of seconds, 0 (never) to 60; got nan"),
    ],
)
def test_a_wrong_one_is_told_with_what_would_be_right(tmp_path: Path, line: str, fault: str) -> None:
    assert faults(tmp_path, f"[engines.cloud]\n{line}") == [f"engines.cloud.{fault}"]


def test_a_setting_may_name_where_its_secret_is(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    for named, environ in (("env:CLOUD_KEY", {"CLOUD_KEY": SECRET}), ("file:key", {})):
        loaded = load(tmp_path, f"[engines.cloud]\napi_key = '{named}'", **environ)
        assert settings_of(loaded) == [Settings(SECRET)]
    assert load(tmp_path, "[engines.cloud]\napi_key = 'env:CLOUD_KEY'", CLOUD_KEY="x").secrets == (
        "CLOUD_KEY",
    )


def test_several_keys_are_as_many_engines_and_other_lists_stay_lists(tmp_path: Path) -> None:
    text = "[engines.cloud]\napi_key = ['env:A', 'env:B', 'plain']\ntags = ['x', 'env:A']"
    found = settings_of(load(tmp_path, text, A="first", B="second"))
    assert [each.api_key for each in found] == ["first", "second", "plain"]
    assert {each.tags for each in found} == {("x", "first")}


_ACCOUNTS = """
[engines.cloud]
base_url = "https://all.example"
[engines.cloud.credentials.studio]
api_key = ["env:A", "env:B"]
[engines.cloud.credentials.school]
api_key = "env:C"
base_url = "https://school.example"
"""


def test_each_credential_has_its_keys_and_stands_before_the_section(tmp_path: Path) -> None:
    config = load(tmp_path, _ACCOUNTS, A="first", B="second", C=SECRET)
    spec = REGISTRY.engine("cloud", config.engines["cloud"], config.data)
    assert isinstance(spec, InProcessSpec)
    assert spec.credentials == ("studio", "studio", "school")
    assert [(each.api_key, each.base_url) for each in settings_of(config)] == [
        ("first", "https://all.example"),
        ("second", "https://all.example"),
        (SECRET, "https://school.example"),
    ]
    assert sorted(config.secrets) == ["A", "B", "C"]


def test_a_plain_key_is_the_credential_default(tmp_path: Path) -> None:
    config = load(tmp_path, f"{_ACCOUNTS.replace('base_url', 'api_key', 1)}", A="a", B="b", C="c")
    spec = REGISTRY.engine("cloud", config.engines["cloud"], config.data)
    assert isinstance(spec, InProcessSpec)
    assert spec.credentials == ("default", "studio", "studio", "school")
    (finding,) = [each for each in check_config(config, REGISTRY) if each.what == "engine"]
    assert finding.found == "cloud, in the server, credentials default, studio, school"


@each_row(
    ("text", "fault"),
    [
        ("credentials = 3", "credentials: must be a table, [engines.cloud.credentials]"),
        (
            "[engines.cloud.credentials]\nx = 'k'",
            "credentials.x: must be a table, [engines.cloud.credentials.x]",
        ),
        (
            "[engines.cloud.credentials.'a b']",
            "credentials.a b: a label has at most 64 letters, digits, - and _",
        ),
        (
            "api_key = 'k'\n[engines.cloud.credentials.default]\napi_key = 'k'",
            "credentials.default: engines.cloud.api_key is this credential already; remove one of the two",
        ),
    ],
)
def test_a_credential_that_cannot_be_is_told(tmp_path: Path, text: str, fault: str) -> None:
    assert faults(tmp_path, f"[engines.cloud]\n{text}") == [f"engines.cloud.{fault}"]


def test_a_wrong_setting_of_a_credential_is_told_with_its_place(tmp_path: Path) -> None:
    text = f"{_ACCOUNTS}\nbase_ulr = 'x'"
    section = load(tmp_path, text, A="a", B="b", C="c").engines["cloud"]
    with pytest.raises(
        EngineConfigError, match=r"^engines\.cloud\.credentials\.school\.base_ulr: no such key"
    ):
        REGISTRY.engine("cloud", section, "")


def test_the_missing_secret_of_a_credential_is_told_and_the_label_stays(tmp_path: Path) -> None:
    section = load(tmp_path, _ACCOUNTS, A="a", B="b").engines["cloud"]
    assert list(section.credentials) == ["studio", "school"]
    with pytest.raises(
        EngineConfigError, match=r"engines\.cloud\.credentials\.school\.api_key: env:C is not set"
    ):
        REGISTRY.engine("cloud", section, "")


@each_row("keys", ["[]", "[1]", "3", "['a', 2]"])
def test_keys_that_are_none_are_refused_without_being_told(tmp_path: Path, keys: str) -> None:
    section = load(tmp_path, f"[engines.cloud]\napi_key = {keys}").engines["cloud"]
    with pytest.raises(EngineConfigError, match=r"^engines\.cloud\.api_key: must be"):
        REGISTRY.engine("cloud", section, "")


_MISSING = """
[server]
default_model = "tone"
[engines.tone]
hosted = false
[engines.cloud]
plugin = "tone"
hosted = false
api_key = ["env:CLOUD_KEY", "env:OTHER_KEY"]
[models]
tone = ["tone/standard"]
tts-1 = ["tone/standard"]
[voices.alloy]
tone = "tone"
"""
_REASON = (
    "engines.cloud.api_key: env:CLOUD_KEY is not set; "
    "export CLOUD_KEY, add it to server.secrets_file, or use file:PATH"
)


async def test_a_secret_that_is_missing_takes_its_engine_alone_and_everybody_says_so(tmp_path: Path) -> None:
    async with inside(tmp_path, _MISSING) as server:
        assert (await server.speech()).status_code == 200
        ready = await server.ask("GET", "/readyz")
        listed = await server.administer("GET", "engines")
    assert ready.status_code == 200
    assert "cloud" in json.dumps(ready.json()["degraded"])
    states = {row["name"]: (row["state"], row["reason"]) for row in listed.json()["data"]}
    assert states == {"tone": ("ready", ""), "cloud": ("failed", _REASON)}


def test_check_says_it_before_the_server_starts(tmp_path: Path) -> None:
    findings = check_config(load(tmp_path, "[engines.cloud]\napi_key = 'env:CLOUD_KEY'"), REGISTRY)
    (finding,) = [each for each in findings if each.what == "engine"]
    assert (finding.verdict, finding.found) == ("wrong", _REASON)
