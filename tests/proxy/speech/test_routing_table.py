"""The routing table: model × voice × language × plan × commercial, one list or one exact error in each cell.

The expectations are written out by hand. The names a request gives are resolved by the real catalogue, over
engines that say what a test lets them say.
"""

from collections.abc import Iterator
from typing import NamedTuple

from policies import plans
from policies.lexicon import Lexicons
from policies.plans import Plan
from policies.routing import Binding, FrontEndNames, Route, Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary, VoiceCache
from proxy.config.sections import Config, EngineSection, Server, VoiceSection
from proxy.engines.engine_list import Engines
from proxy.engines.in_process import InProcessEngine
from proxy.errors import RequestFailed
from proxy.http.replies import encode_json
from proxy.speech.planning import Planner
from proxy.speech.speech_request import Defaults, parse_speech
from speech_engine import EngineVoice, Language
from tests.proxy.api.scripted import Scripted
from tests.tables import each_row

# house: here, with bad Yoruba. xtts: here, Thai alone, not for paid use. The next three send texts away, and
# two of them have a model with the id `v3`. far is an engine that no alias, route or other voice has.
ENGINES: dict[str, dict[str, object]] = {
    "house": {"id": "plain", "languages": (Language("en"), Language("pt"), Language("yo", "poor"))},
    "xtts": {
        "id": "thai",
        "languages": (Language("th"),),
        "licence": "CPML",
        "must_accept_licence": True,
        "paid_use": False,
    },
    "eleven": {
        "id": "v3",
        "languages": (Language("en"), Language("pt"), Language("th")),
        "is_local": False,
    },
    "spare": {"id": "v3", "languages": (Language("en"),), "is_local": False},
    "mini": {"id": "hd", "languages": (Language("en"), Language("pt")), "is_local": False},
    "far": {"id": "only", "languages": (Language("*"),)},
}
ROUTES = (
    Route(language="th", candidates=("absent/thai", "xtts/thai", "eleven/v3"), front_end="reader"),
    Route(language="en-NG", candidates=("mini/hd",)),
    Route(language="pt", candidates=("absent/pt",), front_end="reader"),
)
SHARED = VoiceSection(bindings={engine: "v" for engine in ENGINES if engine != "far"})
OWN = Voice(
    id="voice_1",
    name="me",
    bindings=(Binding("xtts", EngineVoice("clone")), Binding("eleven", EngineVoice("clone"))),
)

MODELS = {"alias": "tts-1", "native": "v3", "unknown": "v4"}
VOICES = {"built-in": "alloy", "own": "me", "other's": "voice_2", "unbound": "ghost"}
LANGUAGES = {"none": "", "th": "th", "en-NG": "en-NG", "yo": "yo", "pt-BR": "pt-BR"}
PLANS = {
    "free": Plan(name="free"),
    "paid": Plan(name="paid", price="$19"),
    "few": Plan(name="few", engines=("eleven", "far")),
    "local": Plan(name="local", local_only=True),
}
COLUMNS = ("free", "paid", "paid, not commercial", "few", "local")
"""Only a paid plan is another one on a server that is commercial; the others stand for both."""

LETTERS = {"H": "house/plain", "X": "xtts/thai", "E": "eleven/v3", "S": "spare/v3", "M": "mini/hd"}
ERRORS = {
    "-voice": (400, "voice", "voice_not_available"),
    "-plan": (403, "model", "model_not_allowed"),
    "-paid": (403, "model", "paid_use_forbidden"),
    "-speak": (400, "language", "unsupported_language"),
    "-which": (400, "voice", "voice_not_found"),
    "-model": (404, "model", "model_not_found"),
}

# Letters are candidates in their order. A row of one word has it in all columns.
TABLE = """
    model    voice     language   free    paid    paid, nc  few     local
    alias    built-in  none       HE      HE      HE        E       H
    alias    built-in  th         XE      E       XE        E       X
    alias    built-in  en-NG      M       M       M         -plan   -plan
    alias    built-in  yo         -speak
    alias    built-in  pt-BR      HE      HE      HE        E       H
    alias    own       none       E       E       E         E       -plan
    alias    own       th         XE      E       XE        E       X
    alias    own       en-NG      -voice
    alias    own       yo         -speak  -speak  -speak    -speak  -plan
    alias    own       pt-BR      E       E       E         E       -plan
    native   built-in  none       ES      ES      ES        E       -plan
    native   built-in  th         E       E       E         E       -plan
    native   built-in  en-NG      ES      ES      ES        E       -plan
    native   built-in  yo         -speak  -speak  -speak    -speak  -plan
    native   built-in  pt-BR      E       E       E         E       -plan
    native   own       none       E       E       E         E       -plan
    native   own       th         E       E       E         E       -plan
    native   own       en-NG      E       E       E         E       -plan
    native   own       yo         -speak  -speak  -speak    -speak  -plan
    native   own       pt-BR      E       E       E         E       -plan
    alias    unbound   *          -voice
    native   unbound   *          -voice
    alias    other's   *          -which
    native   other's   *          -which
    unknown  built-in  *          -model
    unknown  own       *          -model
    unknown  unbound   *          -model
    unknown  other's   *          -model
"""
FRONT_ENDS = {"th": "reader"}
"""By the request's language, also where its model is pinned; all others are `plain`."""


class Cell(NamedTuple):
    model: str
    voice: str
    language: str
    column: str
    expected: str


def cells() -> Iterator[Cell]:
    for line in TABLE.strip().splitlines()[1:]:
        model, voice, tags, *expected = line.split()
        for tag in LANGUAGES if tags == "*" else [tags]:
            for number, column in enumerate(COLUMNS):
                yield Cell(model, voice, tag, column, expected[number % len(expected)])


CELLS = tuple(cells())
ROWS = tuple(dict.fromkeys((cell.model, cell.voice) for cell in CELLS))


def planner(*, commercial: bool) -> Planner:
    live = {name: InProcessEngine(Scripted(**stated), 0) for name, stated in ENGINES.items()}
    sections = {name: EngineSection(plugin=name, accept_licence="CPML") for name in ENGINES}
    config = Config(
        server=Server(commercial=commercial),
        engines=sections,
        models={"tts-1": ("house/plain", "eleven/v3")},
        routes=ROUTES,
        voices={"alloy": SHARED, "ghost": VoiceSection(bindings={"far": "v"})},
    )
    return Planner(Catalogue(config, Engines(live, sections)), FrontEndNames(frozenset(("plain", "reader"))))


PLANNERS = {commercial: planner(commercial=commercial) for commercial in (True, False)}


def outcome(planner: Planner, cell: Cell) -> str | tuple[int, str | None, str]:
    """The candidates as letters, or the error."""
    body = {"model": MODELS[cell.model], "voice": VOICES[cell.voice], "language": LANGUAGES[cell.language]}
    request = parse_speech(encode_json({**body, "input": "Hello there."}), Defaults())
    own = AccountLibrary(VoiceCache((OWN,)), VoiceCache(), Lexicons({}))
    try:
        plan = planner.plan(request, plans.build_terms(PLANS[cell.column.partition(",")[0]]), own)
    except RequestFailed as failure:
        return failure.status, failure.param, failure.code
    (part,) = plan.parts
    for candidate in part.candidates:
        assert candidate.front_end == FRONT_ENDS.get(cell.language, "plain")
        assert candidate.voice == EngineVoice("clone" if cell.voice == "own" else "v")
    names = {name: letter for letter, name in LETTERS.items()}
    return "".join(names[candidate.model.name] for candidate in part.candidates)


def test_the_table_has_every_cell_once() -> None:
    found = [cell[:4] for cell in CELLS]
    assert len(found) == len(set(found)) == len(MODELS) * len(VOICES) * len(LANGUAGES) * len(COLUMNS)


@each_row("row", ROWS, ids=" ".join)
def test_each_cell_has_one_list_or_one_error(row: tuple[str, str]) -> None:
    wrong = {}
    for cell in (cell for cell in CELLS if cell[:2] == row):
        expected = ERRORS.get(cell.expected, cell.expected)
        is_both = "paid" not in cell.column
        for commercial in (True, False):
            if is_both or commercial == (cell.column == "paid"):
                found = outcome(PLANNERS[commercial], cell)
                if found != expected:
                    wrong[(*cell, commercial)] = found
    assert not wrong
