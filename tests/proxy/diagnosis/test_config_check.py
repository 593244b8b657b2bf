"""`voxgate check` and `doctor`: they call `ok` only what they know, and say what they did not look at."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config.config_toml import Config
from proxy.config.finding import NO_RESULTS, Finding, ProbeResults
from proxy.diagnosis.config_check import check_config
from proxy.diagnosis.doctor import installation
from proxy.engines import registry
from proxy.engines.registry import Registry
from speech_engine import Hosted, ModelInfo, Plugin
from speech_engine.names import no_names, share_voices
from tests.proxy.config.files import load
from tests.tables import each_row

DOCS = Path(__file__).parents[3] / "docs"

PIPER = "[engines.espeak]\n[engines.piper]\ndefault = true\n"
KOKORO = "[engines.espeak]\n[engines.kokoro]\n"
XTTS = "[engines.espeak]\n[engines.xtts]\naccept_licence = 'CPML'\n"


def findings(config: Config, kind: str, asked: ProbeResults = NO_RESULTS) -> dict[str, Finding]:
    """Return the findings of a kind by name; of several with one name, the last."""
    return {each.name: each for each in check_config(config, registry.load(), asked) if each.what == kind}


@each_row(
    ("text", "name", "lack", "step"),
    [
        (PIPER, "piper", "no voice has been imported", "voxgate models pull kristin"),
        (KOKORO, "kokoro", "the section names no model", "voxgate models pull kokoro-voices"),
        (XTTS, "xtts", "the section names no model", "voxgate models pull xtts-v2"),
    ],
)
def test_an_engine_without_any_model_is_wrong_for_check_and_doctor(
    tmp_path: Path, text: str, name: str, lack: str, step: str
) -> None:
    config = load(tmp_path, f'[server]\ndata = "{tmp_path}/data"\n{text}')
    found = findings(config, "engine")
    assert (found[name].verdict, found[name].found) == ("wrong", lack)
    assert found[name].do.startswith(step)
    assert found["espeak"].verdict == "ok"
    told = {each.found: each for each in installation.engines(config) if each.what == "engine"}
    assert told[f"{name}: {lack}"].do == found[name].do
    assert f"{name}: nothing is missing" not in told
    assert told["espeak: nothing is missing"].verdict == "ok"


def test_a_converter_that_is_no_engine_is_noted(tmp_path: Path) -> None:
    for text, is_noted in ((PIPER, True), (f"{PIPER}[engines.rvc]\n", False)):
        config = load(tmp_path, f'[server]\ndata = "{tmp_path}/data"\nconverter = "rvc"\n{text}')
        found = findings(config, "converter")
        assert [(each.verdict, each.do) for each in found.values()] == (
            [("note", 'add [engines.rvc], or write converter = ""')] if is_noted else []
        )


def test_a_plan_that_sells_no_conversions_is_noted(tmp_path: Path) -> None:
    by_letter, by_second = '{ credits = 1, per = "character" }', '{ credits = 1, per = "minute" }'
    rows = [
        ("", f"speech = {by_letter}", True),
        ("", f"speech = {by_letter}\nconversion = {by_second}", False),
        ("", f"speech = {by_second}", False),
        ('engines = ["espeak"]', f"speech = {by_letter}", False),
    ]
    for terms, prices, is_noted in rows:
        plan = f"[plans.paid]\n{terms}\n[plans.paid.prices]\n{prices}\n"
        text = f'[server]\ndata = "{tmp_path}/data"\nconverter = "rvc"\n{PIPER}[engines.rvc]\n{plan}'
        found = findings(load(tmp_path, text), "converter")
        assert [(name, each.verdict, each.do) for name, each in found.items()] == (
            [("paid", "note", "add conversion to [plans.paid.prices]")] if is_noted else []
        ), prices


class Named(msgspec.Struct, frozen=True):
    """Settings without which a plugin cannot tell its names."""

    folder: str


@each_row(("names", "verdicts"), [(share_voices, ["note", "ok"]), (no_names, ["ok"])])
def test_a_plugin_elsewhere_that_cannot_be_asked_for_its_names_is_noted(
    tmp_path: Path, names: Any, verdicts: list[str]
) -> None:
    place = "[clusters.gpu]\n"
    config = load(tmp_path, f'{place}[engines.espeak]\n[engines.mine]\ncluster = "gpu"\n')
    installed = registry.load()
    mine = Plugin(kind="engine", name="mine", settings=Named, create=Hosted("nobody"), names=names)
    plugins = {("engine", each.name): each for each in (mine, installed.plugins("engine")["espeak"])}
    found = [each for each in check_config(config, Registry(plugins, ())) if each.what == "engine"]
    found = [each for each in found if each.name == "mine"]
    assert [each.verdict for each in found] == verdicts
    assert all("engines.mine.folder: it is missing" in each.found for each in found[:-1])


GROQ = '[engines.tone]\n[engines.groq]\nplugin = "openai"\npreset = "groq"\napi_key = "k"\n'
OPENAI = '[engines.tone]\n[engines.openai]\napi_key = "env:NO_SUCH_KEY"\n'


@each_row(
    ("text", "names", "verdict", "says"),
    [
        (
            GROQ,
            '"groq/orpheus", "tone/standard"',
            "wrong",
            "groq has no model of 'groq/orpheus'; known: canopy",
        ),
        (GROQ, '"groq/canopylabs/orpheus-v1-english"', "ok", "groq/canopylabs/orpheus-v1-english"),
        (OPENAI, '"openai/tts-1-hd"', "note", "nothing speaks it: openai, for openai/tts-1-hd, cannot run"),
        (
            OPENAI,
            '"openai/tts-1-hd", "tone/standard"',
            "note",
            "tone/standard; openai, for openai/tts-1-hd, cannot run",
        ),
        (
            OPENAI.replace("env:NO_SUCH_KEY", "k"),
            '"openai/tts-9", "tone/standard"',
            "note",
            "openai/tts-9, tone/standard; not checked: whether there is openai/tts-9",
        ),
        (OPENAI, '"tone/standard"', "ok", "tone/standard"),
        (OPENAI, '"tone/standrad"', "note", "tone/standrad; not checked: whether there is tone/standrad"),
    ],
)
def test_an_alias_is_ok_only_if_its_models_are_known(
    tmp_path: Path, text: str, names: str, verdict: str, says: str
) -> None:
    found = findings(load(tmp_path, f"{text}[models]\nmine = [{names}]\n"), "model")["mine"]
    assert found.verdict == verdict
    assert found.found.startswith(says) if verdict == "wrong" else found.found == says


def test_a_route_does_not_count_on_an_engine_without_a_voice(tmp_path: Path) -> None:
    routes = '[[routes]]\nlanguage = "de"\ncandidates = ["piper/standard"]'
    text = f'[server]\ndata = "{tmp_path}/data"\n{PIPER}{routes}'
    found = findings(load(tmp_path, text), "route")["de"]
    assert (found.verdict, found.found) == ("note", "not used: piper, for piper/standard, cannot run")


def test_a_default_that_no_engine_has_says_why_and_what_to_write(tmp_path: Path) -> None:
    only = "[engines.openrouter]\nplugin = 'openai'\npreset = 'openrouter'\napi_key = 'k'\n"
    found = findings(load(tmp_path, only), "default")
    voice, model = found["default_voice"], found["default_model"]
    assert (voice.verdict, model.verdict) == ("wrong", "wrong")
    assert "'alloy' is not configured: no engine here has a line in [voices.alloy]" in voice.found
    assert voice.do == 'write [voices.alloy] with openrouter = "VOICE", a voice of that engine'
    assert model.do == 'write "tts-1" = ["openrouter/MODEL"] in [models]'
    # What the advice says is enough.
    mended = f'{only}[voices.alloy]\nopenrouter = "VOICE"\n[models]\n"tts-1" = ["openrouter/MODEL"]\n'
    assert {each.verdict for each in findings(load(tmp_path, mended), "default").values()} == {"ok"}


def test_a_misspelt_default_is_answered_with_the_name_like_it(tmp_path: Path) -> None:
    text = '[server]\ndefault_voice = "aloy"\n[engines.tone]\n[voices.alloy]\ntone = "tone"\n'
    found = findings(load(tmp_path, text), "default")["default_voice"]
    assert found.do.startswith("did you mean alloy? Else write [voices.aloy] with ")


MINIMAX = '[engines.minimax]\napi_key = "k"\n'
FEE = 'costs = { clone = { usd = 1.5, per = "job" } }\n'
BOUNDED = "budget_usd_day = 10\n"
A_PLAN = "[plans.basic]\nclones = 3\n"
PRICED = '[plans.basic.prices]\nclone = { credits = 300, per = "job" }\n'


SOLD = '[plans.basic]\nprice = "$9"\n'
CLONES = {
    "a known fee, for nothing": (MINIMAX + FEE + A_PLAN, "costs you $1.5"),
    "within the engine's budget": (MINIMAX + FEE + BOUNDED + A_PLAN, ""),
    "for credits": (MINIMAX + FEE + A_PLAN + PRICED, ""),
    "within the plan's budget": (MINIMAX + FEE + A_PLAN + BOUNDED, ""),
    "without clones": (MINIMAX + FEE + "[plans.basic]\nclones = 0\n", ""),
    "without providers": (MINIMAX + FEE + "[plans.basic]\nlocal_only = true\n", ""),
    "without the engine": (MINIMAX + FEE + "[plans.basic]\nengines = []\n", ""),
    "a fee of nothing": (MINIMAX + FEE.replace("1.5", "0") + SOLD, ""),
    "a plan that nobody pays for": (MINIMAX + A_PLAN, ""),
    "sold, without a limit or a price": (MINIMAX + SOLD, "may cost you a fee"),
    "sold, for nothing": (MINIMAX + SOLD + "clones = 3\n", "may cost you a fee"),
    "sold, without a limit": (MINIMAX + SOLD + PRICED, "may cost you a fee"),
    "sold, with a limit and a price": (MINIMAX + SOLD + "clones = 3\n" + PRICED, ""),
    "sold, within a budget": (MINIMAX + SOLD + BOUNDED, ""),
    "sold, without clones": (MINIMAX + SOLD + "clones = 0\n", ""),
    "sold, by an engine that clones nothing": ("[engines.tone]\n" + SOLD, ""),
    "sold, by a plugin that is not here": ("[engines.gone]\n" + SOLD, ""),
}


def test_clones_that_may_cost_more_than_they_bring_are_told(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for name, (text, costs) in CLONES.items():
        with subtests.test(name):
            found = findings(load(tmp_path, text), "clone")
            said = f"a clone {costs}, and basic has no price or no limit for it, and no budget"
            assert [(each.verdict, each.found) for each in found.values()] == (
                [("note", said)] if costs else []
            )


def test_the_plan_of_the_documentation_sells_clones_as_it_should(tmp_path: Path) -> None:
    (studio,) = re.findall(r"```toml\n(\[plans.studio\]\n.*?)```", (DOCS / "plans.md").read_text(), re.DOTALL)
    assert not findings(load(tmp_path, MINIMAX + studio), "clone")


def test_without_a_model_that_hears_it_is_noted_how_to_get_one(tmp_path: Path) -> None:
    config = load(tmp_path, "[engines.espeak]\n[engines.elevenlabs]\napi_key = 'x'\n")
    (found,) = findings(config, "hearing").values()
    assert (found.verdict, found.do[:33]) == ("note", "voxgate models pull whisper-base,")
    scribe = ModelInfo(id="scribe", languages=(), sample_rate_hz=1, hears=True, speaks=False)
    assert not findings(config, "hearing", ProbeResults(models={"elevenlabs": (scribe,)}))
