"""The generated page of what a plugin implements and gets: the docstrings of speech_engine."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import get_args

import msgspec

import speech_engine as se
from speech_engine import comparer, engine, errors, models, names, plugin
from tests.docs import markdown
from tests.docs.found import sentence

_VALUES = (
    *(se.Plugin, se.Hosted, se.Context, se.ModelInfo, se.Language, se.VoiceInfo, se.KnownName),
    *(
        se.SpeechJob,
        se.Segment,
        se.Rewritten,
        se.EngineVoice,
        se.Started,
        se.Audio,
        se.Word,
        se.Words,
        se.Encoded,
    ),
    *(se.ProviderCount, se.Finished, comparer.SpeakerScale, se.MarkKey, se.Detection, plugin.Missing),
)
_TYPES = {
    "Alphabet": se.Alphabet,
    "Kind": plugin.Kind,
    "Need": plugin.Need,
    "Quality": models.Quality,
    "StandsIn": names.StandsIn,
    "Urgency": se.Urgency,
    "Voice": se.Voice,
}
_NAMES = (
    "A job never has one of OpenAI's names: a request for `alloy` comes with `EngineVoice` and an id of the "
    "engine's own. The plugin's `names` says which: `share_voices` leaves it to the server, `as_they_are` is "
    "for ids that are such names, and a mapping has a `KnownName` for each. Without `names`, a request for "
    "`alloy` never reaches the engine, unless a section `[voices.alloy]` binds it."
)
_FUNCTIONS = (se.share_voices, se.as_they_are)
_PROTOCOLS = (
    se.Engine,
    se.EngineVoices,
    se.EngineRefreshes,
    engine.EngineClones,
    engine.EngineFindsClones,
    engine.EngineDeletesVoices,
    engine.EngineConverts,
    engine.EngineReadsSounds,
    se.FrontEnd,
    se.Detector,
    se.RankingDetector,
    se.Comparer,
    se.Mark,
    se.MarkStream,
)


def text() -> str:
    lines = markdown.head(
        "What a plugin implements",
        "Look up a method that the server calls, a value that it gives or takes, and a failure to raise. "
        "Begin with [writing a plugin](../writing-a-plugin.md).",
        "All are in `speech_engine`, those of clones and conversions in `speech_engine.engine`.",
    )
    lines += ["## Methods", ""]
    for protocol in _PROTOCOLS:
        lines += [
            f"### {protocol.__name__}",
            "",
            *_paragraphs(protocol),
            "```text",
            *_methods(protocol),
            "```",
            "",
        ]
    lines += ["## Values", ""]
    for value in _VALUES:
        fields = msgspec.structs.fields(value)
        types = inspect.get_annotations(value)
        rows = [(f"`{each.name}`", f"`{_plain(types[each.name])}`", _default(each)) for each in fields]
        lines += [
            f"### {value.__name__}",
            "",
            *_paragraphs(value),
            *markdown.table(("field", "type", "default"), rows),
            "",
        ]
    choices = [(f"`{name}`", ", ".join(map(_shown, get_args(type_)))) for name, type_ in _TYPES.items()]
    lines += ["### Types of fields", "", *markdown.table(("type", "one of"), choices), ""]
    lines += ["## OpenAI's names", "", _NAMES, "", "```text"]
    for function in _FUNCTIONS:
        lines += [*_methods(function), ""]
    lines[-1:] = ["```", ""]
    failures = [(f"`{cls.__name__}`", sentence_of(cls)) for cls in _failures()]
    lines += ["## Failures", "", "What to raise, from `speech_engine.errors`.", ""]
    return markdown.page([*lines, *markdown.table(("class", "raise it if"), failures)])


def sentence_of(cls: type) -> str:
    return sentence(inspect.cleandoc(cls.__doc__ or ""))


def _paragraphs(cls: type) -> list[str]:
    return [
        line
        for part in inspect.cleandoc(cls.__doc__ or "").split("\n\n")
        for line in (" ".join(part.split()), "")
    ]


def _shown(one: object) -> str:
    return f"`{one.__name__}`" if isinstance(one, type) else f"`{one!r}`"


def _plain(annotation: str) -> str:
    """The type of a field without its bounds, which few engines meet."""
    type_ = re.sub(r"Annotated\[(.*?), msgspec\.Meta\([^)]*\)\]", r"\1", annotation)
    return re.sub(r"\b(Line|Text)\b", "str", type_.replace("_Lines", "tuple[str, ...]"))


def _methods(found: object) -> list[str]:
    """Each method of a class, or a function, as the code has it: its signature and its docstring."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(found)))  # type: ignore[arg-type]  # either is right
    lines: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            source = ast.unparse(node).removesuffix("\n    ...")
            lines += [*source.splitlines(), ""]
    return lines[:-1]


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT:
        return "needed"
    plain = isinstance(field.default, (str, int, float, bool, tuple, type(None)))
    return f"`{field.default!r}`" if plain else "none"


def _failures() -> Iterator[type]:
    for value in vars(errors).values():
        if (
            isinstance(value, type)
            and issubclass(value, errors.EngineError)
            and value is not errors.EngineError
        ):
            yield value
