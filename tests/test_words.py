"""Names are words that a server engineer knows. The words below were private ones: no name has them again."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from types import CodeType

from tests.test_shape import ROOT, statements, tree_of

PRODUCT = ("proxy", "policies", "speech_engine", "plugins", "fakes")
PARTS = {
    "wish": "task",
    "wishes": "tasks",
    "told": "reply, message, report",
    "asked": "query, request, order",
    "said": "reply, text, values",
    "heard": "source, sound, samples",
    "house": "context",
    "tap": "observer",
    "taps": "observers",
    "concern": "observer factory",
    "tally": "totals",
    "standing": "balance, status",
    "kept": "stored, cached",
    "shelf": "cache",
    "shelves": "caches",
    "elsewhere": "remote",
    "keeper": "store, supervisor",
    "courier": "deliveries",
    "door": "endpoint",
    "lane": "queue",
    "doomed": "deleting",
    "stranded": "orphaned",
    "owed": "due",
    "poison": "dead",
    "learnt": "trained",
    "maker": "what it makes",
    "makers": "what they make",
    "promise": "reservation",
}
"""A part of a name, and what to say instead."""
WHOLE = {"had", "lent", "tried", "far"}
"""Words that say something beside another one, and nothing alone."""
STORED = {
    "told": "a column of job_clips",
    "told_bytes": "a column of a query",
    "asked": "a column of trainings",
    "asked_by": "a column of remote_runs",
    "said": "a column of introductions",
    "sent": "a field of what is sealed of a job",
    "kept": "a column of trainings",
    "model_shelf": "the former place of a class that plugins use",
    "kept_s": "a limit of runners, which plugins set",
}
"""Names that are stored, sent or public."""
TOO_GENERAL = {"check", "begin", "find", "take", "write", "note", "answer", "ask", "turn", "call"}
"""A method with such a name can hardly be jumped to. Its object's business is a better one: `find_order`."""
MOST_GENERAL = 8
METHODS = ROOT / "tests/suite/method_names.txt"
"""How many classes of proxy/ may define each public method. Any other name has two, as of a protocol."""
PUBLIC = "speech_engine/testing/"
"""Plugins inherit these tests by their names."""


def test_no_name_is_a_private_word() -> None:
    found: dict[str, str] = {}
    for name, where in _names():
        is_public = name.startswith("test_") and where.startswith(PUBLIC)
        if not is_public and _is_private(name):
            found.setdefault(name, where)
    assert not found, [f"{where}: {name}" for name, where in found.items()]


def test_a_method_has_a_name_that_one_can_jump_to() -> None:
    allowed = {
        name: int(most) for most, *names in map(str.split, METHODS.read_text().splitlines()) for name in names
    } | dict.fromkeys(TOO_GENERAL, MOST_GENERAL)
    found = Counter(
        method.name
        for file in sorted((ROOT / "proxy").rglob("*.py"))
        for node in statements(tree_of(file.read_text()))
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.name.startswith("_")
    )
    more = {name: count for name, count in found.items() if count > allowed.get(name, 2)}
    assert not more, f"defined in more classes than before, so name the object's business instead: {more}"


def _is_private(name: str) -> bool:
    words = {word.lower() for word in re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).split("_")}
    return name not in STORED and bool(words & PARTS.keys() or {name} & WHOLE)


def _words_of(code: CodeType) -> set[str]:
    """All names in compiled code, defined or used, and texts that may be names: an annotation is a text."""
    found = {code.co_name, *code.co_names, *code.co_varnames, *code.co_cellvars}
    for constant in code.co_consts:
        match constant:
            case CodeType():
                found |= _words_of(constant)
            case str():
                found.add(constant)
            case tuple():
                found.update(each for each in constant if isinstance(each, str))
    return {each for each in found if each.isidentifier()}


def _names() -> Iterator[tuple[str, str]]:
    for folder in PRODUCT:
        for file in sorted((ROOT / folder).rglob("*.py")):
            where = str(file.relative_to(ROOT))
            yield file.stem, where
            # The trees of all files take seconds.
            code = SourceFileLoader(file.stem, str(file)).get_code(file.stem)
            if code is None or not any(map(_is_private, _words_of(code))):
                continue
            for node in ast.walk(tree_of(file.read_text())):
                if (name := _name(node)) is not None:
                    yield name, f"{where}:{node.lineno}"  # type: ignore[attr-defined]


def _name(node: ast.AST) -> str | None:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
        case (
            ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store())
        ):
            return name
    return None
