"""The generated page of what a plugin implements and gets: the docstrings of speech_engine."""

import ast
import inspect
import textwrap
from collections.abc import Iterator

import msgspec

import speech_engine as se
from speech_engine import engine, errors
from tests.docs import markdown
from tests.docs.found import sentence

_VALUES = (se.Plugin, se.Hosted, se.Context, se.ModelInfo, se.VoiceInfo, se.SpeechJob)
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
        rows = [(f"`{field.name}`", _default(field)) for field in fields]
        lines += [
            f"### {value.__name__}",
            "",
            *_paragraphs(value),
            *markdown.table(("field", "default"), rows),
            "",
        ]
    rows = [(f"`{cls.__name__}`", sentence_of(cls)) for cls in _failures()]
    lines += ["## Failures", "", "What to raise, from `speech_engine.errors`.", ""]
    return markdown.page([*lines, *markdown.table(("class", "raise it if"), rows)])


def sentence_of(cls: type) -> str:
    return sentence(inspect.cleandoc(cls.__doc__ or ""))


def _paragraphs(cls: type) -> list[str]:
    return [
        line
        for part in inspect.cleandoc(cls.__doc__ or "").split("\n\n")
        for line in (" ".join(part.split()), "")
    ]


def _methods(protocol: type) -> list[str]:
    """Each method as the code has it: its signature and its docstring."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(protocol)))
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
