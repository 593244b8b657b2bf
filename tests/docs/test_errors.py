"""docs/errors.md: every code that the server can answer with, its status and type, and no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from policies import routing
from proxy import errors
from proxy.errors import InvalidRequest, NotAllowed, RequestFailed, UpstreamFailed
from tests.docs import pages
from tests.docs.pages import ROOT

_Row = tuple[str, int, str]


def test_every_code_is_documented_with_its_status_and_type() -> None:
    table = pages.rows(pages.section(pages.doc("errors.md"), "All codes"))
    codes = [(pages.codes(row[0])[0], row[1]) for row in table]
    documented = [(code, int(status), _type(code, status)) for code, status in codes]
    assert len(documented) == len(set(documented))
    assert set(documented) == set(_raised())


def test_every_row_says_when_and_what_to_do() -> None:
    for row in pages.rows(pages.section(pages.doc("errors.md"), "All codes")):
        assert row[2], row
        assert row[3], row


def _type(code: str, status: str) -> str:
    """As the table of types has it: by the code, else by its status, else as for all others."""
    table = pages.rows(pages.section(pages.doc("errors.md"), "Types"))
    types = {name.strip("` "): pages.codes(kind)[0] for names, kind in table for name in names.split(",")}
    return types.get(code) or types.get(status) or types["others"]


def _raised() -> Iterator[_Row]:
    """From the classes, from the two tables for engines, and from every place that names a code."""
    classes = {cls.__name__: cls for cls in RequestFailed.__subclasses__()}
    for cls in classes.values():
        yield (cls.default_code, cls.status, cls.kind)
    yield from (_row(UpstreamFailed, code) for code, _ in errors._ENGINE_FAULTS.values())
    yield from (_row(InvalidRequest, code) for code, _ in errors._REQUEST_FAULTS.values())
    for call in _calls():
        named = call.func.id if isinstance(call.func, ast.Name) else ""
        if named == routing.NoCandidate.__name__:
            is_forbidden = any(keyword.arg == "is_forbidden" for keyword in call.keywords)
            is_waiting = any(keyword.arg == "retry_after_s" for keyword in call.keywords)
            refusal = NotAllowed if is_forbidden else UpstreamFailed if is_waiting else InvalidRequest
            yield _row(refusal, _constant(call.args[1]))
        for keyword in call.keywords:
            if named in classes and keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                yield _row(classes[named], _constant(keyword.value))


def _row(cls: type[RequestFailed], code: str) -> _Row:
    return (code, cls.status, cls.kind)


def _calls() -> Iterator[ast.Call]:
    for room in ("proxy", "policies"):
        for file in (ROOT / room).rglob("*.py"):
            yield from (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def _constant(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, str)
    return node.value
