"""Names are words that a server engineer knows. The words below were private ones: no name has them again."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from scripts.found import found_in
from tests.test_shape import ROOT, sources, statements, tree_of

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
    methods = found_in(dict(sources("proxy")), _methods_in)
    found = Counter(name for names in methods.values() for name in names)
    assert len(found) > 1000
    more = {name: count for name, count in found.items() if count > allowed.get(name, 2)}
    assert not more, f"defined in more classes than before, so name the object's business instead: {more}"


def _methods_in(text: str) -> list[str]:
    """Return the public methods of all classes."""
    return [
        method.name
        for node in statements(tree_of(text))
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.name.startswith("_")
    ]


def _is_private(name: str) -> bool:
    words = {word.lower() for word in re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).split("_")}
    return name not in STORED and bool(words & PARTS.keys() or {name} & WHOLE)


def _names() -> Iterator[tuple[str, str]]:
    """Yield each name that may be a private word, with its place."""
    for where, names in found_in(dict(sources(*PRODUCT)), _private_names).items():
        yield Path(where).stem, where
        yield from ((name, f"{where}:{line}") for name, line in names)


def _private_names(text: str) -> list[tuple[str, int]]:
    named = ((_name(node), getattr(node, "lineno", 0)) for node in ast.walk(tree_of(text)))
    return [(name, line) for name, line in named if name is not None and _is_private(name)]


def _name(node: ast.AST) -> str | None:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
        case (
            ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store())
        ):
            return name
    return None
