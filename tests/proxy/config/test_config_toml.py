"""config.toml: what it may say, what wins, and errors that name the file, the key and what is right."""

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.config.config_toml import Config, ConfigError
from proxy.feature_list import load_config
from tests.tables import each_row

OPENAI_VOICES = [
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
]


def load(folder: Path, text: str, **environ: str) -> Config:
    file = folder / "config.toml"
    file.write_text(text)
    return load_config(file, environ)


def faults(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    return str(caught.value).split("\n")


def test_an_empty_file_is_the_embedded_voice_under_openais_names(tmp_path: Path) -> None:
    loaded = load(tmp_path, "")
    assert list(loaded.engines) == ["espeak"]
    assert sorted(loaded.voices) == OPENAI_VOICES
    assert loaded.models["tts-1"] == loaded.models["gpt-4o-mini-tts"] == ("espeak/standard",)
    assert (loaded.server.host, loaded.server.port) == ("127.0.0.1", 8000)
    assert loaded.source == str(tmp_path / "config.toml")


def test_a_digest_tells_configurations_apart_and_not_machines(tmp_path: Path) -> None:
    text = '[vault]\nmaster_key = "env:K"\n[storage]\nurl = "sqlite"\n[jobs]\ndays = 3\n'
    key, other_key = "A" * 43 + "=", "B" * 43 + "="
    digest = load(tmp_path, text, K=key).digest
    same = [
        load(tmp_path, f'{text}[server]\nport = 1\ndata = "x"\nhost = "10.0.0.1"\n', K=key),
        load(tmp_path, text, K=other_key, VOXGATE_STORAGE__URL="postgresql://u:word@h/d"),
    ]
    assert [each.digest for each in same] == [digest] * 2
    others = [
        load(tmp_path, text.replace("days = 3", "days = 4"), K=key),
        load(tmp_path, text, K=key, VOXGATE_SERVER__STALL_S="7"),
    ]
    assert digest not in [each.digest for each in others]


def test_no_file_at_all_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    without = load_config(None, {})
    assert (without.engines, without.voices) == (load(tmp_path, "").engines, load(tmp_path, "").voices)
    assert without.data == str(tmp_path / "data")


def test_the_shipped_file_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = load_config(Path(__file__).parents[3] / "config.toml", {})
    assert sorted(shipped.voices) == OPENAI_VOICES


@each_row(
    ("text", "key", "right"),
    [
        ("[server]\nport = 70000", "server.port", "a port number, 0 to 65535"),
        ('[server]\nport = "x"', "server.port", "got 'x'"),
        ("[server]\nhost = ''", "server.host", "a text in quotes"),
        ("[server]\nworkers = 65", "server.workers", "more than one need PostgreSQL and Redis"),
        ("[server]\ndrain_s = 0", "server.drain_s", "above 0 and up to 3600"),
        ("[server]\nfirst_audio_s = 'soon'", "server.first_audio_s", "a number of seconds"),
        ("[server]\npublic_catalogue = 1", "server.public_catalogue", "true or false"),
        ("[server]\ncors_origins = 'x'", "server.cors_origins", "a list of texts"),
        ("[server]\nmetrics = '9464'", "server.metrics", '"host:port"'),
        ('[server]\nmetrics = "a:1\\n"', "server.metrics", '"host:port"'),
        ("[server]\nprot = 1", "server.prot", "did you mean port?"),
        ("[server]\nzzz = 1", "server.zzz", "known: host, port"),
        ("server = 5", "server", "must be a table, [server]"),
        ("[storage]\nurl = 'mysql'", "storage.url", '"sqlite"'),
        ("[storge]\nurl = 'sqlite'", "storge", "did you mean storage?"),
        ("[runners]\na = 1", "runners.a", "must be a table"),
        ("[runners.a]\nplugin = 1", "runners.a.plugin", "a text in quotes"),
        (
            '[engines.tone]\nrunner = "a"\nbudget_usd_day = 1',
            "engines.tone.runner",
            "there is no [runners.a]",
        ),
        ('[runners.a]\n[engines.tone]\nrunner = "a"', "engines.tone.budget_usd_day", "is missing"),
        (
            '[runners.a]\n[engines.tone]\nrunner = "a"\nbudget_usd_day = 1\n[engines.tone.costs]\n'
            '"*" = { usd = 1, per = "hour" }',
            "engines.tone.costs",
            "must be left out",
        ),
        ("[engines.tone]\njob_usd = 0", "engines.tone.job_usd", "US dollars, above 0"),
        ("engines = []", "engines", "must be a table"),
        ("[engines]\ntone = 1", "engines.tone", "must be a table, [engines.tone]"),
        ("[engines.Tone]", "engines.Tone", "lower case"),
        ('[engines."a/b"]', "engines.a/b", "without a slash"),
        ("[engines.tone]\nplugin = 7", "engines.tone.plugin", "a text in quotes"),
        ("[engines.tone]\nprocesses = 0", "engines.tone.processes", "1 to 64"),
        ("[engines.tone]\nqueue = -1", "engines.tone.queue", "0 to 10000"),
        ("[engines.tone]\nhosted = 'no'", "engines.tone.hosted", "true or false"),
        ("[voices.ana]\nespeek = 'f3'", "voices.ana.espeek", "did you mean espeak?"),
        ("[voices.ana]\nespeak = 3", "voices.ana.espeak", "the voice's id on that engine"),
        ("[voices.ana]\nespeak = ''", "voices.ana.espeak", "the voice's id on that engine"),
        ("[voices.ana]\nlanguage = 'pt'", "voices.ana", "binds no engine"),
        ("[voices.ana]\nlanguage = 5\nespeak = 'f3'", "voices.ana.language", "a text in quotes"),
        ("[voices]\nana = 'f3'", "voices.ana", "must be a table"),
        ("[models]\nmine = []", "models.mine", '["engine/model"]'),
        ("[models]\nmine = [1]", "models.mine", '["engine/model"]'),
        ("[models]\nmine = 'espeak'", "models.mine", 'must be written "engine/model"'),
        ("[models]\nmine = 'tone/standard'", "models.mine", "known: espeak"),
    ],
)
def test_an_error_names_the_file_the_key_and_what_is_right(
    tmp_path: Path, text: str, key: str, right: str
) -> None:
    lines = faults(tmp_path, text)
    named = [line for line in lines if line.startswith(f"{tmp_path / 'config.toml'}: {key}: ")]
    assert any(right in line for line in named), lines


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    lines = faults(tmp_path, "[server]\nport = -1\nprot = 2\n[storage]\nurl = 'x'\n[plans.free]\nrpm = 0\n")
    assert len(lines) == 4


@each_row(
    "url",
    ["postgres:ada:hunter2@db", "mysql://ada:hunter2@db/x", "postgresql://ada:hunter2/@db/x", "hunter2://[/"],
)
def test_a_password_in_an_address_is_not_repeated(tmp_path: Path, url: str) -> None:
    (line,) = faults(tmp_path, f"[storage]\nurl = '{url}'")
    assert line.startswith(f"{tmp_path / 'config.toml'}: storage.url: ")
    assert '"postgresql://USER:PASSWORD@HOST/DATABASE"' in line
    assert "hunter2" not in line


def test_the_databases_address_may_lie_outside_the_file(tmp_path: Path) -> None:
    url = "postgresql://ada:hunter2@db.example:5433/voxgate?sslmode=require"
    (tmp_path / "database-url").write_text(f"{url}\n")
    assert load(tmp_path, f"[storage]\nurl = '{url}'").storage.url == url
    assert load(tmp_path, "[storage]\nurl = 'env:DB'", DB=url).storage.url == url
    assert load(tmp_path, "[storage]\nurl = 'file:database-url'").storage.url == url
    assert load(tmp_path, "", VOXGATE_STORAGE__URL=url).storage.url == url
    loaded = load(tmp_path, "", VOXGATE_STORAGE__URL="env:DB", DB=url)
    assert loaded.storage.url == url
    assert repr(loaded.storage) == "<Storage db.example:5433/voxgate>"


@each_row(
    ("named", "fault"),
    [
        ("env:DB", "env:DB is not set"),
        ("env:EMPTY", "env:EMPTY is empty"),
        ("env:BAD", "unknown kind of storage"),
        ("file:nowhere", "nowhere cannot be read: No such file"),
    ],
)
def test_an_address_that_is_not_where_it_should_be_is_a_fault(tmp_path: Path, named: str, fault: str) -> None:
    (line,) = faults(tmp_path, f"[storage]\nurl = '{named}'", BAD="hunter2", EMPTY=" ")
    assert line.startswith(f"{tmp_path / 'config.toml'}: storage.url: ")
    assert fault in line
    assert "hunter2" not in line


@each_row("content", [b"port = ", b"\xff", b"[server]\n[server]", b"a = " + b"9" * 5000])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML") as caught:
        load_config(file, {})
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no-such\.toml: no such file"):
        load_config(tmp_path / "no-such.toml", {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, {})


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[server]\nhost = "a"\nport = 1\ndrain_s = 1')
    environ = {"VOXGATE_SERVER__PORT": "2", "VOXGATE_SERVER__DRAIN_S": "2"}
    loaded = load_config(file, environ, server={"port": 3}).server
    assert (loaded.host, loaded.drain_s, loaded.port) == ("a", 2.0, 3)


def test_the_environment_names_the_file_unless_the_command_line_does(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text("[server]\nport = 1")
    other.write_text("[server]\nport = 2")
    environ = {"VOXGATE_CONFIG": str(one)}
    assert load_config(None, environ).server.port == 1
    assert load_config(other, environ).server.port == 2


@each_row(
    ("name", "text", "field", "value"),
    [
        ("VOXGATE_SERVER__HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("VOXGATE_SERVER__HOST", "true.example", "host", "true.example"),
        ("VOXGATE_SERVER__PUBLIC_CATALOGUE", "true", "public_catalogue", True),
        ("VOXGATE_SERVER__FIRST_AUDIO_S", "4.5", "first_audio_s", 4.5),
        ("VOXGATE_SERVER__METRICS", "", "metrics", ""),
        ("VOXGATE_SERVER__CORS_ORIGINS", '["https://a"]', "cors_origins", ("https://a",)),
    ],
)
def test_the_environment_sets_scalars(
    tmp_path: Path, name: str, text: str, field: str, value: object
) -> None:
    assert getattr(load(tmp_path, "", **{name: text}).server, field) == value


def test_the_environment_reaches_an_engines_own_settings(tmp_path: Path) -> None:
    environ = {"VOXGATE_ENGINES__TONE__PROCESSES": "3", "VOXGATE_ENGINES__TONE__PACE": "0.5"}
    section = load(tmp_path, "[engines.tone]", **environ).engines["tone"]
    assert (section.processes, section.settings) == (3, {"pace": 0.5})


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    environ = {
        "VOXGATE": "1",
        "VOXGATE_SERVER": "1",
        "VOXGATE_PLANS__X": "1",
        "SERVER__PORT": "1",
        "VOXGATE_X__Y": "1",
    }
    assert load(tmp_path, "", **environ) == load(tmp_path, "")


def test_a_wrong_variable_is_a_fault_like_any_other(tmp_path: Path) -> None:
    assert "server.port: must be a port number" in faults(tmp_path, "", VOXGATE_SERVER__PORT="x")[0]
    assert "server.prot: no such key" in faults(tmp_path, "", VOXGATE_SERVER__PROT="1")[0]
    assert "server: must be a table" in faults(tmp_path, "server = 5", VOXGATE_SERVER__PORT="1")[0]
    assert "engines.a: must be a table" in faults(tmp_path, "[engines]\na = 5", VOXGATE_ENGINES__A__B="1")[0]


def test_a_command_line_on_a_broken_section_is_a_fault_too(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("server = 5")
    with pytest.raises(ConfigError, match="must be a table"):
        load_config(file, {}, server={"port": 1})


def test_shipped_models_and_voices_of_other_engines_are_dropped(tmp_path: Path) -> None:
    loaded = load(tmp_path, "[engines.tone]")
    assert loaded.models == {}
    # Whether an engine speaks OpenAI's names, its plugin says.
    assert loaded.voices.keys() == set(OPENAI_VOICES)


def test_a_voice_of_the_file_replaces_the_shipped_one_and_leaves_the_others(tmp_path: Path) -> None:
    both = load(tmp_path, '[engines.tone]\n[engines.espeak]\n[voices.alloy]\ntone = "tone"')
    assert both.voices["alloy"].bindings == {"tone": "tone"}
    assert both.voices["nova"].is_known_name


def test_an_alias_may_be_one_model_or_a_list(tmp_path: Path) -> None:
    loaded = load(tmp_path, '[models]\none = "espeak/standard"\ntwo = ["espeak/standard", "espeak/x"]')
    assert loaded.models["one"] == ("espeak/standard",)
    assert loaded.models["two"] == ("espeak/standard", "espeak/x")
    assert loaded.models["tts-1"] == ("espeak/standard",)


def test_the_data_folder_is_beside_the_file_wherever_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    load(tmp_path, '[server]\ndata = "kept"')
    monkeypatch.chdir(tmp_path)
    relative = load_config(Path("config.toml"), {})
    assert relative.data == str(tmp_path / "kept")
    assert load(tmp_path, '[server]\ndata = "/var/kept"').data == "/var/kept"


def test_a_repr_shows_no_settings(tmp_path: Path) -> None:
    loaded = load(tmp_path, '[engines.tone]\napi_key = "hunter2"')
    assert "hunter2" not in repr(loaded) + repr(loaded.engines)


words = st.sampled_from(
    [
        *("server", "storage", "limits", "plans", "engines", "models", "voices", "routes", "detectors"),
        *("port", "espeak", "plugin", "allowance", "prices", "costs", "speech", "credits", "account"),
    ]
)
names = words | st.text(string.ascii_letters + "/ -é", max_size=6)
values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=8) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
sections = st.fixed_dictionaries(
    {},
    optional={
        name: values | st.dictionaries(names, values, max_size=3)
        for name in (
            *("server", "storage", "limits", "plans", "engines", "models", "routes", "voices", "zzz"),
            *("front_ends", "detectors", "cache", "marking", "lexicons"),
        )
    },
)
environs = st.dictionaries(
    st.sampled_from(
        [
            "VOXGATE_SERVER__PORT",
            "VOXGATE_ENGINES__ESPEAK__QUEUE",
            "VOXGATE_STORAGE__A__B",
            "VOXGATE_SERVER__",
        ]
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    max_size=2,
)


def toml(value: Any) -> str:
    """Any value as TOML writes it inline: the test's own writer, since Python brings none."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case str():
            return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
        case _:
            return str(value)


@given(sections, environs)
@example({"server": 5}, {"VOXGATE_SERVER__PORT": "1"})
@example({"voices": {"ana": {"espeak": "f3", "language": ["x"]}}}, {})
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_a_config_or_a_config_error(
    tmp_path: Path, raw: dict[str, Any], environ: dict[str, str]
) -> None:
    try:
        loaded = load(tmp_path, "\n".join(f"{key} = {toml(value)}" for key, value in raw.items()), **environ)
    except ConfigError as error:
        assert "not valid TOML" not in str(error)  # noqa: PT017 - either way out is right
        return
    assert 0 <= loaded.server.port <= 65535
    assert all(section.bindings or name in OPENAI_VOICES for name, section in loaded.voices.items())
    assert all(name.partition("/")[0] in loaded.engines for each in loaded.models.values() for name in each)


@pytest.mark.parametrize("value", ["9223372036854775808", "[1, -9223372036854775809]"])
def test_a_number_that_no_message_can_carry_is_named(tmp_path: Path, value: str) -> None:
    (tmp_path / "config.toml").write_text(f"[engines.tone]\nslots.a = {value}\n")
    with pytest.raises(ConfigError, match=r"engines.tone.slots.a: must be a number that fits 64 bits"):
        load_config(tmp_path / "config.toml", {})
