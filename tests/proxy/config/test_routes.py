"""[[routes]], [front_ends] and [detectors]: what they may say, and engines that are not there."""

from pathlib import Path
from typing import Any

import pytest

from policies.routing import Route
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults
from proxy.config.model_names import find_misnamed
from proxy.config.sections import PluginSection, Remark
from proxy.diagnosis.config_check import check_config
from proxy.engines import registry
from speech_engine import Language, ModelInfo
from tests.proxy.config.files import faults, load
from tests.tables import each_row

THAI = Route(
    language="th",
    candidates=("xtts/thai", "f5tts/thai", "elevenlabs/eleven_v3"),
    front_end="pythainlp",
    is_shipped=True,
)
NIGERIAN = Route(language="en-NG", candidates=("minimax/speech-2.8-hd",), is_shipped=True)
_THAI = """
[[routes]]
language = "th"
candidates = ["xtts/thai", "f5tts/thai", "elevenlabs/eleven_v3"]
front_end = "pythainlp"
"""


def routes(folder: Path, text: str) -> tuple[Route, ...]:
    return load(folder, text).routes


def found(config: Config, kind: str) -> dict[str, Finding]:
    return {each.name: each for each in check_config(config, registry.load()) if each.what == kind}


def test_two_routes_are_shipped_whether_or_not_their_engines_are_there(tmp_path: Path) -> None:
    assert routes(tmp_path, "") == (THAI, NIGERIAN)
    assert load(tmp_path, "").warnings == ()


def test_a_route_of_the_file_takes_the_place_of_the_shipped_one_of_its_language(tmp_path: Path) -> None:
    text = '[[routes]]\nlanguage = "TH"\ncandidates = ["espeak/standard"]\n'
    assert routes(tmp_path, text) == (Route(language="th", candidates=("espeak/standard",)), NIGERIAN)


def test_a_route_is_read_whole_and_its_tag_as_it_is_usually_written(tmp_path: Path) -> None:
    text = """
    [[routes]]
    language = "PT-br"
    candidates = ["espeak/standard"]
    front_end = "latin"
    sentences = true
    voice = "nova"
    """
    assert routes(tmp_path, text)[0] == Route(
        language="pt-BR",
        candidates=("espeak/standard",),
        front_end="latin",
        sentences=True,
        voice="nova",
    )


@each_row(
    ("text", "line"),
    [
        ("routes = 5", "routes: must be a list of tables, each under [[routes]]"),
        ("[routes]\nlanguage = 'th'", "routes: must be a list of tables"),
        ("routes = [5]", "routes.1: must be a table"),
        ("[[routes]]\nsentences = true", "routes.1.language: must be a language tag"),
        ("[[routes]]\nlanguage = 'thai!'\nsentences = true", "routes.thai!.language: must be a language tag"),
        ("[[routes]]\nlanguage = 5\nsentences = true", "routes.1.language: must be a language tag"),
        ("[[routes]]\nlanguage = 'th'", "routes.th: has no effect; it needs candidates"),
        ("[[routes]]\nlanguage = 'th'\ncandidates = 'a/b'", "routes.th.candidates: must be a list of models"),
        ("[[routes]]\nlanguage = 'th'\ncandidates = ['a']", "routes.th.candidates: 'a' must be written"),
        ("[[routes]]\nlanguage = 'th'\ncandidates = ['/b']", "routes.th.candidates: '/b' must be written"),
        ("[[routes]]\nlanguage = 'th'\nfront_end = ''", "routes.th.front_end: must be a name in quotes"),
        ("[[routes]]\nlanguage = 'th'\nsentences = 1", "routes.th.sentences: must be true or false"),
        ("[[routes]]\nlanguage = 'th'\nfrontend = 'x'", "routes.th.frontend: no such key; did you mean"),
        (
            "[[routes]]\nlanguage = 'th'\nvoice = 'x'\nsentences = true\n"
            "[[routes]]\nlanguage = 'TH'\nsentences = true",
            "routes.TH.language: another route is for th already",
        ),
        ("detectors = 5", "detectors: must be a table"),
        ("[front_ends]\nplain = 5", "front_ends.plain: must be a table"),
        ("[front_ends.plain]\na = 99999999999999999999", "front_ends.plain.a: must be a number that fits"),
        ("[server]\ndefault_language = 'English'", "server.default_language: must be a language tag"),
        ("[server]\ncommercial = 'no'", "server.commercial: must be true or false"),
    ],
)
def test_a_fault_names_the_route_and_what_is_right(tmp_path: Path, text: str, line: str) -> None:
    lines = faults(tmp_path, text)
    assert [each for each in lines if each.startswith(line)], lines


def test_an_engine_that_is_not_there_is_a_warning_where_the_route_is_the_operators_own(
    tmp_path: Path,
) -> None:
    text = '[[routes]]\nlanguage = "th"\ncandidates = ["gone/a", "espeak/standard"]\n'
    loaded = load(tmp_path, text)
    assert loaded.warnings == (
        Remark("routes.th.candidates", "'gone/a' cannot speak: no [engines.gone] here"),
    )
    assert loaded.routes[0].candidates == ("gone/a", "espeak/standard")
    assert load(tmp_path, _THAI).warnings == ()


def test_a_voice_on_an_engine_that_is_not_there_is_a_warning_and_a_slip_is_a_fault(tmp_path: Path) -> None:
    loaded = load(tmp_path, '[voices.ana]\nespeak = "f3"\nminimax = "ana-1"\n[voices.bea]\nminimax = "b"')
    gone = "the voice cannot speak there: no [engines.minimax] here"
    assert loaded.warnings == (Remark("voices.ana.minimax", gone), Remark("voices.bea.minimax", gone))
    assert loaded.voices["ana"].bindings == {"espeak": "f3"}
    assert "bea" not in loaded.voices
    assert faults(tmp_path, '[voices.ana]\nespeek = "f3"\nespeak = "f3"') == [
        "voices.ana.espeek: no such key; did you mean espeak?"
    ]


@each_row(
    ("text", "note", "is_warning"),
    [
        (
            '[[routes]]\nlanguage = "th"\ncandidates = ["gone/a", "away/b"]',
            "not used: no [engines.gone] for gone/a, no [engines.away] for away/b",
            True,
        ),
        (
            '[[routes]]\nlanguage = "th"\ncandidates = ["gone/a", "espeak/standard"]',
            "espeak/standard; no [engines.gone] for gone/a",
            True,
        ),
        ('[[routes]]\nlanguage = "th"\ncandidates = ["espeak/standard"]', "espeak/standard", False),
        (
            '[[routes]]\nlanguage = "th"\nfront_end = "gone"',
            "the model of the request; the front_end gone is not installed, so plain prepares its texts",
            True,
        ),
        (
            '[[routes]]\nlanguage = "th"\nsentences = true\nvoice = "gone"',
            "the model of the request; there is no voice 'gone' here",
            True,
        ),
        (
            '[[routes]]\nlanguage = "th"\nsentences = true\nvoice = "nova"',
            "the model of the request",
            False,
        ),
    ],
)
def test_check_says_who_speaks_and_warns_of_the_rest(
    tmp_path: Path, text: str, note: str, is_warning: bool
) -> None:
    finding = found(load(tmp_path, text), "route")["th"]
    assert (finding.found, finding.verdict) == (note, "note" if is_warning else "ok")


@pytest.mark.parametrize("text", ["", _THAI])
def test_of_built_in_routes_check_tells_what_the_engines_here_speak(tmp_path: Path, text: str) -> None:
    assert found(load(tmp_path, text), "route") == {}
    routes = found(load(tmp_path, text + "\n[engines.elevenlabs]"), "route")
    assert routes.keys() == {"th"}
    assert "xtts" not in routes["th"].found


def _info(id_: str, tag: str) -> ModelInfo:
    return ModelInfo(id=id_, languages=(Language(tag),), sample_rate_hz=24_000)


def test_a_shipped_route_is_never_judged_by_the_models_of_an_engine_of_that_name(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    engines = {
        "xtts": "xtts-v2",
        "f5tts": "mine",
        "elevenlabs": "eleven_flash_v2_5",
        "minimax": "speech-02-hd",
    }
    routed = {"xtts": "thai", "f5tts": "thai", "elevenlabs": "eleven_v3", "minimax": "speech-2.8-hd"}
    for engine, model in engines.items():
        with subtests.test(engine):
            text = f'[engines.{engine}]\nbudget_usd_day = 1\ncosts.{model} = {{ usd = 1, per = "minute" }}\n'
            config = load(tmp_path, text)
            results = ProbeResults(models={engine: (_info(model, "en"),)})
            findings = check_config(config, registry.load(), results)
            assert [each for each in findings if each.what == "route"] == []
            assert [each for each in findings if each.what == "model" and each.verdict == "wrong"] == []
            assert find_misnamed(config, {engine: [model]}) == []
            # What the operator wrote is judged.
            named = f"{engine}/{routed[engine]}"
            written = load(tmp_path, f'{text}[[routes]]\nlanguage = "de"\ncandidates = ["{named}"]')
            assert [each.key for each in find_misnamed(written, {engine: [model]})] == ["routes.de"]


def test_check_asks_for_nothing_where_the_file_is_as_it_is_shipped(tmp_path: Path) -> None:
    # A server may have served in the work tree, and may have left its data there.
    text = (Path(__file__).parents[3] / "config.toml").read_text()
    shipped = load(tmp_path, text)
    # It says how a server gets a model that hears, which only some need, and natural voices.
    found = {each.what for each in check_config(shipped, registry.load()) if each.verdict != "ok"}
    assert found == {"hearing", "voices"}


def test_check_warns_of_voices_and_of_a_detector_that_are_not_there(tmp_path: Path) -> None:
    loaded = load(tmp_path, '[server]\ndetector = "gone"\n[voices.ana]\nminimax = "ana-1"')
    voice, detector = found(loaded, "voice")["voices.ana.minimax"], found(loaded, "detector")["gone"]
    for finding in (voice, detector):
        assert finding.verdict == "note"
    assert "[engines.minimax]" in voice.found
    assert "only the script of a text tells its language" in detector.found
    assert detector.do.startswith('write detector = "pycld2"')
    assert not found(load(tmp_path, '[server]\ndetector = ""'), "detector")


def settings(folder: Path, text: str, **environ: str) -> dict[str, PluginSection]:
    return load(folder, text, **environ).plugins_of("front_end")


def test_settings_of_a_plugin_take_secrets_from_elsewhere(tmp_path: Path) -> None:
    text = '[front_ends.mine]\nwords = "env:WORDS"\nfast = true\n'
    (section,) = settings(tmp_path, text, WORDS="hunter2").values()
    expected: dict[str, Any] = {"words": "hunter2", "fast": True}
    assert (section.settings, section.fault) == (expected, "")
    assert "hunter2" not in repr(section)
    (without,) = settings(tmp_path, text).values()
    assert without.fault.startswith("front_ends.mine.words: ")


@each_row(
    ("text", "kind", "says"),
    [
        ("[front_ends.plain]\nzzz = 1", "front_end", "front_ends.plain.zzz: no such key"),
        ("[front_ends.gone]", "front_end", "no front_end called gone is installed"),
        ("[detectors.gone]", "detector", "no detector called gone is installed"),
        ("[front_ends.plain]\nzzz = 'env:NOT_SET'", "front_end", "front_ends.plain.zzz: "),
    ],
)
def test_check_fails_where_settings_cannot_be_used(tmp_path: Path, text: str, kind: str, says: str) -> None:
    (finding,) = (each for each in found(load(tmp_path, text), kind).values() if each.verdict == "wrong")
    assert says in finding.found


def test_an_engines_licence_is_the_servers_business_and_no_setting(tmp_path: Path) -> None:
    text = '[engines.tone]\naccept_licence = "CPML"\npaid_use_basis = "an agreement"\n'
    section = load(tmp_path, text).engines["tone"]
    assert (section.accept_licence, section.paid_use_basis) == ("CPML", "an agreement")
    assert section.settings == {}
