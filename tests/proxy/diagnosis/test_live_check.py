"""`voxgate check --live`: what each cloud engine said when it was asked to speak."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.main import make_app
from proxy.config.finding import Finding, wrong
from proxy.diagnosis import live_check
from proxy.diagnosis.live_check import check_live
from proxy.telemetry import logs
from speech_engine import EngineUnauthorized, EngineUnavailable, Finished, Language, ModelInfo, Started
from tests.proxy.api.inside import with_engines
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound
from tests.proxy.config.files import load
from tests.proxy.engines.keys import SILENT

ONE = """
[engines.cloud]
costs = { "*" = { usd = 0.5, per = "unit" } }
[engines.tone]
hosted = false
"""
WELL: list[Step] = [Started(RATE_HZ), *sound(0.5), Finished(3.0)]


@pytest.fixture(autouse=True)
def unconfigured_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command would hand a test's stderr to every logger of the process, for good."""
    monkeypatch.setattr(logs, "configure_logs", lambda *_arguments: None)


async def found(folder: Path, engine: Scripted, text: str = ONE) -> list[Finding]:
    return (await check_live(load(folder, text), with_engines({"cloud": engine})))[0]


async def test_a_live_check_tells_what_was_heard_and_what_it_costs(tmp_path: Path) -> None:
    engine = Scripted(*WELL)
    (finding,) = await found(tmp_path, engine)
    assert (finding.what, finding.name, finding.verdict) == ("live", "cloud", "ok")
    model, seconds, first, units, usd = finding.found.split(", ")
    assert (model, seconds, units, usd) == ("cloud/m", "0.50 s of audio", "3 units", "$1.500000")
    assert first.startswith("first byte after ")
    (job,) = engine.jobs
    assert (job.language, job.voice.id) == ("en", "v")  # type: ignore[union-attr] # it has an engine's voice
    assert [segment.spoken for segment in job.segments] == ["Hello, this is a test."]


class KnowsHer(Scripted):
    unlisted_voices = ("her-id",)


async def test_a_bound_voice_goes_first_and_so_does_the_models_language(
    tmp_path: Path,
) -> None:
    engine = KnowsHer(*WELL, languages=(Language("th"),))
    await found(tmp_path, engine, ONE + '[voices.ana]\ncloud = "her-id"')
    (job,) = engine.jobs
    assert (job.language, job.voice.id) == ("th", "her-id")  # type: ignore[union-attr] # as above
    assert [segment.spoken for segment in job.segments] == ["1, 2, 3."]


@pytest.mark.clock
@pytest.mark.parametrize(
    ("script", "note"),
    [
        ([EngineUnauthorized("The key is not accepted.")], "The key is not accepted."),
        ([Started(RATE_HZ), Finished()], "It gave no audio."),
        ([Started(RATE_HZ), *sound(0.1)], "The engine ended without finishing."),
        ([ZeroDivisionError("x")], "The engine broke while speaking."),
        ([*SILENT], "It did not finish within 0.05 s."),
    ],
)
async def test_a_live_check_that_went_wrong_is_told_in_words(
    tmp_path: Path, script: list[Step], note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "finish" in note:
        monkeypatch.setattr(live_check, "LONGEST_S", 0.05)
    assert await found(tmp_path, Scripted(*script)) == [wrong("live", note, name="cloud")]


class Away(Scripted):
    def models(self) -> tuple[ModelInfo, ...]:
        return ()

    async def refresh(self) -> None:
        raise EngineUnavailable("The provider cannot be reached.")


async def test_a_provider_that_is_away_is_wrong_and_the_finding_says_why(tmp_path: Path) -> None:
    assert await found(tmp_path, Away()) == [wrong("live", "The provider cannot be reached.", name="cloud")]


async def test_engines_of_this_machine_are_left_alone(tmp_path: Path) -> None:
    results = await check_live(load(tmp_path, "[engines.tone]\nhosted = false"), with_engines({}))
    (finding,) = results[0]
    assert (finding.verdict, finding.found) == ("ok", "there is no cloud engine to try")


@pytest.mark.parametrize(("script", "status"), [(WELL, 0), ([EngineUnauthorized("No.")], 1)])
def test_the_commands_status_is_1_where_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: list[Step], status: int
) -> None:
    plugins = with_engines({"cloud": Scripted(*script)})
    monkeypatch.setattr("proxy.engines.registry.load", lambda: plugins)
    file = tmp_path / "config.toml"
    file.write_text(ONE + '[models]\ntts-1 = ["tone/standard"]\n[voices.alloy]\ntone = "tone"')
    plain = CliRunner().invoke(make_app("check"), ["check", "--config", str(file), "--json"])
    live = CliRunner().invoke(make_app("check"), ["check", "--config", str(file), "--json", "--live"])
    assert (plain.exit_code, live.exit_code) == (0, status)
    names = [row["name"] for row in json.loads(live.output)["data"] if row["check"] == "live"]
    assert names == ["cloud"]
    assert '"live"' not in plain.output


def test_a_model_that_its_provider_lacks_is_wrong_with_live_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = with_engines({"cloud": Scripted(*WELL)})
    monkeypatch.setattr("proxy.engines.registry.load", lambda: plugins)
    file = tmp_path / "config.toml"
    file.write_text(ONE + '[models]\ntts-1 = ["cloud/gone", "tone/standard"]\n[voices.alloy]\ntone = "tone"')
    told = []
    for more in ([], ["--live"]):
        shown = CliRunner().invoke(make_app("check"), ["check", "--config", str(file), "--json", *more])
        (row,) = (row for row in json.loads(shown.output)["data"] if row["check"] == "model")
        told.append((shown.exit_code, row["state"], row["found"]))
    assert told == [
        (0, "note", "cloud/gone, tone/standard; not checked: whether there is cloud/gone"),
        (1, "wrong", "cloud has no model of 'cloud/gone'; known: m"),
    ]


def test_the_help_says_who_pays() -> None:
    shown = CliRunner().invoke(
        make_app("check"), ["check", "--help"], env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"}
    )
    assert "The providers bill you" in " ".join(shown.output.split())
