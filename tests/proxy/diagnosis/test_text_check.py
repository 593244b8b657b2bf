"""`voxgate check`: what it says of routes and voices, whoever could be asked."""

from pathlib import Path

import msgspec

from proxy.config.config_toml import Config
from proxy.config.finding import NO_RESULTS, Finding, ProbeResults
from proxy.diagnosis import probes, text_check
from proxy.diagnosis.config_check import check_config
from proxy.engines import registry
from speech_engine import Language, ModelInfo
from speech_engine.model_manifest import MANIFEST, ModelManifest, digest_of
from tests.proxy.config.files import load
from tests.tables import each_row

_TONE = '[engines.tone]\n[engines.espeak]\n[voices.alloy]\ntone = "tone"\n'
_STANDARD = ModelInfo(
    id="standard", languages=(Language("es"), Language("th", "poor")), sample_rate_hz=24_000
)
_RUNNING = ProbeResults(
    {"espeak": (_STANDARD,), "tone": (_STANDARD,)},
    {"espeak": frozenset(("m3", "m4"))},
    {"latin": frozenset(("pt", "es", "en")), "pythainlp": frozenset(("th",)), "plain": frozenset()},
)


def findings(config: Config, kind: str, asked: ProbeResults = _RUNNING) -> dict[str, Finding]:
    return {each.name: each for each in check_config(config, registry.load(), asked) if each.what == kind}


def route(folder: Path, lines: str, asked: ProbeResults = _RUNNING) -> Finding:
    tag = lines.split('"')[1]
    return findings(load(folder, f"{_TONE}[[routes]]\n{lines}"), "route", asked)[tag]


@each_row(
    ("lines", "note"),
    [
        ('language = "es"\ncandidates = ["tone/standard"]', "tone/standard"),
        (
            'language = "es"\ncandidates = ["tone/standard"]\nfront_end = "latin"',
            "tone/standard; prepared by latin",
        ),
        (
            'language = "es-MX"\ncandidates = ["tone/standard"]\nfront_end = "latin"',
            "tone/standard; prepared by latin",
        ),
        ('language = "fr"\nfront_end = "plain"', "the model of the request; prepared by plain"),
    ],
)
def test_a_route_that_works_says_who_speaks_and_who_prepares(tmp_path: Path, lines: str, note: str) -> None:
    found = route(tmp_path, lines)
    assert (found.verdict, found.found) == ("ok", note)


@each_row(
    ("lines", "note"),
    [
        (
            'language = "es"\ncandidates = ["tone/standrad"]',
            "not used: tone has no model of 'tone/standrad'; did you mean standard?",
        ),
        (
            'language = "th"\ncandidates = ["espeak/standard"]',
            "not used: espeak/standard does not speak th well enough",
        ),
        (
            'language = "es"\ncandidates = ["gone/a", "tone/standard"]',
            "tone/standard; no [engines.gone] for gone/a",
        ),
        (
            'language = "es"\nfront_end = "pythainlp"',
            "the model of the request; prepared by pythainlp, which was made for th",
        ),
        (
            'language = "es"\nfront_end = "latim"',
            "the model of the request; the front_end latim is not installed, so plain prepares its texts",
        ),
    ],
)
def test_a_route_that_does_not_do_what_it_says_is_noted(tmp_path: Path, lines: str, note: str) -> None:
    found = route(tmp_path, lines)
    assert (found.verdict, found.found) == ("note", note)


def test_a_route_whose_engines_cannot_run_is_not_used(tmp_path: Path) -> None:
    lines = '[[routes]]\nlanguage = "th"\ncandidates = ["cloud/eleven_v3"]'
    engine = '[engines.cloud]\nplugin = "elevenlabs"\napi_key = "env:NO_SUCH_KEY"\n'
    found = findings(load(tmp_path, f"{_TONE}{engine}{lines}"), "route")["th"]
    assert (found.verdict, found.found) == ("note", "not used: cloud, for cloud/eleven_v3, cannot run")


def test_an_engine_that_was_not_asked_is_not_judged(tmp_path: Path) -> None:
    text = f'{_TONE}[[routes]]\nlanguage = "th"\ncandidates = ["tone/standrad"]\n[voices.ana]\nespeak = "m33"'
    config = load(tmp_path, text)
    assert findings(config, "route", ProbeResults())["th"].found == "tone/standrad"
    assert findings(config, "voice", ProbeResults()) == {}


def test_an_alias_that_names_no_model_of_a_running_engine_is_wrong(tmp_path: Path) -> None:
    config = load(tmp_path, f'{_TONE}[models]\nmine = ["tone/standrad"]')
    found = findings(config, "model")["mine"]
    assert found.verdict == "wrong"
    assert "did you mean standard?" in found.found


def test_a_voice_that_its_engine_does_not_have_is_noted(tmp_path: Path) -> None:
    config = load(tmp_path, f'{_TONE}[voices.ana]\nespeak = "m33"\n[voices.ben]\nespeak = "m4"')
    found = findings(config, "voice")
    assert found["voices.ana.espeak"].found == "espeak has no voice 'm33'; did you mean m3?"
    assert found["voices.ana.espeak"].verdict == "note"
    assert "voices.ben.espeak" not in found


@each_row(
    ("voice", "successor"),
    [("jf_alpha", "af_heart"), ("jm_kumo", "am_michael"), ("joe:up2.6", "joe"), ("bob:up3", "")],
)
def test_a_voice_of_an_earlier_version_has_a_successor_where_it_is_there(voice: str, successor: str) -> None:
    results = ProbeResults(voices={"one": frozenset({"af_heart", "am_michael", "hf_alpha", "joe"})})
    found = text_check.voice_hint(voice, results, "one")
    assert found.startswith(f"it speaks no more, and {successor} does") is bool(successor)


def test_without_a_server_front_ends_are_asked_and_voices_that_never_change_are_known(tmp_path: Path) -> None:
    config = load(tmp_path, '[[routes]]\nlanguage = "es"\nfront_end = "latin"')
    asked = probes.run_probes(config, registry.load())
    assert (dict(asked.models), [*asked.voices]) == ({}, ["espeak"])
    assert asked.front_ends["latin"] == {"en", "es", "fr", "it", "pt"}


@each_row(
    ("tag", "candidate", "says"),
    [
        ("es", "xtts/mine", "xtts/mine"),
        ("th", "xtts/thai", "not used: xtts has no model of 'xtts/thai'; known: mine"),
        ("fr", "xtts/mine", "not used: xtts/mine does not speak fr well enough"),
        ("es", "f5tts/mine-hd", "f5tts/mine-hd"),
        (
            "es",
            "f5tts/other",
            "not used: f5tts has no model of 'f5tts/other'; known: mine, mine-turbo, mine-hd",
        ),
    ],
)
def test_a_route_is_judged_by_an_imported_model_when_nobody_can_be_asked(
    tmp_path: Path, tag: str, candidate: str, says: str
) -> None:
    engine = candidate.partition("/")[0]
    digest = digest_of(engine, ())
    manifest = ModelManifest(
        name="mine", engine=engine, digest=digest, files=(), licence="CPML", languages=("es", "en")
    )
    folder = tmp_path / "data" / "models" / "mine"
    (folder / digest).mkdir(parents=True)
    (folder / digest / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    (folder / "current").write_text(digest)
    text = f'[server]\ndata = "{tmp_path}/data"\n[engines.{engine}]\nmodel = "mine"\n'
    text += f'[[routes]]\nlanguage = "{tag}"\ncandidates = ["{candidate}"]\n'
    judged = text_check.check_routes(load(tmp_path, text), registry.load(), NO_RESULTS, ())
    assert {each.name: each.found for each in judged}[tag] == says
